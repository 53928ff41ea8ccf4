"""How long a migration waits for a lock on PostgreSQL: everybody who comes later queues behind who waits."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from dormatory.backends.postgresql.blockers import Blocker, BlockerMonitor

_LOCK_NOT_AVAILABLE = "55P03"  # lock_not_available: https://www.postgresql.org/docs/current/errcodes-appendix.html
_POLLS_PER_LIMIT = 4  # how often to look who is in the way before the limit is reached
_MAX_POLL_SECONDS = 0.5  # between two looks: a revision may have set a shorter limit
_CONCURRENTLY = re.compile(r"\s*(?:CREATE|DROP|REINDEX)\b[^;]*?\bCONCURRENTLY\b", re.IGNORECASE)


class SessionLockTimeout:
    """The lock_timeout of a session that migrates.

    It is sent to the driver directly: what SQLAlchemy would begin for it, Alembic would take for the caller's own
    transaction, and leave uncommitted. SET and SHOW are no queries: a revision may still set its isolation level.

    CREATE INDEX CONCURRENTLY and its kin wait for transactions to end, with nobody behind them, and leave an invalid
    index when they give up, so our own limit is lifted for them; one that role, URL or revision sets is not.
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
        """Set the limit that holds at the beginning of each revision, whatever the one before it has set."""
        self._set_limit(self._limit)
        if self._monitor:
            self._monitor.reset()

    def is_timeout(self, error: BaseException) -> bool:
        """Say whether an error means that a lock was not given in time."""
        if not isinstance(error, DBAPIError):
            return False
        code = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None)
        return bool(code == _LOCK_NOT_AVAILABLE)

    @property
    def blocker(self) -> Blocker | None:
        """The session that was last seen in the way."""
        return self._monitor.last_blocker if self._monitor else None

    def suspend(self, _connection: object, _cursor: object, sql: str, *_: object) -> None:
        """Lift our own limit for a statement that nobody queues behind."""
        if (
            self._has_set_limit
            and self._is_autocommit
            and _CONCURRENTLY.match(sql)
            and self._current_limit() == self._limit
        ):
            self._is_suspended = True
            self._set_limit("0")

    def resume(self, *_: object) -> None:
        """Set our own limit again after such a statement."""
        if self._is_suspended:
            self._is_suspended = False
            self._set_limit(self._limit)

    def restore(self) -> None:
        """Leave the session as it was found, where it still answers."""
        with contextlib.suppress(self._connection.dialect.loaded_dbapi.Error):
            self._set_limit(self._previous_limit)
            self._end_implicit_transaction()

    @property
    def _is_autocommit(self) -> bool:
        """Whether each statement is a transaction of its own."""
        return getattr(self._connection.connection.dbapi_connection, "autocommit", False) is True

    def _end_implicit_transaction(self) -> None:
        """End what the driver began by itself."""
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
    """Let a connection wait at most `seconds` for a lock, where neither its role nor its URL says how long.

    With a `lookout`, a thread sees meanwhile who is in the way.
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
