"""Read and insert the rows of a PostgreSQL database, as texts: these do not depend on the driver."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dormatory.backends.postgresql.dialect import DIALECT
from dormatory.backends.row_io import CellForm, RowWriter, StoredRows
from dormatory.sql.literals import text_form
from dormatory.sql.types import portable_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from dormatory.schema.snapshot import Column, Table, TableId

_COLUMN_IN_ERROR = re.compile(r'column ("[^"]+")')
_NEXT_VALUE = re.compile(r"nextval\(('(?:[^']|'')+'::regclass)\)")
# Tables with an empty file hold no rows; those of extensions are not ours.
_TABLES_WITH_ROWS = """
SELECT n.nspname, c.relname,
    ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.oid >= 16384 AND c.relpersistence <> 't' AND pg_catalog.pg_relation_size(c.oid) > 0
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')"""
_FORMS_BY_FAMILY = {
    form.value: form
    for form in (CellForm.INTEGER, CellForm.FLOAT, CellForm.NUMERIC, CellForm.BOOLEAN, CellForm.BINARY, CellForm.JSON,
                 CellForm.TIMESTAMP)
}  # fmt: skip


def select_source(table: Table) -> str:
    """Return the table, without the rows of tables that inherit from it; a partitioned table has no other rows."""
    only = "ONLY " if table.kind == "table" else ""
    return only + DIALECT.qualified_name(*table.id)


def select_expression(column: Column) -> str:
    """Return what gives the column as a text that no driver, time zone or setting changes."""
    name = DIALECT.quote_identifier(column.name)
    form = cell_form(column.type)
    if form is CellForm.JSON and column.type.endswith("]"):
        return f"to_jsonb({name})::text"
    if form is CellForm.UTC_TIMESTAMP:
        return f"({name} AT TIME ZONE 'UTC')::text"
    return f"encode({name}, 'hex')" if column.type == "bytea" else f"{name}::text"


@lru_cache(maxsize=4096)
def cell_form(declared_type: str) -> CellForm:
    """Return how to read the text of a cell."""
    if declared_type.endswith("]"):
        return CellForm.JSON
    if "with time zone" in declared_type and declared_type.startswith("timestamp"):
        return CellForm.UTC_TIMESTAMP
    return _FORMS_BY_FAMILY.get(portable_type(declared_type).partition("(")[0], CellForm.TEXT)


def row_writer(connection: Connection) -> PostgreSQLRowWriter:
    """Return a writer on this connection."""
    return PostgreSQLRowWriter(connection)


class PostgreSQLRowWriter(RowWriter):
    """Sends rows as literals in one statement: every driver does that, and DEFAULT can be among them."""

    dialect = DIALECT

    def insert(self, table: TableId, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> int:
        """Insert rows, and return how many were kept."""
        listed = ", ".join(map(DIALECT.quote_identifier, columns))
        lines = (", ".join(_literal(row[name]) if name in row else "DEFAULT" for name in columns) for row in rows)
        tuples = ", ".join(f"({line})" for line in lines)
        return self._execute(f"INSERT INTO {DIALECT.qualified_name(*table)} ({listed}) VALUES {tuples}")  # noqa: S608  # quoted

    def defer(self, constraints: Sequence[TableId]) -> None:
        """Let these foreign keys wait."""
        if constraints:
            names = ", ".join(DIALECT.qualified_name(*constraint) for constraint in constraints)
            self._execute(f"SET CONSTRAINTS {names} DEFERRED")

    def check_deferred(self) -> None:
        """Check the foreign keys that wait, and let none wait from now on."""
        self._execute("SET CONSTRAINTS ALL IMMEDIATE")

    def advance_counter(self, table: TableId, column: str, default: str | None, first_key: int) -> None:
        """Set the sequence of a column to its highest value; one that is behind the other rows stays so."""
        named = _NEXT_VALUE.match(default or "")
        name, quoted = DIALECT.qualified_name(*table), DIALECT.quote_identifier(column)
        sequence = named[1] if named else f"pg_get_serial_sequence({_literal(name)}, {_literal(column)})::regclass"
        keys = f"SELECT max({quoted}), max({quoted}) FILTER (WHERE {quoted} < {first_key}) FROM {name}"  # noqa: S608  # quoted
        self._execute(
            f"SELECT setval(seqrelid::regclass, highest) FROM pg_sequence, ({keys}) _ (highest, other) "  # noqa: S608  # quoted
            f"WHERE seqrelid = {sequence} AND seqincrement > 0 AND highest BETWEEN {first_key} AND seqmax "
            f"AND coalesce(pg_sequence_last_value(seqrelid), seqstart - 1) BETWEEN coalesce(other, 0) AND highest - 1"
        )

    def stored_rows(self) -> dict[TableId, StoredRows]:
        """Return the rows of all tables that hold any, as texts."""
        found: dict[TableId, StoredRows] = {}
        for namespace, name, columns in self._query(_TABLES_WITH_ROWS):
            listed = ", ".join(f"{DIALECT.quote_identifier(column)}::text" for column in columns)
            source = f"ONLY {DIALECT.qualified_name(namespace, name)}"
            if rows := self._query(f"SELECT {listed} FROM {source}"):  # noqa: S608  # quoted
                found[namespace, name] = StoredRows(tuple(columns), tuple(map(tuple, rows)))
        return found

    def replace_rows(self, tables: Sequence[TableId], stored: Mapping[TableId, StoredRows]) -> None:
        """Empty tables and insert their stored rows, as a replica does: without triggers and foreign keys."""
        ((role,),) = self._query("SELECT pg_catalog.current_setting('session_replication_role')")
        with self.savepoint():
            self._execute("SET session_replication_role = replica")
            for table in tables:
                self._execute(f"DELETE FROM ONLY {DIALECT.qualified_name(*table)}")  # noqa: S608  # quoted
            for table in tables:
                if rows := stored.get(table):
                    listed = ", ".join(map(DIALECT.quote_identifier, rows.columns))
                    tuples = ", ".join(f"({', '.join(map(_literal, row))})" for row in rows.rows)
                    into = f"INSERT INTO {DIALECT.qualified_name(*table)} ({listed}) OVERRIDING SYSTEM VALUE"
                    self._execute(f"{into} VALUES {tuples}")
            self._execute(f"SET session_replication_role = {role}")

    def names_in_error(self, message: str) -> str:
        """Return the column in a message, with its quotes."""
        found = _COLUMN_IN_ERROR.search(message)
        return found[1] if found else ""

    def _select_expression(self, name: str) -> str:
        return f"{DIALECT.quote_identifier(name)}::text"

    def _python_value(self, value: Any, family: str) -> Any:
        read = _VALUE_READERS.get(family)
        return read(value) if read and value is not None else value


_VALUE_READERS: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "numeric": Decimal,
    "float": float,
    "boolean": lambda text: text == "true",
    "binary": lambda text: bytes.fromhex(text.removeprefix("\\x")),
}


def _literal(value: Any) -> str:
    """Return a value as a text whose type the column decides; the E form does not depend on any setting."""
    if value is None:
        return "NULL"
    text = text_form(value)
    if "\\" in text or "'" in text:
        text = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{text}'"
