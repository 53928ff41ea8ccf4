"""`inv --list`, wrong use, and the same results from every directory of the project."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.cli.task_list import GROUPS
from dormatory.system import process

if TYPE_CHECKING:
    from dormatory.system.process import ProcessResult

ROOT = Path(__file__).resolve().parents[2]
READING_COMMANDS = ("--list", "db.current", "db.history", "db.show 003", "db.heads", "db.status")

# Invoke, which at its end names those of the heavy libraries that were imported.
INVOKE_AND_LIST_IMPORTS = """
import atexit, sys
from invoke.main import program
heavy = {"sqlalchemy", "alembic", "psycopg2", "rich"}
atexit.register(lambda: print("imported:", *sorted(heavy & sys.modules.keys()), file=sys.stderr))
program.run()
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project without a database; every test leaves it as it is."""
    copy = tmp_path_factory.mktemp("listing") / "dormatory"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "*.db*", "*.egg-info", "build", "dist", "tests"))
    return copy


@pytest.fixture(scope="module")
def project_at_head(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """Another copy, with its database at head."""
    copy = tmp_path_factory.mktemp("reading") / "dormatory"
    shutil.copytree(project, copy)
    assert inv("db.upgrade", cwd=copy).code == 0
    return copy


@pytest.fixture
def other_project(tmp_path: Path) -> Path:
    """A project elsewhere, with a copy of our tasks.py and one revision."""
    shutil.copy(ROOT / "tasks.py", tmp_path)
    assert inv("db.init", cwd=tmp_path).code == 0
    revision = '"""Keep orders."""\n\nrevision = "001"\ndown_revision = None\n'
    (tmp_path / "alembic" / "versions" / "001_orders.py").write_text(revision)
    return tmp_path


def inv(*arguments: str, cwd: Path) -> ProcessResult:
    return python("-m", "invoke", *arguments, cwd=cwd)


def python(*arguments: str, cwd: Path) -> ProcessResult:
    """Run this interpreter without any setting, and without byte code, which would look like created files."""
    ours = re.compile("DATABASE_URL|ALEMBIC_CONFIG|INVOKE_.*|PG.*|PYTHON.*|COLUMNS")
    clean = {key: value for key, value in os.environ.items() if not ours.fullmatch(key)}
    return process.run_program(
        [sys.executable, *arguments], env=clean | {"PYTHONDONTWRITEBYTECODE": "1"}, cwd=cwd, check=False
    )


def file_contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def test_the_list_has_one_line_for_each_documented_task(project: Path) -> None:
    manual = re.findall(r"^\| `(db\.[\w-]+)` \|", (ROOT / "MIGRATIONS.md").read_text(), re.MULTILINE)

    listed = inv("--list", cwd=project)

    lines = listed.stdout.rstrip().splitlines()
    assert (listed.code, listed.stderr) == (0, "")
    assert [line for line in lines if line and line[0] != " "] == [f"{group}:" for group in GROUPS]
    found = [re.fullmatch(r"  (db\.[\w-]+)  +[A-Z].*\.", line) for line in lines if line.startswith(" ")]
    assert sorted(match[1] if match else "" for match in found) == sorted(manual)


def test_the_list_of_another_project_has_its_own_tasks_too(other_project: Path) -> None:
    greeting = "@task\ndef greet(_):\n    'Say good morning.'\n\nnamespace.add_task(greet)\n"
    text = (other_project / "tasks.py").read_text()
    (other_project / "tasks.py").write_text(f"{text}\nfrom invoke.tasks import task\n\n{greeting}")
    listed = inv("--list", cwd=other_project).stdout
    assert listed.endswith("Other tasks:\n\n  greet            Say good morning.\n\n")


def test_the_list_loads_no_database_library(project: Path, project_at_head: Path) -> None:
    listed = python("-c", INVOKE_AND_LIST_IMPORTS, "--list", cwd=project)
    current = python("-c", INVOKE_AND_LIST_IMPORTS, "db.current", cwd=project_at_head)

    assert (listed.code, listed.stderr) == (0, "imported:\n")
    assert "sqlalchemy" in current.stderr  # the watch would have seen it


def test_the_child_process_that_runs_alembic_does_not_load_invoke(project: Path) -> None:
    loaded = python("-c", "import dormatory.__main__, sys; print('invoke' in sys.modules)", cwd=project)

    assert (loaded.stdout, loaded.stderr) == ("False\n", "")


@pytest.mark.parametrize("use", READING_COMMANDS)
def test_a_reading_task_answers_the_same_everywhere_and_creates_nothing(project_at_head: Path, use: str) -> None:
    nested = project_at_head / "dormatory" / "project" / "templates"
    before = file_contents(project_at_head)

    above, below = inv(*use.split(), cwd=project_at_head), inv(*use.split(), cwd=nested)

    assert (above.code, above.stderr) == (0, "")
    assert below == above
    assert file_contents(project_at_head) == before


@pytest.mark.parametrize(("use", "code"), [("db.status", 0), ("db.current", 3)])
def test_reading_does_not_create_a_missing_database(project: Path, use: str, code: int) -> None:
    before = file_contents(project)

    assert inv(use, cwd=project).code == code

    assert file_contents(project) == before


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ("db.upgrade 003", "No idea what '003' is; options are flags, such as --to 003; see: inv --help db.upgrade"),
        ("db.nothing", "there is no task db.nothing; see: inv --list"),
        ("db.upgrde", "there is no task db.upgrde; did you mean inv db.upgrade?"),
        ("upgrade", "there is no task upgrade; did you mean inv db.upgrade?"),
        ("db.heads db.upgrde", "there is no task db.upgrde; did you mean inv db.upgrade?"),
        ("db.upgrade --bakup", "db.upgrade has no option --bakup; did you mean inv db.upgrade --backup?"),
        ("db.upgrade -q", "db.upgrade has no option -q; see: inv --help db.upgrade"),
        ("db.upgrade --to", "--to needs a value, such as --to=VALUE; see: inv --help db.upgrade"),
        ("db.show", "db.show needs REV; see: inv --help db.show"),
    ],
)
def test_a_bare_word_is_wrong_use_and_touches_nothing(project: Path, use: str, message: str) -> None:
    before = file_contents(project)

    refused = inv(*use.split(), cwd=project)

    assert (refused.code, refused.stdout) == (2, "")
    assert refused.stderr == f"error: {message}\n"
    assert file_contents(project) == before


def test_a_copied_tasks_file_acts_on_the_project_that_it_is_in(other_project: Path) -> None:
    nested = other_project / "alembic" / "versions"

    inside, from_elsewhere = inv("db.history", cwd=nested), inv("-r", str(other_project), "db.history", cwd=ROOT)

    assert (inside.code, inside.stdout, inside.stderr) == (0, "base -> 001 (head, pending)  Keep orders.\n", "")
    assert from_elsewhere == inside
    assert (other_project / "dormatory.db").is_file()
