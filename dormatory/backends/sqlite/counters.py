"""What an SQLite database remembers of the keys of its AUTOINCREMENT tables: their highest, rows deleted or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.counter import Counter
from dormatory.backends.driver import fetch_rows, open_cursor

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from dormatory.schema.snapshot import Table

_HAS_COUNTERS = "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"


def numbered_columns(table: Table) -> tuple[str, ...]:
    """Return the columns that take their keys from a counter."""
    return next((it.columns for it in table.constraints if "AUTOINCREMENT" in it.definition), ())


def read_counters(connection: Connection) -> tuple[Counter, ...]:
    """Return the position of each table that has had rows."""
    if not fetch_rows(open_cursor(connection), _HAS_COUNTERS):
        return ()
    found = fetch_rows(open_cursor(connection), "SELECT name, seq FROM sqlite_sequence ORDER BY name")
    return tuple(Counter((None, name), (None, name), None, int(value or 0)) for name, value in found)
