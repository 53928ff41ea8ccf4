"""Watches a running pg_dump or pg_restore: says after some seconds what it waits for, and ends it after a limit."""

from __future__ import annotations

import logging
import secrets
from abc import ABC, abstractmethod
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

from dormatory.backends.postgresql.session_wait import STALLED, find_session_wait
from dormatory.errors import BackupFailedError, DatabaseFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.backends.url import Target

_SILENT_SECONDS = 10.0  # how long a program may make no progress before the server is asked
_PAUSE_SECONDS = 5.0  # between two questions
_FIX = "wait for that to end, or end it, then run the command again; lock_wait in the ini file is the limit"
_LOG = logging.getLogger("dormatory")


class ProgramWatch(ABC):
    """Watches the progress of a program; while there is none, the server is asked about its session, `program_name`."""

    def __init__(self, target: Target, wait_seconds: float) -> None:
        self._target, self._wait_seconds = target, wait_seconds
        self.program_name = f"dormatory {secrets.token_hex(4)}"
        self._progress, self._progressed_at, self._ask_at, self._has_warned = -1, monotonic(), 0.0, False

    def check(self) -> None:
        """Warn of a program that waits; raise what `failure` returns for one that has waited for too long."""
        silent_seconds, now = self._silent_seconds(self.visible_progress()), monotonic()
        if silent_seconds < min(_SILENT_SECONDS, self._wait_seconds) or now < self._ask_at:
            return
        self._ask_at = now + min(_PAUSE_SECONDS, self._wait_seconds)
        reason = self.reason()
        if not reason:  # the server is working
            self._progressed_at = now
        elif silent_seconds >= self._wait_seconds:
            raise self.failure(f"{reason}; waited {self._wait_seconds:g} s")
        elif not self._has_warned:
            _LOG.warning("the %s of %s waits (%s); at most %g s", self.action, self._target, reason, self._wait_seconds)
            self._has_warned = True

    def _silent_seconds(self, progress: int) -> float:
        """Return for how long the progress has been the same."""
        if progress != self._progress:
            self._progress, self._progressed_at = progress, monotonic()
        return monotonic() - self._progressed_at

    action: ClassVar[str]
    """What the program makes of the target."""

    @abstractmethod
    def visible_progress(self) -> int:
        """Return a number that changes while the program works, as far as it is known without a question."""

    @abstractmethod
    def reason(self) -> str:
        """Ask the server, and return what the program waits for, "" if it does not wait."""

    @abstractmethod
    def failure(self, reason: str) -> DatabaseFailedError:
        """Return the error for a program that was ended."""


class DumpWatch(ProgramWatch):
    """Watches a pg_dump by the file that it writes."""

    action = "backup"

    def __init__(self, target: Target, part: Path, wait_seconds: float) -> None:
        super().__init__(target, wait_seconds)
        self._part = part

    def visible_progress(self) -> int:
        """Return the size of the file."""
        return self._part.stat().st_size

    def reason(self) -> str:
        """Ask for the session of pg_dump."""
        wait = find_session_wait(self._target, "application_name", self.program_name)
        return wait.lock or wait.silence or (STALLED if wait.waits_for_client else "")

    def failure(self, reason: str) -> DatabaseFailedError:
        """Return the error for a backup that was not made."""
        return BackupFailedError(str(self._target), reason, fix=_FIX)


class RestoreWatch(ProgramWatch):
    """Watches a pg_restore by the size of the database that it fills: only the server knows that."""

    action = "restore"

    def __init__(self, target: Target, new_name: str, wait_seconds: float) -> None:
        super().__init__(target, wait_seconds)
        self._new, self._size = target.with_database(new_name), -1

    def visible_progress(self) -> int:
        """Return the size that the server has told last."""
        return self._size

    def reason(self) -> str:
        """Ask for the session of pg_restore: one that waits for more while the database does not grow has stalled."""
        wait = find_session_wait(self._new, "application_name", self.program_name)
        has_grown, self._size = wait.size_bytes != self._size, wait.size_bytes
        return wait.lock or wait.silence or (STALLED if wait.waits_for_client and not has_grown else "")

    def failure(self, reason: str) -> DatabaseFailedError:
        """Return the error for a restore that changed nothing."""
        return DatabaseFailedError(f"{self._target} was not restored", why=reason, fix=f"it is as it was; {_FIX}")
