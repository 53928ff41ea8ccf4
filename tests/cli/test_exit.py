"""A command that ends early has the documented exit code, and never that of a finding."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.cli.exit import EarlyExitError, ExitCode, convert_errors
from dormatory.commands.schema_dump import committed_file, write_dump
from dormatory.errors import EmptyDestinationError, MissingDatabaseError
from dormatory.report.formats import FORMATS
from dormatory.safety.backups import create_backup
from dormatory.system.signals import TerminatedError
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from tests.conftest import Inv, SmallProject


def exit_error_for(error: BaseException, *, debugging: bool = False) -> EarlyExitError:
    """Return the early exit of a command that raises an error."""
    with pytest.raises(EarlyExitError) as caught, convert_errors(debug=debugging):
        raise error
    return caught.value


def test_an_error_of_ours_is_one_line_and_its_own_exit_code() -> None:
    end = exit_error_for(EmptyDestinationError())
    assert (end.code, end.message) == (ExitCode.USAGE, f"error: {EmptyDestinationError()}")


def test_a_failed_database_has_another_exit_code_than_wrong_use() -> None:
    assert exit_error_for(MissingDatabaseError("shop")).code == ExitCode.FAILED


def test_a_crash_has_another_exit_code_than_a_finding() -> None:
    end = exit_error_for(LookupError("no such thing"))
    assert (end.code, end.message) == (
        ExitCode.CRASHED,
        "internal error: LookupError (a bug of this workflow); run again with: inv --debug",
    )


def test_a_crash_shows_where_it_happened_only_if_asked(capsys: pytest.CaptureFixture[str]) -> None:
    exit_error_for(LookupError("no such thing"))
    assert capsys.readouterr().err == ""
    end = exit_error_for(LookupError("no such thing"), debugging=True)
    assert capsys.readouterr().err.endswith("LookupError: no such thing\n")
    assert (end.code, end.message) == (ExitCode.CRASHED, "internal error: LookupError (a bug of this workflow)")


def test_ctrl_c_and_sigterm_have_exit_codes_of_their_own() -> None:
    assert exit_error_for(KeyboardInterrupt()).code == ExitCode.INTERRUPTED
    assert exit_error_for(TerminatedError()).code == ExitCode.TERMINATED


def test_what_a_framework_raises_to_exit_passes() -> None:
    with pytest.raises(LookupError), convert_errors(debug=False, passthrough=(LookupError,)):
        raise LookupError


TASK_NAMES = runpy.run_path(str(REPOSITORY / "tasks.py"))["namespace"].task_names
# What a task is called with; the others are called without options.
ARGUMENTS = {
    "db.check": ("--backend=sqlite",),
    "db.create": ("--message=Add nothing",),
    "db.rehearse": ("--sample=5",),
    "db.restore": ("copy.db",),
    "db.revision": ("--message=Add nothing", "--empty", "--no-proof"),
    "db.round-trip": ("--backend=sqlite",),
    "db.schema-dump": ("--backend=sqlite", "--diff"),
    "db.show": ("002",),
    "db.stamp": ("--to=001",),
}
OTHER_CALLS = (
    ("db.check", "--explain=no-downgrade"),
    ("db.check", "--live"),
    ("db.create", "--from-dump"),
    ("db.schema-dump", "--backend=sqlite"),
    ("db.schema-dump", "--live"),
    ("db.status", "--json"),
    ("db.upgrade", "--sql"),
    ("db.upgrade", "--verbose", "--backup"),
    *(("db.check", "--only=graph", f"--format={name}") for name in FORMATS),
    ("db.round-trip", "--backend=sqlite", "--revision=001", "--format=json"),
)
OTHERS_WRITE = frozenset({"db.shell"})  # a program of its own, which ends as it likes
CALLS = (
    *((task, *ARGUMENTS.get(task, ())) for task in sorted(TASK_NAMES) if task not in OTHERS_WRITE),
    *OTHER_CALLS,
)
every_call = pytest.mark.parametrize("call", CALLS, ids=" ".join)


class WritingProject:
    """A project on which every task has something to write: a pending revision, a dump file, a backup."""

    def __init__(self, project: SmallProject) -> None:
        self._project, self._url = project, f"sqlite:///{project.root}/x.db"
        project.write_table_revisions("a", "b")
        write_dump(committed_file(project.project, "sqlite"), "CREATE TABLE c (x);\n")
        project.upgrade(self._url, "001")
        copy = create_backup(project.project, project.project.target({"DATABASE_URL": self._url}))
        copy.with_name("copy.db").write_bytes(copy.read_bytes())

    def run(self, output: int, task: str, *options: str) -> tuple[int, str]:
        """Run a task with another standard output; return its exit code and what it says."""
        if options == ("--from-dump",):
            (self._project.root / "x.db").unlink()
        ended = subprocess.run(
            [sys.executable, "-m", "invoke", task, *options], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True,
            env=self._project.command_environment(self._url, {}), stdout=output, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        return ended.returncode, ended.stderr


@pytest.fixture
def writing_project(small_project: SmallProject) -> WritingProject:
    return WritingProject(small_project)


@every_call
def test_a_reader_that_has_gone_ends_a_command_quietly(writing_project: WritingProject, call: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        code, messages = writing_project.run(writing, *call)
    finally:
        os.close(writing)
    assert code == ExitCode.OUTPUT_CLOSED, messages
    assert not re.search("error|exception|traceback|was emptied", messages, re.IGNORECASE)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full")
@every_call
def test_a_full_disk_is_one_line(writing_project: WritingProject, call: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        code, messages = writing_project.run(full.fileno(), *call)
    assert code == ExitCode.FAILED, messages
    errors = [line for line in messages.splitlines() if re.search("error|exception|traceback", line, re.IGNORECASE)]
    assert errors == [
        "error: nothing more can be written (No space left on device); free some space, then run the command again"
    ]


@pytest.mark.parametrize("task", ["db.history", "db.status", "db.upgrade"])
def test_closed_standard_streams_change_no_exit_code(small_project: SmallProject, task: str) -> None:
    small_project.write_table_revisions("a")
    command = f'exec "{sys.executable}" -m invoke {task} <&- >&- 2>&-'
    environ = small_project.command_environment(f"sqlite:///{small_project.root}/x.db", {})
    ended = subprocess.run(["sh", "-c", command], cwd=REPOSITORY, env=environ, check=False)
    assert ended.returncode == ExitCode.SUCCESS


def test_what_succeeds_says_what_to_type_next(small_project: SmallProject, inv: Inv) -> None:
    small_project.write_table_revisions("a", "b")
    url = f"sqlite:///{small_project.root}/x.db"
    ended = [
        inv(*task.split(), url=url).err.splitlines()[-1:]
        for task in ("db.create", "db.rehearse", "db.upgrade", "db.downgrade", "db.downgrade --to 001", "db.sum")
    ]
    assert ended[0] == ["next: inv db.upgrade"]
    assert ended[1] == ["next: inv db.upgrade"]
    assert "next" not in str(ended[2])
    assert ended[3] == ["next: inv db.upgrade goes up again, inv db.undo puts the backup back"]
    assert ended[4] == []  # there was nothing to do
    assert ended[5] == ["next: inv db.check"]
