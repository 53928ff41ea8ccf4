"""Find out what statements do to a SQLite database: tables they write to (sqlite3 authorizer), foreign keys."""

from __future__ import annotations

import re
import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from dormatory.backends import driver
from dormatory.backends.tracer import NO_EFFECTS, StatementEffects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from dormatory.schema.snapshot import TableId

_WRITE_ACTIONS = frozenset({sqlite3.SQLITE_DELETE, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE})
_FOREIGN_KEYS_PRAGMA = re.compile(r"\s*PRAGMA\s+(?:\w+\.)?foreign_keys\s*[=(]", re.IGNORECASE)


def statement_tracer(connection: Connection, *, is_scratch: bool) -> SQLiteStatementTracer:  # noqa: ARG001  # PostgreSQL
    """Return a tracer for this connection."""
    return SQLiteStatementTracer(connection)


class SQLiteStatementTracer:
    """Reads whether a PRAGMA switched foreign keys: SQLite ignores it within a transaction, without a word.

    There are no locks to find: SQLite locks the whole file.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._was_enforced = False

    def prepare(self, connection: Connection) -> None:
        """Do nothing: no tables need to be known."""

    def start(self) -> None:
        """Do nothing: no tables need to be known."""

    def forget_transaction(self) -> None:
        """Do nothing: nothing was read."""

    def before_statement(self, sql: str, _parameters: Any) -> None:
        """Read whether foreign keys are enforced before a statement that switches them."""
        if _FOREIGN_KEYS_PRAGMA.match(sql):
            self._was_enforced = self._is_enforced()

    def after_statement(self, sql: str, *, is_open: bool) -> StatementEffects:  # noqa: ARG002  # of the protocol
        """Return whether foreign keys were enforced before and after a statement that switches them."""
        if not _FOREIGN_KEYS_PRAGMA.match(sql):
            return NO_EFFECTS
        return StatementEffects(foreign_keys=(self._was_enforced, self._is_enforced()))

    def unknown_effects(self) -> StatementEffects:
        """Return nothing: a PRAGMA that failed has switched nothing."""
        return NO_EFFECTS

    def _is_enforced(self) -> bool:
        return bool(driver.fetch_rows(self._connection.connection.cursor(), "PRAGMA foreign_keys")[0][0])


@contextmanager
def collect_written_tables(connection: Connection) -> Iterator[set[TableId] | None]:
    """Provide a set that collects, until the block ends, each table that a statement may write to or rename.

    SQLite names them when it compiles a statement, including statements of the driver's own cursors, of triggers and
    of foreign keys. None for a driver that works in a thread of its own: any table may be written.
    """
    sqlite = connection.connection.driver_connection
    if not isinstance(sqlite, sqlite3.Connection):
        yield None
        return
    found: set[TableId] = set()

    def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        table = second if action == sqlite3.SQLITE_ALTER_TABLE else first  # a rename may free a name
        if table and (action in _WRITE_ACTIONS or action == sqlite3.SQLITE_ALTER_TABLE):
            found.add((None, table))
        return sqlite3.SQLITE_OK

    sqlite.set_authorizer(authorize)
    try:
        yield found
    finally:
        with suppress(sqlite3.ProgrammingError):  # a revision has closed the connection
            sqlite.set_authorizer(None)


def total_rows_written(cursor: Any) -> int:
    """Return how many rows the cursor's connection has written since it was opened, 0 for another driver's cursor."""
    connection = getattr(cursor, "connection", None)
    return connection.total_changes if isinstance(connection, sqlite3.Connection) else 0


def is_transaction_open(connection: Connection) -> bool:
    """Return whether a transaction is open, as the driver knows it: sqlite3 and aiosqlite have the attribute."""
    return bool(getattr(connection.connection.driver_connection, "in_transaction", connection.in_transaction()))
