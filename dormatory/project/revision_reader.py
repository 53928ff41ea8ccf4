"""A separate program: imports revision files as Alembic does, and prints what they declare.

Arguments: the ini file, the names to print, separated by commas, then the files. It prints JSON, an object for each
file: these names with their values, or empty if the file cannot be imported.
"""

import json
import sys
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import load_python_file


def print_revisions(ini: str, names: str, *files: str) -> None:
    """Print what each file assigns to the names."""
    stdout, sys.stdout = sys.stdout, sys.stderr  # what a module prints is no result
    ScriptDirectory.from_config(_config(ini))  # puts the directories of prepend_sys_path first
    json.dump([_declared_values(Path(file), names.split(",")) for file in files], stdout, default=list)


def _config(ini: str) -> Config:
    return Config(toml_file=ini) if ini.endswith(".toml") else Config(ini)


def _declared_values(file: Path, names: list[str]) -> dict[str, Any]:
    try:
        module = load_python_file(str(file.parent), file.name)
        return {name: getattr(module, name) for name in names if hasattr(module, name)}
    except Exception as error:  # noqa: BLE001  # whatever a module raises: it cannot be imported
        sys.stderr.write(f"{file}: {error!r}\n")
        return {}


if __name__ == "__main__":
    print_revisions(*sys.argv[1:])
