"""A command that ends early has the documented exit code, and never that of a finding."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.cli.exit import EarlyExitError, ExitCode, convert_errors
from dormatory.errors import EmptyDestinationError, MissingDatabaseError
from dormatory.system.signals import TerminatedError
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from tests.conftest import SmallProject


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


def run_with_output(project: SmallProject, output: int, *task: str) -> tuple[int, str]:
    """Run a task with another standard output; return its exit code and what it says."""
    ended = subprocess.run(
        [sys.executable, "-m", "invoke", *task], cwd=REPOSITORY, env=project.command_environment(None, {}),
        stdout=output, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    return ended.returncode, ended.stderr


@pytest.mark.parametrize("task", ["db.history", "db.status", "db.check"])
def test_a_reader_that_has_gone_ends_a_command_quietly(small_project: SmallProject, task: str) -> None:
    small_project.write_table_revisions("a", "b")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert run_with_output(small_project, writing, task) == (ExitCode.OUTPUT_CLOSED, "")
    finally:
        os.close(writing)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full")
@pytest.mark.parametrize("task", ["db.history", "db.status"])
def test_a_full_disk_is_one_line(small_project: SmallProject, task: str) -> None:
    small_project.write_table_revisions("a", "b")
    with Path("/dev/full").open("w") as full:
        code, message = run_with_output(small_project, full.fileno(), task)
    assert code == ExitCode.FAILED
    assert message == (
        "error: nothing more can be written (No space left on device); free some space, then run the command again\n"
    )


@pytest.mark.parametrize("task", ["db.history", "db.status", "db.upgrade"])
def test_closed_standard_streams_change_no_exit_code(small_project: SmallProject, task: str) -> None:
    small_project.write_table_revisions("a")
    command = f'exec "{sys.executable}" -m invoke {task} <&- >&- 2>&-'
    environ = small_project.command_environment(f"sqlite:///{small_project.root}/x.db", {})
    ended = subprocess.run(["sh", "-c", command], cwd=REPOSITORY, env=environ, check=False)
    assert ended.returncode == ExitCode.SUCCESS
