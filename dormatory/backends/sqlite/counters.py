"""What an SQLite database remembers of the keys of its AUTOINCREMENT tables: their highest, rows deleted or not."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from dormatory.backends.counter import Counter
from dormatory.backends.driver import fetch_rows, open_cursor
from dormatory.sql.literals import quote_literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy import Connection

    from dormatory.schema.snapshot import Table, TableId

_HAS_COUNTERS = "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"


def numbered_columns(table: Table) -> tuple[str, ...]:
    """Return the columns that take their keys from a counter."""
    return next((it.columns for it in table.constraints if "AUTOINCREMENT" in it.definition), ())


def read_counters(connection: Connection) -> tuple[Counter, ...]:
    """Return the position of each table that has had rows."""
    if not fetch_rows(open_cursor(connection), _HAS_COUNTERS):
        return ()
    found = fetch_rows(open_cursor(connection), "SELECT name, seq FROM sqlite_sequence ORDER BY name")
    return tuple(
        Counter((None, name), (None, name), None, int(value or 0), never_repeats=True) for name, value in found
    )


def restore_counters(connection: Connection, tables: Collection[TableId], counters: Iterable[Counter]) -> None:
    """Set the counters of tables to these positions; those that are not given are forgotten."""
    if not fetch_rows(open_cursor(connection), _HAS_COUNTERS):
        return
    with closing(open_cursor(connection)) as cursor:
        cursor.executemany("DELETE FROM sqlite_sequence WHERE name = ?", [(name,) for _, name in tables])
        cursor.executemany("INSERT INTO sqlite_sequence VALUES (?, ?)", [(it.id[1], it.value) for it in counters])


def may_set_counters(sql: str) -> bool:
    """Return whether a statement writes to SQLite's own table of counters, or reads it."""
    return "sqlite_sequence" in sql.lower()


def set_counter_code(counter: Counter, table: Table, column: str) -> str:  # noqa: ARG001  # the position is known
    """Return the statement that sets a counter to the highest key that rows had."""
    statement = f"UPDATE sqlite_sequence SET seq = {counter.value} WHERE name = {quote_literal(table.name)}"  # noqa: S608  # quoted
    return f"op.execute({statement!r})"


def keep_counter_code(table: Table, column: str) -> str:  # noqa: ARG001  # the key is the only one that counts
    """Return the option with which Alembic's rebuild keeps AUTOINCREMENT."""
    return f'op.batch_alter_table("{table.name}", table_kwargs={{"sqlite_autoincrement": True}})'
