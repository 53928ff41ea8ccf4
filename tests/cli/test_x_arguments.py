"""The option -x of the tasks: arguments for env.py, as Alembic has them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from dormatory.system import process
from tests.runtime.external_project import ExternalProject, env_code

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tenants(tmp_path: Path) -> ExternalProject:
    """A project whose env.py wants a tenant, with a setting that gives it one, and its tasks."""
    (tmp_path / "tenants").mkdir()
    project = ExternalProject(tmp_path / "tenants")
    project.ini("script_location = scripts", "sqlalchemy.url = sqlite:///x.db", "[dormatory]", "x_arguments = tenant=a")
    project.env(env_code(first="print('env.py:', context.get_x_argument(as_dictionary=True))"))
    project.tables("one")
    shutil.copy(ROOT / "tasks.py", project.root)
    return project


@pytest.mark.parametrize(
    "command", ["db.upgrade", "db.current", "db.round-trip --backend sqlite", "db.stamp --to head"]
)
def test_they_reach_env_on_top_of_the_setting(tenants: ExternalProject, command: str) -> None:
    if command in ("db.current", "db.stamp --to head"):
        assert "{'tenant': 'a'}" in inv("db.upgrade", cwd=tenants.root)
    output = inv(*command.split(), "-x", "tenant=b", "-x", "url=x=y", cwd=tenants.root)
    assert "env.py: {'tenant': 'b', 'url': 'x=y'}" in output
    assert "'a'" not in output


def inv(*arguments: str, cwd: Path) -> str:
    """Return what a task printed, which must have succeeded."""
    ours = ("DATABASE_URL", "ALEMBIC_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = process.run_program([sys.executable, "-m", "invoke", *arguments], env=env, cwd=cwd)
    return done.stdout + done.stderr
