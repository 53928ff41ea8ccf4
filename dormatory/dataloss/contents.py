"""Read the rows of tables into values that can be compared, on every backend and through every driver."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dormatory.backends.driver import open_cursor
from dormatory.backends.registry import backend_by_name, dialect_by_name
from dormatory.dataloss import values
from dormatory.system.identity_cache import cache_by_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection

    from dormatory.backends.counter import Counter
    from dormatory.dataloss.values import CellValue
    from dormatory.schema.snapshot import Snapshot, Table, TableId

_TABLE_KINDS = frozenset({"table", "partitioned table"})
DEFAULT_ROW_LIMIT = 500


@dataclass(frozen=True, slots=True)
class TableContents:
    """The rows of one table, and the counters that give them their keys.

    `is_whole` is False where there are more rows than were read. Generated columns are left out: they follow from the
    others.
    """

    namespace: str | None
    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[CellValue, ...], ...]
    is_whole: bool = True
    counters: tuple[Counter, ...] = ()

    @property
    def id(self) -> TableId:
        """The table's namespace and name."""
        return self.namespace, self.name

    def has_rows_of(self, other: TableContents) -> bool:
        """Return whether it has the same columns and rows as another table."""
        return self.columns == other.columns and self.rows == other.rows and self.is_whole == other.is_whole


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

    It only reads, one statement for each table and one or two for all counters, in the transaction the caller is in.
    Views, foreign and virtual tables are left out; the rows of partitions are those of the table they belong to.
    """
    chosen = [table for table in (schema.tables if tables is None else tables) if has_own_rows(table)]
    if not chosen:
        return Contents()
    backend = connection.dialect.name
    counters = _counters_by_table(connection, chosen)
    cursor = open_cursor(connection)
    try:
        read = (_read_table(cursor, table, backend, limit) for table in chosen)
        return Contents(tuple(replace(it, counters=tuple(found)) if (found := counters[it.id]) else it for it in read))
    finally:
        cursor.close()


@cache_by_identity()
def key_values(table: TableContents, columns: tuple[str, ...]) -> tuple[tuple[values.CellValue, ...], ...]:
    """Return the values of these columns in all rows; whole rows if one of the columns was not read."""
    if not set(columns) <= set(table.columns):
        return table.rows
    places = [table.columns.index(name) for name in columns]
    return tuple([tuple([row[place] for place in places]) for row in table.rows])


def _counters_by_table(connection: Connection, tables: Iterable[Table]) -> defaultdict[TableId | None, list[Counter]]:
    """Return the counters of a database by the tables that they number, none if they number none of these tables."""
    found = defaultdict[Any, list["Counter"]](list)
    part = backend_by_name(connection.dialect.name).counters
    if any(map(part.numbered_columns, tables)):
        for counter in part.read_counters(connection):
            found[counter.table].append(counter)
    return found


def has_own_rows(table: Table) -> bool:
    """Return whether a table's rows are read under its own name."""
    return table.kind in _TABLE_KINDS and table.partition_bound is None


def _read_table(cursor: Any, table: Table, backend: str, limit: int) -> TableContents:
    names, statement, readers = _table_query(table, backend)
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
    table: Table, backend: str
) -> tuple[tuple[str, ...], str, tuple[tuple[int, Callable[[Any], values.CellValue]], ...]]:
    """Return a table's columns, the query for them, and the readers of those whose cells are not values yet.

    The query is in the order of the primary key, so that a limit selects the same rows each time.
    """
    row_io, dialect = backend_by_name(backend).row_io, dialect_by_name(backend)
    columns = [column for column in table.columns if column.generated is None]
    listed = ", ".join(map(row_io.select_expression, columns))
    key = ", ".join(map(dialect.quote_identifier, table.primary_key))
    order = f" ORDER BY {key}" if key else ""
    readers = (values.cell_reader(row_io.cell_form(column.type)) for column in columns)
    return (
        tuple(column.name for column in columns),
        f"SELECT {listed} FROM {row_io.select_source(table)}{order}",  # noqa: S608  # names are quoted
        tuple((place, reader) for place, reader in enumerate(readers) if reader is not str),
    )
