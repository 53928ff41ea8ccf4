"""Read and insert the rows of an SQLite database."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

from dormatory.backends.row_io import CellForm, RowWriter
from dormatory.backends.sqlite.dialect import DIALECT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from dormatory.schema.snapshot import Column, Table, TableId

_FAILED_CONSTRAINT = re.compile(r"constraint failed: (?!index )(.*)|in \w+ column (.*)", re.DOTALL)


def select_source(table: Table) -> str:
    """Return the table's name."""
    return DIALECT.quote_identifier(table.name)


def select_expression(column: Column) -> str:
    """Return the column's name."""
    return DIALECT.quote_identifier(column.name)


@lru_cache(maxsize=4096)
def cell_form(declared_type: str) -> CellForm:
    """Return how to read a cell: SQLite returns what is stored, whatever the column is declared as."""
    declared = declared_type.upper()
    if "JSON" in declared:
        return CellForm.JSON
    return CellForm.TIMESTAMP if "DATETIME" in declared or "TIMESTAMP" in declared else CellForm.STORED


def row_writer(connection: Connection) -> SQLiteRowWriter:
    """Return a writer on this connection."""
    return SQLiteRowWriter(connection)


class SQLiteRowWriter(RowWriter):
    """Sends rows as parameters, grouped by the columns they fill: SQLite has no DEFAULT among values."""

    dialect = DIALECT

    def insert(self, table: TableId, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> int:
        """Insert rows, and return how many were kept."""
        into, kept = f"INSERT INTO {DIALECT.qualified_name(*table)}", 0
        for filled, group in groupby(rows, key=lambda row: [name for name in columns if name in row]):
            if not filled:
                kept += sum(self._execute(f"{into} DEFAULT VALUES") for _ in group)
                continue
            listed, marks = ", ".join(map(DIALECT.quote_identifier, filled)), ", ".join("?" * len(filled))
            parameters = [tuple(_parameter(row[name]) for name in filled) for row in group]
            kept += self._execute(f"{into} ({listed}) VALUES ({marks})", parameters)
        return kept

    def defer(self, constraints: Sequence[TableId]) -> None:  # noqa: ARG002  # SQLite knows only all of them
        """Let all foreign keys wait until the transaction ends."""
        self._execute("PRAGMA defer_foreign_keys = ON")

    def check_deferred(self) -> None:
        """Do nothing: SQLite checks them when the transaction ends."""

    def names_in_error(self, message: str) -> str:
        """Return the columns of a constraint, its condition or its name, or the column that a value does not fit."""
        found = _FAILED_CONSTRAINT.search(message)
        return found[1] or found[2] if found else ""


def _parameter(value: Any) -> Any:
    """Return a value as Python's driver takes it, numbers as SQLAlchemy stores them."""
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    return int(value) if isinstance(value, bool) else value
