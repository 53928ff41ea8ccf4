"""The older commands: each documented one runs the task of today; wrong use is answered with the usage."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.system import process

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "manage_migrations.py"

# The exact commands in instructions and scripts.
DOCUMENTED_COMMANDS = (
    "init",
    'create "Add user table"',
    "upgrade",
    "upgrade head",
    "upgrade 003",
    "upgrade --verbose",
    "downgrade",
    "downgrade 001",
    "current",
    "history",
    "stamp head",
    "show 001",
)

TASKS = {
    "init": ["db.init"],
    'create "Add user table"': ["db.create", "--message=Add user table"],
    "upgrade": ["db.upgrade"],
    "upgrade 003 --verbose": ["db.upgrade", "--to=003", "--verbose"],
    "downgrade": ["db.downgrade"],
    "downgrade -2": ["db.downgrade", "--to=-2"],
    "downgrade --confirm=dormatory": ["db.downgrade", "--confirm=dormatory"],
    "stamp head": ["db.stamp", "--to=head"],
    "show 001": ["db.show", "001"],
}
WRONG_COMMANDS = (
    "",
    "nothing",
    "create",
    "create add user table",
    "stamp",
    "show",
    "show 1 2",
    "current 001",
    "upgrade 1 2",
)


@pytest.fixture
def manage_migrations() -> ModuleType:
    spec = importlib.util.spec_from_file_location("manage_migrations", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_python(*arguments: str, cwd: Path) -> process.ProcessResult:
    environment = {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "ALEMBIC_CONFIG")}
    return process.run_program([sys.executable, *arguments], env=environment, cwd=cwd, check=False)


@pytest.mark.parametrize("command", DOCUMENTED_COMMANDS)
def test_each_command_is_in_the_manual(command: str, manage_migrations: ModuleType) -> None:
    manual = (ROOT / "MIGRATIONS.md").read_text().splitlines()

    assert f"$ python manage_migrations.py {command}" in manual  # where test_documents.py runs it
    assert re.search(rf"^  {command.split(maxsplit=1)[0]} ", manage_migrations.USAGE, re.MULTILINE)


@pytest.mark.parametrize(("command", "task"), TASKS.items(), ids=TASKS)
def test_a_command_is_a_task(command: str, task: list[str], manage_migrations: ModuleType) -> None:
    name, *rest = shlex.split(command)

    assert manage_migrations.task_arguments(name, rest) == task


@pytest.mark.parametrize("command", WRONG_COMMANDS)
def test_wrong_use_shows_the_usage(
    command: str, manage_migrations: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    code = manage_migrations.main(command.split())

    assert code == 2
    assert capsys.readouterr() == ("", manage_migrations.USAGE)


def test_help_is_a_result(manage_migrations: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert manage_migrations.main(["--help"]) == 0
    assert capsys.readouterr() == (manage_migrations.USAGE, "")


def test_in_another_directory_it_uses_its_own_project(tmp_path: Path) -> None:
    elsewhere = run_python(str(PROGRAM), "show", "001", cwd=tmp_path)

    assert elsewhere == run_python("-m", "invoke", "db.show", "001", cwd=ROOT)
    assert elsewhere.code == 0
    assert list(tmp_path.iterdir()) == []


def test_an_option_that_the_task_does_not_have_is_refused(tmp_path: Path) -> None:
    refused = run_python(str(PROGRAM), "upgrade", "--nothing", cwd=tmp_path)

    assert (refused.code, refused.stdout) == (2, "")
    assert "has no option --nothing" in refused.stderr
