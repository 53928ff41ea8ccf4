"""A separate program: prints the columns in the models of a project, as its env.py gives them to Alembic.

It runs on a copy of another state of the project, and imports nothing of this package: what env.py imports must come
from the copy. Arguments: the ini file, the directory of the copy, the directory of the original, what env.py needs as
JSON. It prints JSON, a list of columns for each table, or nothing if the models came from the original.
"""

import argparse
import contextlib
import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any, NoReturn

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, event


class _MetadataCapturedError(BaseException):
    """Ends env.py when it passes its metadata; a BaseException, so that no handler of env.py catches it."""


class _ConfigureCapture:
    """Replaces Alembic's configure(): keeps the columns of the metadata, and lets nothing after it run."""

    columns: dict[str, list[str]] | None = None

    def __call__(self, *_: Any, target_metadata: Any = None, **__: Any) -> NoReturn:
        """Keep the columns, by table, and end env.py."""
        several = target_metadata if isinstance(target_metadata, (list, tuple)) else (target_metadata,)
        tables = [table for metadata in several if metadata is not None for table in metadata.tables.values()]
        self.columns = {table.name: [column.name for column in table.columns] for table in tables}
        raise _MetadataCapturedError


def print_columns(ini: str, copy: str, original: str, needs: str) -> None:
    """Print the columns in the models of the copy."""
    given = json.loads(needs)
    sys.path[:] = [*given["paths"], *_paths_in_copy(sys.path, copy, original), *sys.path]
    config = _configuration(ini, **given["configuration"])
    script = ScriptDirectory.from_config(config)
    stdout, sys.stdout = sys.stdout, sys.stderr  # what env.py prints is no result
    run_with_needs = runpy.run_path(str(Path(__file__).with_name("env_needs.py")))["run_with_needs"]
    event.listen(Engine, "do_connect", _refuse_other_databases)
    with EnvironmentContext(config, script, as_sql=True) as environment:
        environment.configure = capture = _ConfigureCapture()  # type: ignore[method-assign]  # env.py reaches it through this very object
        with contextlib.suppress(_MetadataCapturedError):
            run_with_needs(script.run_env, **given["around"])
    if capture.columns is not None and not _is_loaded_from(original, copy):
        json.dump(capture.columns, stdout)


def _configuration(ini: str, *, options: dict[str, str], x: list[str]) -> Config:
    """Return the configuration of a project, with options and arguments `-x` as its other commands give them."""
    is_toml = ini.endswith(".toml")
    config = Config(None if is_toml else ini, cmd_opts=argparse.Namespace(x=x, quiet=True))
    if is_toml:
        config.toml_file_name = ini
    for name, value in options.items():
        config.set_main_option(name, value.replace("%", "%%"))
    return config


def _refuse_other_databases(dialect: Any, _record: Any, arguments: list[Any], _options: dict[str, Any]) -> None:
    """Raise for each database but the one that was given: env.py may know the URL of one that is in use."""
    url = os.environ["DATABASE_URL"]
    if not url.startswith(dialect.name) or url.rpartition("/")[2] not in str(arguments[:1]):
        raise ConnectionRefusedError("models are read without a database")


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
