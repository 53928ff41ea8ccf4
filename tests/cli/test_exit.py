"""However a command ends early, it ends with the exit code that was promised, and never like a finding."""

from __future__ import annotations

import pytest

from dormatory.cli.exit import EndedError, ending
from dormatory.errors import ExitCode, NoDestinationError
from dormatory.system.signals import TerminatedError


def ended(error: BaseException, *, debugging: bool = False) -> EndedError:
    """Return how a command ends in which this is raised."""
    with pytest.raises(EndedError) as caught, ending(debugging=debugging):
        raise error
    return caught.value


def test_an_error_of_ours_is_one_line_and_its_own_exit_code() -> None:
    end = ended(NoDestinationError())
    assert (end.code, end.message) == (ExitCode.USAGE, f"error: {NoDestinationError()}")


def test_a_crash_is_told_from_a_finding() -> None:
    end = ended(LookupError("no such thing"))
    assert (end.code, end.message) == (
        ExitCode.CRASHED,
        "internal error: LookupError (a bug of this workflow); run again with: inv --debug",
    )


def test_a_crash_shows_where_it_happened_only_if_asked(capsys: pytest.CaptureFixture[str]) -> None:
    ended(LookupError("no such thing"))
    assert capsys.readouterr().err == ""
    end = ended(LookupError("no such thing"), debugging=True)
    assert capsys.readouterr().err.endswith("LookupError: no such thing\n")
    assert (end.code, end.message) == (ExitCode.CRASHED, "internal error: LookupError (a bug of this workflow)")


def test_ctrl_c_and_sigterm_have_exit_codes_of_their_own() -> None:
    assert ended(KeyboardInterrupt()).code == ExitCode.INTERRUPTED
    assert ended(TerminatedError()).code == ExitCode.TERMINATED


def test_what_a_framework_raises_to_exit_passes() -> None:
    with pytest.raises(LookupError), ending(debugging=False, passing=(LookupError,)):
        raise LookupError
