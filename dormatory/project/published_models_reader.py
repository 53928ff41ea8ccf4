"""A separate program: prints the columns in the models of a project, as its env.py gives them to Alembic.

It runs on a copy of another state of the project, and imports nothing of this package: what env.py imports must come
from the copy. Arguments: the ini file, the directory of the copy, the directory of the original. It prints JSON, a list
of columns for each table, or nothing if the models came from the original.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory


class _MetadataCapturedError(BaseException):
    """Ends env.py when it passes its metadata; a BaseException, so that no handler of env.py catches it."""

    def __init__(self, columns: dict[str, list[str]]) -> None:
        self.columns = columns


def _capture_metadata(*_: Any, target_metadata: Any = None, **__: Any) -> NoReturn:
    """Replace Alembic's configure(): nothing after it may run."""
    several = target_metadata if isinstance(target_metadata, (list, tuple)) else (target_metadata,)
    tables = [table for metadata in several if metadata is not None for table in metadata.tables.values()]
    raise _MetadataCapturedError({table.name: [column.name for column in table.columns] for table in tables})


def print_columns(ini: str, copy: str, original: str) -> None:
    """Print the columns in the models of the copy."""
    sys.path[:] = [*_paths_in_copy(sys.path, copy, original), *sys.path]
    config = Config(ini)
    config.set_main_option("sqlalchemy.url", os.environ["DATABASE_URL"].replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    stdout, sys.stdout = sys.stdout, sys.stderr  # what env.py prints is no result
    with EnvironmentContext(config, script, as_sql=True) as environment:
        environment.configure = _capture_metadata  # type: ignore[method-assign]  # env.py reaches it through this very object
        try:
            script.run_env()
        except _MetadataCapturedError as captured:
            if not _is_loaded_from(original, copy):
                json.dump(captured.columns, stdout)


def _paths_in_copy(paths: list[str], copy: str, original: str) -> list[str]:
    """Return the import paths inside the original as paths inside the copy; an editable install may add some."""
    installed = [getattr(sys.modules.get(getattr(it, "__module__", "")), "MAPPING", {}) for it in sys.meta_path]
    found = [Path(path) for path in paths] + [Path(path).parent for them in installed for path in them.values()]
    moved = [Path(copy, path.relative_to(original)) for path in found if path.is_relative_to(original)]
    return list(dict.fromkeys(str(path) for path in moved if path.is_dir()))


def _is_loaded_from(original: str, copy: str) -> bool:
    """Return whether a module was loaded from the original although the copy has it, too."""
    files = [Path(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())]
    inside = (file for file in files if file.is_relative_to(original) and not file.is_relative_to(copy))
    return any(Path(copy, file.relative_to(original)).exists() for file in inside)


if __name__ == "__main__":
    print_columns(*sys.argv[1:])
