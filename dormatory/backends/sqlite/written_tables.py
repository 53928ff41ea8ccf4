"""Which tables of a SQLite database are written, whoever sends the statements and whatever these set off."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from dormatory.schema.snapshot import TableId

_WRITE_ACTIONS = frozenset({sqlite3.SQLITE_DELETE, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE})


@contextmanager
def collect_written_tables(connection: Connection) -> Iterator[set[TableId] | None]:
    """Give a set that takes up, for the length of the block, each table whose rows a statement may write or rename.

    SQLite names them as it compiles a statement, those of a driver's own cursor, of triggers and of foreign keys
    included. None for another kind of database, or a driver that works in a thread of its own: any table may be.
    """
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        yield None
        return
    found: set[TableId] = set()

    def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        table = second if action == sqlite3.SQLITE_ALTER_TABLE else first  # which may take another one's name
        if table and (action in _WRITE_ACTIONS or action == sqlite3.SQLITE_ALTER_TABLE):
            found.add((None, table))
        return sqlite3.SQLITE_OK

    driver.set_authorizer(authorize)
    try:
        yield found
    finally:
        driver.set_authorizer(None)
