"""How a command ends: every exit code, and which one an error, a signal or a crash leads to."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import TYPE_CHECKING

from dormatory.errors import DormatoryError
from dormatory.system.signals import TerminatedError, interruption_note, raise_on_signals, stop_if_interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})  # the disk, the user's share of it, the limit of a file


class ExitCode(IntEnum):
    """What a command returns to its caller; MIGRATIONS.md lists the codes."""

    SUCCESS = 0
    FINDINGS = 1
    USAGE = 2
    FAILED = 3
    CRASHED = 70
    INTERRUPTED = 130
    OUTPUT_CLOSED = 141  # as a shell says of a program that ends by SIGPIPE
    TERMINATED = 143


class EarlyExitError(Exception):
    """A command ended early; `message` is one line for standard error, without a line end."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def findings_exit_code(*, has_findings: bool) -> ExitCode:
    """Return the exit code of a command that looks for something: findings, differences, pending revisions."""
    return ExitCode.FINDINGS if has_findings else ExitCode.SUCCESS


def error_exit_code(error: DormatoryError) -> ExitCode:
    """Return the exit code of a command that an error ends."""
    return ExitCode.FAILED if error.is_failure else ExitCode.USAGE


@contextmanager
def convert_errors(*, debug: bool, passthrough: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn an error, a signal or a crash in the block into an EarlyExitError; with `debug`, print a crash's traceback.

    Exceptions of the types in `passthrough` stay as they are: a framework's own way to exit.
    """
    try:
        with raise_on_signals():
            yield
            sys.stdout.flush()
            with interruption_note(lambda: "it came too late: the command has done all that it should"):
                stop_if_interrupted()
    except passthrough:
        raise
    except BrokenPipeError:  # the reader has all that it wanted, as in `inv db.history | head -1`
        _discard_output()
        raise EarlyExitError(ExitCode.OUTPUT_CLOSED, "") from None
    except DormatoryError as error:
        raise EarlyExitError(error_exit_code(error), f"error: {error}") from error
    except KeyboardInterrupt as signal:
        raise EarlyExitError(ExitCode.INTERRUPTED, _with_note("interrupted", signal)) from None
    except TerminatedError as signal:
        raise EarlyExitError(ExitCode.TERMINATED, _with_note("terminated", signal)) from None
    except OSError as error:
        if error.errno not in _FULL:
            raise _crash(error, debug=debug) from error
        _discard_output()
        what = f"error: nothing more can be written ({error.strerror}); free some space, then run the command again"
        raise EarlyExitError(ExitCode.FAILED, what) from error
    except Exception as error:  # a crash must not look like a finding
        raise _crash(error, debug=debug) from error


def _with_note(word: str, signal: BaseException) -> str:
    """Return what happened, and the innermost note: the state of the database, and what to do next."""
    notes = getattr(signal, "__notes__", ())
    return f"{word}: {notes[0]}" if notes else word


def _crash(error: Exception, *, debug: bool) -> EarlyExitError:
    if debug:
        traceback.print_exc()
    advice = "" if debug else "; run again with: inv --debug"
    return EarlyExitError(ExitCode.CRASHED, f"internal error: {type(error).__name__} (a bug of this workflow){advice}")


def _discard_output() -> None:
    """Let what is left for standard output go nowhere: Python would fail once more on it when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
