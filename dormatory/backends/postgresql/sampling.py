"""Copy some rows of each table of a PostgreSQL database, and all rows they refer to, in one transaction."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

from psycopg2 import sql

from dormatory.backends.postgresql.engine import postgresql_driver_connection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dormatory.backends.url import Target

_ROWS_PER_STATEMENT = 10_000  # rows named in one statement
_SPARSE_FACTOR = 20  # of a table so many times larger than the sample only some pages are read
_SAMPLE_SEED = 42  # the same rows each time
_MAX_MEMORY_BYTES = 1 << 24

_BEGIN = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL row_security = off"
_TABLES = """
SELECT c.oid::bigint, n.nspname, c.relname, c.reltuples, c.relkind = 'r',
    ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0
        AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1"""
_FOREIGN_KEYS = """
SELECT k.conrelid::bigint, k.confrelid::bigint,
    ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u (number, place)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.number ORDER BY u.place),
    ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS u (number, place)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.number ORDER BY u.place)
FROM pg_catalog.pg_constraint AS k WHERE k.contype = 'f'"""
_SEQUENCES = "SELECT schemaname, sequencename, last_value FROM pg_catalog.pg_sequences WHERE last_value IS NOT NULL"


@dataclass(frozen=True, slots=True)
class _Table:
    name: sql.Identifier
    display_name: str
    estimate: float
    holds_rows: bool  # a partitioned table has its rows in its partitions
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _ForeignKey:
    child: int
    parent: int
    columns: tuple[tuple[str, str], ...]


class Sample:
    """Rows of a database as of one snapshot; dump the structure from the same `snapshot`."""

    def __init__(self, source: Target, rows: int, *, whole_table: str) -> None:
        self._source, self._rows, self._whole_table = source, rows, whole_table
        self._chosen_rows: dict[int, set[str]] = defaultdict(set)

    @contextmanager
    def open(self) -> Iterator[Sample]:
        """Choose the rows, in a read-only transaction that lasts until the block ends."""
        with postgresql_driver_connection(self._source) as connection, connection.cursor() as cursor:
            self._cursor = cursor
            cursor.execute(_BEGIN)
            cursor.execute("SELECT pg_catalog.pg_export_snapshot()")
            self.snapshot: str = cursor.fetchone()[0]
            cursor.execute(_TABLES)
            self._tables = {row[0]: _table_from_row(*row[1:]) for row in cursor.fetchall()}
            cursor.execute(_FOREIGN_KEYS)
            self._foreign_keys = [
                _ForeignKey(child, parent, tuple(zip(*columns, strict=True)))
                for child, parent, *columns in cursor.fetchall()
            ]
            for oid, table in self._tables.items():
                if table.holds_rows:
                    self._add_rows(oid, self._choose_rows(table))
            self._add_parents()
            yield self

    def copy_into(self, replica: Target) -> None:
        """Copy the rows into a database with the same tables, without constraints, indexes and triggers."""
        with postgresql_driver_connection(replica) as connection, connection.cursor() as into:
            for oid, ctids in self._chosen_rows.items():
                table = self._tables[oid]
                if not table.columns:
                    continue
                columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
                for batch in _batches(ctids):
                    query = sql.SQL("COPY (SELECT {} FROM ONLY {} WHERE ctid = ANY({}::tid[])) TO STDOUT")
                    text = query.format(columns, table.name, sql.Literal(batch))
                    with tempfile.SpooledTemporaryFile(_MAX_MEMORY_BYTES) as file:
                        stream = cast("IO[bytes]", file)
                        self._cursor.copy_expert(text, stream)
                        stream.seek(0)
                        into.copy_expert(sql.SQL("COPY {} ({}) FROM STDIN").format(table.name, columns), stream)
            self._cursor.execute(_SEQUENCES)
            for namespace, name, value in self._cursor.fetchall():
                shown = sql.Identifier(namespace, name).as_string(into)
                into.execute(
                    "SELECT pg_catalog.setval(%s::regclass, %s) WHERE to_regclass(%s) IS NOT NULL",
                    (shown, value, shown),
                )
            connection.commit()

    def _choose_rows(self, table: _Table) -> set[str]:
        if table.display_name in {self._whole_table, f"public.{self._whole_table}"}:
            self._cursor.execute(sql.SQL("SELECT ctid::text FROM ONLY {}").format(table.name))
            return {place for (place,) in self._cursor.fetchall()}
        found: set[str] = set()
        if table.estimate > self._rows * _SPARSE_FACTOR:
            part = min(100.0, 300.0 * self._rows / table.estimate)
            query = sql.SQL("SELECT ctid::text FROM ONLY {} TABLESAMPLE SYSTEM (%s) REPEATABLE (%s) LIMIT %s")
            self._cursor.execute(query.format(table.name), (part, _SAMPLE_SEED, self._rows))
            found = {place for (place,) in self._cursor.fetchall()}
        if len(found) < self._rows:
            query = sql.SQL(
                "SELECT ctid::text FROM ONLY {} ORDER BY pg_catalog.hashtextextended(ctid::text, %s) LIMIT %s"
            )
            self._cursor.execute(query.format(table.name), (_SAMPLE_SEED, self._rows))
            found = {place for (place,) in self._cursor.fetchall()}
        return found

    def _add_rows(self, oid: int, ctids: Iterable[str]) -> set[str]:
        """Add rows to the sample, and return those that are new in it."""
        new = set(ctids) - self._chosen_rows[oid]
        self._chosen_rows[oid] |= new
        return new

    def _add_parents(self) -> None:
        """Add the parents of all chosen rows, and their parents, until none is new; this ends in cycles as well."""
        waiting = {oid: set(places) for oid, places in self._chosen_rows.items()}
        while waiting:
            child, ctids = waiting.popitem()
            for link in self._foreign_keys:
                if link.child == child and link.parent in self._tables:
                    for oid, found in self._parent_rows(link, ctids).items():
                        if new := self._add_rows(oid, found):
                            waiting.setdefault(oid, set()).update(new)

    def _parent_rows(self, link: _ForeignKey, ctids: set[str]) -> dict[int, set[str]]:
        child, parent = self._tables[link.child], self._tables[link.parent]
        on = sql.SQL(" AND ").join(
            sql.SQL("p.{} = c.{}").format(sql.Identifier(parent_column), sql.Identifier(column))
            for column, parent_column in link.columns
        )
        query = sql.SQL(
            "SELECT DISTINCT p.tableoid::bigint, p.ctid::text FROM {} AS p JOIN ONLY {} AS c ON {} "
            "WHERE c.ctid = ANY(%s::tid[])"
        ).format(parent.name, child.name, on)
        found: dict[int, set[str]] = defaultdict(set)
        for batch in _batches(ctids):
            self._cursor.execute(query, (batch,))
            for oid, place in self._cursor.fetchall():
                found[oid].add(place)
        return found


def _table_from_row(namespace: str, name: str, estimate: float, holds_rows: bool, columns: list[str]) -> _Table:  # noqa: FBT001  # a row of the catalog
    return _Table(sql.Identifier(namespace, name), f"{namespace}.{name}", estimate, holds_rows, tuple(columns))


def _batches(ctids: Iterable[str]) -> Iterator[list[Any]]:
    ordered = sorted(ctids)
    for start in range(0, len(ordered), _ROWS_PER_STATEMENT):
        yield ordered[start : start + _ROWS_PER_STATEMENT]
