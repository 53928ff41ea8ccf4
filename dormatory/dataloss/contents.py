"""Reads the rows of tables into values that can be compared, whichever backend and driver they came through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dormatory.backends import driver
from dormatory.backends.registry import dialect_by_name
from dormatory.dataloss import values
from dormatory.system.identity_cache import cache_by_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection

    from dormatory.dataloss.values import CellValue
    from dormatory.schema.snapshot import Column, Snapshot, Table, TableId
    from dormatory.sql.dialect import Dialect

_TABLE_KINDS = frozenset({"table", "partitioned table"})
DEFAULT_ROW_LIMIT = 500


@dataclass(frozen=True, slots=True)
class TableContents:
    """The rows of one table; `is_whole` is False where there are more than were read.

    Generated columns are left out: they follow from the others.
    """

    namespace: str | None
    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[CellValue, ...], ...]
    is_whole: bool = True

    @property
    def id(self) -> TableId:
        """The table's namespace and name."""
        return self.namespace, self.name


@dataclass(frozen=True, slots=True)
class Contents:
    """The rows of a database at one moment."""

    tables: tuple[TableContents, ...] = ()

    def table(self, name: str, namespace: str | None = None) -> TableContents:
        """Return a table by its name, in any namespace unless one is given; KeyError when there is none."""
        for table in self.tables:
            if table.name == name and namespace in {None, table.namespace}:
                return table
        raise KeyError(name)


def read_rows(
    connection: Connection, schema: Snapshot, *, tables: Iterable[Table] | None = None, limit: int = DEFAULT_ROW_LIMIT
) -> Contents:
    """Return the rows of a schema's tables, of all unless `tables` are named, at most `limit` of each.

    It only reads, one statement for each table, in the transaction the caller is in. Views, foreign and virtual
    tables are left out; the rows of partitions are those of the table they belong to.
    """
    dialect = dialect_by_name(connection.dialect.name)
    chosen = [table for table in (schema.tables if tables is None else tables) if has_own_rows(table)]
    if not chosen:
        return Contents()
    cursor = driver.open_cursor(connection)
    try:
        return Contents(tuple(_read_table(cursor, table, dialect, limit) for table in chosen))
    finally:
        cursor.close()


def has_own_rows(table: Table) -> bool:
    """Tell whether a table's rows are read under its own name."""
    return table.kind in _TABLE_KINDS and table.partition_bound is None


def _read_table(cursor: Any, table: Table, dialect: Dialect, limit: int) -> TableContents:
    names, statement, readers = _table_query(table, dialect)
    if not names:
        return TableContents(table.namespace, table.name, (), ())
    cursor.execute(f"{statement} LIMIT {limit + 1}")
    found = cursor.fetchall()
    columns = list(zip(*found[:limit], strict=True))
    for index, reader in readers if columns else ():
        if reader is not values.native_value or not values.is_native(columns[index]):
            columns[index] = tuple([None if raw is None else reader(raw) for raw in columns[index]])
    return TableContents(table.namespace, table.name, names, tuple(zip(*columns, strict=True)), len(found) <= limit)


@cache_by_identity()
def _table_query(
    table: Table, dialect: Dialect
) -> tuple[tuple[str, ...], str, tuple[tuple[int, Callable[[Any], values.CellValue]], ...]]:
    """Return a table's columns, how to ask for them, and what makes values of those that are none as they come."""
    columns = [column for column in table.columns if column.generated is None]
    readers = (values.cell_reader(column.type, dialect) for column in columns)
    return (
        tuple(column.name for column in columns),
        _select_statement(table, columns, dialect),
        tuple((place, reader) for place, reader in enumerate(readers) if reader is not str),
    )


def _select_statement(table: Table, columns: Sequence[Column], dialect: Dialect) -> str:
    """Return the SELECT for a table, in the order of its key so that a limit takes the same rows each time."""
    listed = ", ".join(_select_expression(column, dialect) for column in columns)
    name = dialect.qualified_name(table.namespace, table.name)
    # The rows of tables that inherit are read with their own table, those of partitions with the whole.
    only = "ONLY " if dialect.has_table_inheritance and table.kind == "table" else ""
    keys = ", ".join(dialect.quote_identifier(key) for key in table.primary_key)
    order = f" ORDER BY {keys}" if keys else ""
    return f"SELECT {listed} FROM {only}{name}{order}"  # noqa: S608  # names are quoted


def _select_expression(column: Column, dialect: Dialect) -> str:
    """Return what to select of a column: on PostgreSQL a text that no driver, time zone or setting changes."""
    name = dialect.quote_identifier(column.name)
    if not dialect.has_static_types:
        return name
    column_type = column.type
    if column_type.endswith("]"):
        return f"to_jsonb({name})::text"
    if column_type.startswith("timestamp") and "with time zone" in column_type:
        return f"({name} AT TIME ZONE 'UTC')::text"
    if column_type == "bytea":
        return f"encode({name}, 'hex')"
    return f"{name}::text"
