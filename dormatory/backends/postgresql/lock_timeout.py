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

    from dormatory.backends.postgresql.blockers import Blocker, Lookout

_NOT_AVAILABLE = "55P03"  # lock_not_available: https://www.postgresql.org/docs/current/errcodes-appendix.html
_GLANCES = 4  # how often to look who is in the way before the limit is reached
_LONGEST_SECONDS = 0.5  # between two looks: a revision may have set a shorter limit
_CONCURRENTLY = re.compile(r"\s*(?:CREATE|DROP|REINDEX)\b[^;]*?\bCONCURRENTLY\b", re.IGNORECASE)


class Patience:
    """The lock_timeout of a session that migrates.

    It is sent to the driver directly: what SQLAlchemy would begin for it, Alembic would take for the caller's own
    transaction, and leave uncommitted. SET and SHOW are no queries: a revision may still set its isolation level.

    CREATE INDEX CONCURRENTLY and its kin wait for transactions to end, with nobody behind them, and leave an invalid
    index when they give up, so our own limit is lifted for them; one that role, URL or revision sets is not.
    """

    def __init__(self, connection: Connection, seconds: float, lookout: Lookout | None) -> None:
        self._connection, self._lookout = connection, lookout
        self._before = self._shown()
        self._is_ours = self._before == "0" and seconds > 0
        if self._is_ours:
            self._set(f"{max(seconds * 1000, 1):.0f}ms")
        self._limit = self._shown()  # as the server writes it
        self._is_lifted = False
        self._settle()

    def begin(self) -> None:
        """Set the limit that holds at the beginning of each revision, whatever the one before it has set."""
        self._set(self._limit)
        if self._lookout:
            self._lookout.forget()

    def is_over(self, error: BaseException) -> bool:
        """Say whether an error means that a lock was not given in time."""
        if not isinstance(error, DBAPIError):
            return False
        code = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None)
        return bool(code == _NOT_AVAILABLE)

    @property
    def blocker(self) -> Blocker | None:
        """The session that was last seen in the way."""
        return self._lookout.seen if self._lookout else None

    def lift(self, _connection: object, _cursor: object, sql: str, *_: object) -> None:
        """Lift our own limit for a statement that nobody queues behind."""
        if self._is_ours and self._is_alone and _CONCURRENTLY.match(sql) and self._shown() == self._limit:
            self._is_lifted = True
            self._set("0")

    def lower(self, *_: object) -> None:
        """Set our own limit again after such a statement."""
        if self._is_lifted:
            self._is_lifted = False
            self._set(self._limit)

    def give_back(self) -> None:
        """Leave the session as it was found, where it still answers."""
        with contextlib.suppress(self._connection.dialect.loaded_dbapi.Error):
            self._set(self._before)
            self._settle()

    @property
    def _is_alone(self) -> bool:
        """Whether each statement is a transaction of its own."""
        return getattr(self._connection.connection.dbapi_connection, "autocommit", False) is True

    def _settle(self) -> None:
        """End what the driver began by itself."""
        if not self._connection.in_transaction():
            self._driver.commit()

    @property
    def _driver(self) -> Any:
        return self._connection.connection.dbapi_connection

    def _set(self, limit: str) -> None:
        with contextlib.closing(self._driver.cursor()) as cursor:
            cursor.execute(f"SET lock_timeout = '{limit}'")  # the server's own text, or ours

    def _shown(self) -> str:
        with contextlib.closing(self._driver.cursor()) as cursor:
            cursor.execute("SHOW lock_timeout")
            return str(cursor.fetchone()[0])


@contextlib.contextmanager
def limited(connection: Connection, seconds: float, lookout: Lookout | None) -> Iterator[Patience]:
    """Let a connection wait at most `seconds` for a lock, where neither its role nor its URL says how long.

    With a `lookout`, a thread sees meanwhile who is in the way.
    """
    patience = Patience(connection, seconds, lookout)
    event.listen(connection, "before_cursor_execute", patience.lift)
    event.listen(connection, "after_cursor_execute", patience.lower)
    driver: Any = connection.connection.dbapi_connection
    every = min(seconds / _GLANCES or _LONGEST_SECONDS, _LONGEST_SECONDS)
    watching = lookout.watching(driver.info.backend_pid, every) if lookout else contextlib.nullcontext()
    try:
        with watching:
            yield patience
    finally:
        event.remove(connection, "before_cursor_execute", patience.lift)
        event.remove(connection, "after_cursor_execute", patience.lower)
        patience.give_back()
