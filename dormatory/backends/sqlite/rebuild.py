"""Rebuild an SQLite table with another structure, with its rows: https://sqlite.org/lang_altertable.html#otheralter.

The new table is filled under a temporary name and takes the place of the old one. To rename the old table away first
would let the foreign keys of other tables follow it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.sqlite.counters import numbered_columns
from dormatory.backends.sqlite.definitions import create_table, default_expression
from dormatory.backends.sqlite.dialect import DIALECT
from dormatory.sql.literals import quote_literal
from dormatory.sql.names import BATCH_TABLE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dormatory.schema.snapshot import Column, Table

_quote = DIALECT.quote_identifier


def rebuild_statements(before: Table, after: Table, conversions: Mapping[str, str]) -> Iterator[str]:
    """Yield the statements that give a table another structure; its indexes and triggers go with the old one.

    `conversions` gives the values of columns as expressions over the old ones. Foreign keys must not be enforced where
    rows of other tables refer to the table: DROP TABLE deletes its rows first, and such rows with them.
    """
    copy = f"{BATCH_TABLE_PREFIX}{after.name}"
    yield create_table(after, copy)
    values = dict(_copied_values(before, after, conversions))
    columns = ", ".join(_quote(name) for name in values)
    yield f"INSERT INTO {_quote(copy)} ({columns}) SELECT {', '.join(values.values())} FROM {_quote(before.name)}"  # noqa: S608  # quoted
    if numbered_columns(before) and numbered_columns(after):
        yield from _keep_counter(before.name, copy)
    yield f"DROP TABLE {_quote(before.name)}"
    yield f"ALTER TABLE {_quote(copy)} RENAME TO {_quote(after.name)}"


def _copied_values(before: Table, after: Table, conversions: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the columns that get values, with an expression over the old columns."""
    old = {column.name.lower(): column.name for column in before.columns}
    stored = [column for column in after.columns if column.generated is None]
    copied = [column for column in stored if column.name in conversions or column.name.lower() in old]
    for column in copied:
        yield column.name, conversions.get(column.name) or _quote(old[column.name.lower()])
    if not copied:  # the rows stay, although none of their values does
        yield stored[0].name, _initial_value(stored[0])


def _initial_value(column: Column) -> str:
    return "NULL" if column.default is None else default_expression(column.default)


def _keep_counter(table: str, copy: str) -> Iterator[str]:
    """Yield what gives a copy the counter of an AUTOINCREMENT table: rows with higher keys may have been deleted."""
    name, old = quote_literal(copy), quote_literal(table)
    yield f"DELETE FROM sqlite_sequence WHERE name = {name}"  # noqa: S608  # quoted
    yield f"INSERT INTO sqlite_sequence (name, seq) SELECT {name}, seq FROM sqlite_sequence WHERE name = {old}"  # noqa: S608  # quoted
