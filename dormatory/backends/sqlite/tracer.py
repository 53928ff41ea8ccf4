"""Collect the SQLite tables that a block writes to, including through triggers and cascades (sqlite3 authorizer)."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from dormatory.schema.snapshot import TableId

_WRITE_ACTIONS = frozenset({sqlite3.SQLITE_DELETE, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE})


def statement_tracer(_connection: Connection) -> None:
    """Return None: SQLite locks the whole file."""


@contextmanager
def collect_written_tables(connection: Connection) -> Iterator[set[TableId] | None]:
    """Provide a set that collects, until the block ends, each table that a statement may write to or rename.

    SQLite names them when it compiles a statement, including statements of the driver's own cursors, of triggers and
    of foreign keys. None for a driver that works in a thread of its own: any table may be written.
    """
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        yield None
        return
    found: set[TableId] = set()

    def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        table = second if action == sqlite3.SQLITE_ALTER_TABLE else first  # a rename may free a name
        if table and (action in _WRITE_ACTIONS or action == sqlite3.SQLITE_ALTER_TABLE):
            found.add((None, table))
        return sqlite3.SQLITE_OK

    driver.set_authorizer(authorize)
    try:
        yield found
    finally:
        driver.set_authorizer(None)


def total_rows_written(cursor: Any) -> int:
    """Return how many rows the cursor's connection has written since it was opened, 0 for another driver's cursor."""
    connection = getattr(cursor, "connection", None)
    return connection.total_changes if isinstance(connection, sqlite3.Connection) else 0


def is_transaction_open(connection: Connection) -> bool:
    """Return whether a transaction is open, as the driver knows it: sqlite3 and aiosqlite have the attribute."""
    return bool(getattr(connection.connection.driver_connection, "in_transaction", connection.in_transaction()))
