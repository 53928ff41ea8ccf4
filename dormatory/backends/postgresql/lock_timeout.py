"""Set lock_timeout for a migration on PostgreSQL: while it waits for a lock, later sessions queue behind it."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from dormatory.backends.driver import sql_state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from dormatory.backends.base import Blocker, BlockerMonitor

_LOCK_NOT_AVAILABLE = "55P03"  # lock_not_available: https://www.postgresql.org/docs/current/errcodes-appendix.html
_POLLS_PER_LIMIT = 4  # how often to query for the blocker before the limit is reached
_MAX_POLL_SECONDS = 0.5  # between two queries: a revision may have set a shorter limit
_CONCURRENTLY = re.compile(r"\s*(?:CREATE|DROP|REINDEX)\b[^;]*?\bCONCURRENTLY\b", re.IGNORECASE)


class SessionLockTimeout:
    """The lock_timeout of a session that migrates.

    It is sent to the driver directly: Alembic would take a transaction that SQLAlchemy begins for it for the caller's
    own, and leave it uncommitted. SET and SHOW are no queries: a revision may still set its isolation level.

    CREATE INDEX CONCURRENTLY and similar statements wait for transactions to end, no session queues behind them, and
    they leave an invalid index when they give up. So the limit set here does not apply to them; one that the role, the
    URL or the revision sets does.
    """

    def __init__(self, connection: Connection, seconds: float, monitor: BlockerMonitor | None) -> None:
        self._connection, self._monitor = connection, monitor
        self._previous_limit = self._current_limit()
        self._has_set_limit = self._previous_limit == "0" and seconds > 0
        if self._has_set_limit:
            self._set_limit(f"{max(seconds * 1000, 1):.0f}ms")
        self._limit = self._current_limit()  # as the server writes it
        self._is_suspended = False
        self._end_implicit_transaction()

    def begin_revision(self) -> None:
        """Set the limit that holds at the beginning of each revision, whatever the revision before it has set."""
        self._set_limit(self._limit)
        if self._monitor:
            self._monitor.reset()

    def is_timeout(self, error: BaseException) -> bool:
        """Return whether an error means that a lock was not granted in time."""
        if not isinstance(error, DBAPIError):
            return False
        return sql_state(error.orig) == _LOCK_NOT_AVAILABLE

    @property
    def blocker(self) -> Blocker | None:
        """The session that was last seen to hold the lock."""
        return self._monitor.last_blocker if self._monitor else None

    def suspend(self, _connection: object, _cursor: object, sql: str, *_: object) -> None:
        """Set no limit for a statement behind which no session queues."""
        if (
            self._has_set_limit
            and self._is_autocommit
            and _CONCURRENTLY.match(sql)
            and self._current_limit() == self._limit
        ):
            self._is_suspended = True
            self._set_limit("0")

    def resume(self, *_: object) -> None:
        """Set the limit again after such a statement."""
        if self._is_suspended:
            self._is_suspended = False
            self._set_limit(self._limit)

    def restore(self) -> None:
        """Set the limit that the session had before, if the connection still works."""
        with contextlib.suppress(self._connection.dialect.loaded_dbapi.Error):
            self._set_limit(self._previous_limit)
            self._end_implicit_transaction()

    @property
    def _is_autocommit(self) -> bool:
        """Whether each statement is a transaction of its own."""
        return getattr(self._connection.connection.dbapi_connection, "autocommit", False) is True

    def _end_implicit_transaction(self) -> None:
        """End the transaction that the driver began by itself."""
        if not self._connection.in_transaction():
            self._driver_connection.commit()

    @property
    def _driver_connection(self) -> Any:
        return self._connection.connection.dbapi_connection

    def _set_limit(self, limit: str) -> None:
        with contextlib.closing(self._driver_connection.cursor()) as cursor:
            cursor.execute(f"SET lock_timeout = '{limit}'")  # the server's own text, or ours

    def _current_limit(self) -> str:
        with contextlib.closing(self._driver_connection.cursor()) as cursor:
            cursor.execute("SHOW lock_timeout")
            return str(cursor.fetchone()[0])


@contextlib.contextmanager
def set_lock_timeout(
    connection: Connection, seconds: float, monitor: BlockerMonitor | None
) -> Iterator[SessionLockTimeout]:
    """Let a connection wait at most `seconds` for a lock, unless its role or its URL sets a limit.

    With a `monitor`, a thread watches meanwhile which session holds the lock.
    """
    timeout = SessionLockTimeout(connection, seconds, monitor)
    event.listen(connection, "before_cursor_execute", timeout.suspend)
    event.listen(connection, "after_cursor_execute", timeout.resume)
    driver: Any = connection.connection.dbapi_connection
    interval_seconds = min(seconds / _POLLS_PER_LIMIT or _MAX_POLL_SECONDS, _MAX_POLL_SECONDS)
    watching = monitor.watch(driver.info.backend_pid, interval_seconds) if monitor else contextlib.nullcontext()
    try:
        with watching:
            yield timeout
    finally:
        event.remove(connection, "before_cursor_execute", timeout.suspend)
        event.remove(connection, "after_cursor_execute", timeout.resume)
        timeout.restore()
