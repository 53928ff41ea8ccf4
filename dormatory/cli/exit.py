"""How a command ends early: what it says on standard error, and its exit code; the same for each of our programs."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dormatory.errors import DormatoryError, ExitCode
from dormatory.system.signals import TerminatedError, raise_on_signals

if TYPE_CHECKING:
    from collections.abc import Iterator


class EarlyExitError(Exception):
    """A command has ended early; `message` is a line for standard error, without its end."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@contextmanager
def convert_errors(*, debug: bool, passthrough: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn whatever ends the block early into an EndedError; a crash shows where it happened where we are `debugging`.

    What is `passing` stays what it is: a framework's own way to exit.
    """
    try:
        with raise_on_signals():
            yield
    except passthrough:
        raise
    except DormatoryError as error:
        raise EarlyExitError(error.exit_code, f"error: {error}") from error
    except KeyboardInterrupt:
        raise EarlyExitError(ExitCode.INTERRUPTED, "interrupted") from None
    except TerminatedError:
        raise EarlyExitError(ExitCode.TERMINATED, "terminated") from None
    except Exception as error:  # the last line of defence: a crash must not look like a finding
        if debug:
            traceback.print_exc()
        advice = "" if debug else "; run again with: inv --debug"
        what = f"internal error: {type(error).__name__} (a bug of this workflow){advice}"
        raise EarlyExitError(ExitCode.CRASHED, what) from error
