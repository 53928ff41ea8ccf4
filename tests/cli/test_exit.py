"""A command that ends early has the documented exit code, and never that of a finding."""

from __future__ import annotations

import pytest

from dormatory.cli.exit import EarlyExitError, ExitCode, convert_errors
from dormatory.errors import EmptyDestinationError, MissingDatabaseError
from dormatory.system.signals import TerminatedError


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
