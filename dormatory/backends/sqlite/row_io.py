"""Read and insert the rows of an SQLite database."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

from dormatory.backends.row_io import CellForm, RowWriter, StoredRows
from dormatory.backends.sqlite.connection import USER_TABLES_QUERY
from dormatory.backends.sqlite.dialect import DIALECT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from dormatory.schema.snapshot import Column, Table, TableId

_FAILED_CONSTRAINT = re.compile(r"constraint failed: (?!index )(.*)|in \w+ column (.*)", re.DOTALL)

_TRIGGERS = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND lower(tbl_name) IN ({}) ORDER BY rowid"
_GENERATED = (2, 3)  # `hidden` of PRAGMA table_xinfo


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

    def stored_rows(self) -> dict[TableId, StoredRows]:
        """Return the rows of all tables that hold any."""
        found: dict[TableId, StoredRows] = {}
        for (name,) in self._query(USER_TABLES_QUERY):
            quoted = DIALECT.quote_identifier(name)
            with suppress(self.error):  # a virtual table whose module is missing
                if self._query(f"SELECT 1 FROM {quoted} LIMIT 1"):  # noqa: S608  # quoted
                    rows = self._query(f"PRAGMA table_xinfo({quoted})")
                    columns = tuple(row[1] for row in rows if row[6] not in _GENERATED)
                    listed = ", ".join(map(DIALECT.quote_identifier, columns))
                    found[None, name] = StoredRows(columns, tuple(self._query(f"SELECT {listed} FROM {quoted}")))  # noqa: S608  # quoted
        return found

    def replace_rows(self, tables: Sequence[TableId], stored: Mapping[TableId, StoredRows]) -> None:
        """Empty tables and insert their stored rows; foreign keys that are enforced act, but are checked later."""
        with suppress(self.error):  # a transaction is open
            self._execute("BEGIN")
        with self.savepoint(), self._without_triggers(tables):
            self._execute("PRAGMA defer_foreign_keys = ON")
            for table in tables:
                self._execute(f"DELETE FROM {DIALECT.qualified_name(*table)}")  # noqa: S608  # quoted
            for table in tables:
                if rows := stored.get(table):
                    listed = ", ".join(map(DIALECT.quote_identifier, rows.columns))
                    marks = ", ".join("?" * len(rows.columns))
                    into = f"INSERT INTO {DIALECT.qualified_name(*table)} ({listed})"
                    self._execute(f"{into} VALUES ({marks})", rows.rows)

    @property
    def foreign_keys_act(self) -> bool:
        """Whether this connection enforces foreign keys: inside a transaction, that cannot be turned off."""
        return bool(self._query("PRAGMA foreign_keys")[0][0])

    @contextmanager
    def _without_triggers(self, tables: Sequence[TableId]) -> Iterator[None]:
        """Drop the triggers of tables, and create them again in the same order at the end of the block."""
        marks = ", ".join("?" * len(tables))
        self._cursor.execute(_TRIGGERS.format(marks), [name.lower() for _, name in tables])
        triggers = list(self._cursor.fetchall())
        for name, _ in triggers:
            self._execute(f"DROP TRIGGER {DIALECT.quote_identifier(name)}")
        yield
        for _, sql in triggers:
            self._execute(sql)

    def names_in_error(self, message: str) -> str:
        """Return the columns of a constraint, its condition or its name, or the column that a value does not fit."""
        found = _FAILED_CONSTRAINT.search(message)
        return found[1] or found[2] if found else ""


def _parameter(value: Any) -> Any:
    """Return a value as Python's driver takes it, numbers as SQLAlchemy stores them."""
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    return int(value) if isinstance(value, bool) else value
