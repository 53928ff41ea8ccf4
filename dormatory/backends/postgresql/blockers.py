"""Which session blocks another one on PostgreSQL: queried from a third one, since the blocked one can only wait."""

from __future__ import annotations

import contextlib
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import psycopg2

from dormatory.backends.base import Blocker
from dormatory.errors import LostLockError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

_MAX_QUERY_LENGTH = 120
_BLOCKER_QUERY = """
SELECT b.pid, coalesce(nullif(a.application_name, ''), 'an unnamed program'),
       coalesce(a.usename, 'unknown'), coalesce(extract(epoch FROM clock_timestamp() - a.xact_start)::int, 0),
       coalesce(a.query, '')
  FROM unnest(pg_blocking_pids(%s)) AS b (pid) LEFT JOIN pg_stat_activity a USING (pid)
 ORDER BY a.xact_start NULLS LAST LIMIT 1
"""


class SessionMonitor:
    """A connection in autocommit that queries which session blocks another one."""

    def __init__(self, connection: Any, masked_url: str, watch_stalls: Callable[[Any], None]) -> None:
        self._connection, self._masked_url, self._watch_stalls = connection, masked_url, watch_stalls
        self._last_blocker: Blocker | None = None

    def refuse_lost_lock(self) -> None:
        """Raise LostLockError if the connection is broken."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except psycopg2.Error as error:
            raise LostLockError(self._masked_url) from error

    def watch_stalls(self, connection: Connection) -> None:
        """Add the driver's connection to those that are watched."""
        self._watch_stalls(connection.connection.dbapi_connection)

    def reset(self) -> None:
        """Forget the session that was last seen."""
        self._last_blocker = None

    @property
    def last_blocker(self) -> Blocker | None:
        """The session last seen to hold the lock; of several, the one with the oldest transaction."""
        return self._last_blocker

    @contextlib.contextmanager
    def watch(self, pid: int, interval_seconds: float) -> Iterator[None]:
        """Query repeatedly, until the block ends, which session blocks the session of the process `pid`."""
        stopped = Event()

        def poll() -> None:
            with contextlib.suppress(psycopg2.Error):  # the connection broke; its next use raises the error
                while not stopped.wait(interval_seconds):
                    self._last_blocker = self._find_blocker(pid) or self._last_blocker

        thread = Thread(target=poll, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def _find_blocker(self, pid: int) -> Blocker | None:
        with self._connection.cursor() as cursor:
            return find_blocker(cursor, pid)


def find_blocker(cursor: Any, pid: int) -> Blocker | None:
    """Return the session that blocks the one of the process `pid`; of several, the one with the oldest transaction."""
    cursor.execute(_BLOCKER_QUERY, (pid,))
    row = cursor.fetchone()
    return _describe_blocker(*row) if row else None


def _describe_blocker(pid: int, program: str, role: str, transaction_seconds: int, query: str) -> Blocker:
    """Return the blocker as text; a prepared transaction belongs to no process, its `pid` is 0."""
    if not pid:
        return Blocker(pid, "a prepared transaction has it, see pg_prepared_xacts")
    age = f"in a transaction {transaction_seconds} s old"
    return Blocker(pid, f"pid {pid}, role {role}, {program}, has it, {age}: {shorten_query(query)}")


def shorten_query(query: str) -> str:
    """Return a statement in one line of limited length."""
    line = " ".join(query.split())
    return line if len(line) <= _MAX_QUERY_LENGTH else f"{line[: _MAX_QUERY_LENGTH - 1]}…"
