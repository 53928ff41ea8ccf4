"""Who keeps a session of PostgreSQL waiting: seen from another one, since the session itself can only wait."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import psycopg2

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_QUERY_LENGTH = 120
_BLOCKER_QUERY = """
SELECT b.pid, coalesce(nullif(a.application_name, ''), 'an unnamed program'),
       coalesce(extract(epoch FROM clock_timestamp() - a.xact_start)::int, 0), coalesce(a.query, '')
  FROM unnest(pg_blocking_pids(%s)) AS b (pid) LEFT JOIN pg_stat_activity a USING (pid)
 ORDER BY a.xact_start NULLS LAST LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session in the way: its process, its program, the age of its transaction in seconds, its latest query.

    A prepared transaction belongs to no process; its `pid` is 0.
    """

    pid: int
    program: str
    transaction_seconds: int
    query: str

    def __str__(self) -> str:
        if not self.pid:
            return "a prepared transaction has it, see pg_prepared_xacts"
        line = " ".join(self.query.split())
        line = line if len(line) <= _MAX_QUERY_LENGTH else f"{line[: _MAX_QUERY_LENGTH - 1]}…"
        return f"pid {self.pid}, {self.program}, has it, in a transaction {self.transaction_seconds} s old: {line}"


class BlockerMonitor:
    """A connection in autocommit that watches over another one."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._last_blocker: Blocker | None = None

    def reset(self) -> None:
        """Forget whoever was in the way."""
        self._last_blocker = None

    @property
    def last_blocker(self) -> Blocker | None:
        """The session that was last seen in the way, the one with the oldest transaction if there were several."""
        return self._last_blocker

    @contextlib.contextmanager
    def watch(self, pid: int, interval_seconds: float) -> Iterator[None]:
        """Look again and again, for the length of the block, who keeps the session of process `pid` waiting."""
        stopped = Event()

        def poll() -> None:
            with contextlib.suppress(psycopg2.Error):  # the connection broke; whoever needs it will be told
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
            cursor.execute(_BLOCKER_QUERY, (pid,))
            row = cursor.fetchone()
        return Blocker(*row) if row else None
