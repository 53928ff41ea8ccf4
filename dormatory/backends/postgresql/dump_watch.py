"""Watches a running pg_dump: what it waits for is said after some seconds, and it is ended after a limit."""

from __future__ import annotations

import logging
import secrets
from time import monotonic
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.blockers import find_blocker
from dormatory.backends.postgresql.connection import postgresql_connection
from dormatory.errors import BackupFailedError, DatabaseFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.backends.url import Target

_SILENT_SECONDS = 10.0  # how long a dump may write nothing before the server is asked
_PAUSE_SECONDS = 5.0  # between two questions
_LOG = logging.getLogger("dormatory")
_SESSION_QUERY = "SELECT pid, wait_event_type = 'Client' FROM pg_stat_activity WHERE application_name = %s"


class DumpWatch:
    """Watches the file that a dump writes; while it does not grow, the server is asked about `program_name`."""

    def __init__(self, target: Target, part: Path, wait_seconds: float) -> None:
        self._target, self._part, self._wait_seconds = target, part, wait_seconds
        self.program_name = f"dormatory backup {secrets.token_hex(4)}"
        self._size, self._grown_at, self._ask_at, self._has_warned = -1, monotonic(), 0.0, False

    def check(self) -> None:
        """Warn of a dump that waits; raise BackupFailedError for one that has waited for too long."""
        size, now = self._part.stat().st_size, monotonic()
        if size != self._size:
            self._size, self._grown_at = size, now
        silent_seconds = now - self._grown_at
        if silent_seconds < min(_SILENT_SECONDS, self._wait_seconds) or now < self._ask_at:
            return
        self._ask_at = now + min(_PAUSE_SECONDS, self._wait_seconds)
        reason = self._reason()
        if not reason:  # the server is working
            self._grown_at = now
        elif silent_seconds >= self._wait_seconds:
            fix = "wait for that to end, or end it, then run the command again; lock_wait in the ini file is the limit"
            raise BackupFailedError(str(self._target), f"{reason}; waited {self._wait_seconds:g} s", fix=fix)
        elif not self._has_warned:
            text = "the backup of %s waits (%s); at most %g s"
            _LOG.warning(text, self._target, reason, self._wait_seconds)
            self._has_warned = True

    def _reason(self) -> str:
        """Return what the session of pg_dump waits for, or "" if it does not wait."""
        try:
            with postgresql_connection(self._target) as connection, connection.cursor() as cursor:
                cursor.execute(_SESSION_QUERY, (self.program_name,))
                pid, waits_for_client = cursor.fetchone() or (0, True)
                if blocker := find_blocker(cursor, pid):
                    return f"for a lock: {blocker}"
        except DatabaseFailedError as error:
            return f"the server does not answer: {error.why}"
        return "the connection passes nothing on" if waits_for_client else ""
