"""Some rows of each table of a PostgreSQL database, and all that these refer to, read in one transaction."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

from psycopg2 import sql

from dormatory.backends.driver import connected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dormatory.backends.url import Target

_BATCH = 10_000  # rows named in one statement
_SPARSE = 20  # a table so many times larger than the sample is not read from end to end
_SPREAD = 42  # the same rows each time
_IN_MEMORY = 1 << 24

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
_LINKS = """
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
    text: str
    estimate: float
    holds_rows: bool  # a partitioned table has its rows in its partitions
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Link:
    child: int
    parent: int
    columns: tuple[tuple[str, str], ...]


class Sample:
    """Rows of a database as of one snapshot, which its structure is to be dumped from, too."""

    def __init__(self, source: Target, rows: int, *, whole: str) -> None:
        self._source, self._rows, self._whole = source, rows, whole
        self._taken: dict[int, set[str]] = defaultdict(set)

    @contextmanager
    def opened(self) -> Iterator[Sample]:
        """Choose the rows, in a transaction that lasts as long as the block and cannot write."""
        with connected(self._source, writing=False) as connection, connection.cursor() as cursor:
            self._cursor = cursor
            cursor.execute(_BEGIN)
            cursor.execute("SELECT pg_catalog.pg_export_snapshot()")
            self.snapshot: str = cursor.fetchone()[0]
            cursor.execute(_TABLES)
            self._tables = {row[0]: _table(*row[1:]) for row in cursor.fetchall()}
            cursor.execute(_LINKS)
            self._links = [
                _Link(child, parent, tuple(zip(*columns, strict=True))) for child, parent, *columns in cursor.fetchall()
            ]
            for oid, table in self._tables.items():
                if table.holds_rows:
                    self._take(oid, self._chosen(table))
            self._close()
            yield self

    def pour(self, copy: Target) -> None:
        """Put the rows into a copy of the structure that has no constraints, indexes and triggers yet."""
        with connected(copy, writing=True) as connection, connection.cursor() as into:
            for oid, places in self._taken.items():
                table = self._tables[oid]
                if not table.columns:
                    continue
                columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
                for batch in _batches(places):
                    query = sql.SQL("COPY (SELECT {} FROM ONLY {} WHERE ctid = ANY({}::tid[])) TO STDOUT")
                    text = query.format(columns, table.name, sql.Literal(batch))
                    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
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

    def _chosen(self, table: _Table) -> set[str]:
        if table.text in {self._whole, f"public.{self._whole}"}:
            self._cursor.execute(sql.SQL("SELECT ctid::text FROM ONLY {}").format(table.name))
            return {place for (place,) in self._cursor.fetchall()}
        found: set[str] = set()
        if table.estimate > self._rows * _SPARSE:
            part = min(100.0, 300.0 * self._rows / table.estimate)
            query = sql.SQL("SELECT ctid::text FROM ONLY {} TABLESAMPLE SYSTEM (%s) REPEATABLE (%s) LIMIT %s")
            self._cursor.execute(query.format(table.name), (part, _SPREAD, self._rows))
            found = {place for (place,) in self._cursor.fetchall()}
        if len(found) < self._rows:
            query = sql.SQL(
                "SELECT ctid::text FROM ONLY {} ORDER BY pg_catalog.hashtextextended(ctid::text, %s) LIMIT %s"
            )
            self._cursor.execute(query.format(table.name), (_SPREAD, self._rows))
            found = {place for (place,) in self._cursor.fetchall()}
        return found

    def _take(self, oid: int, places: Iterable[str]) -> set[str]:
        """Take rows, and return those that were not taken before."""
        new = set(places) - self._taken[oid]
        self._taken[oid] |= new
        return new

    def _close(self) -> None:
        """Take the parents of what was taken, and theirs, until there are no more: cycles end there, too."""
        waiting = {oid: set(places) for oid, places in self._taken.items()}
        while waiting:
            child, places = waiting.popitem()
            for link in self._links:
                if link.child == child and link.parent in self._tables:
                    for oid, found in self._parents(link, places).items():
                        if new := self._take(oid, found):
                            waiting.setdefault(oid, set()).update(new)

    def _parents(self, link: _Link, places: set[str]) -> dict[int, set[str]]:
        child, parent = self._tables[link.child], self._tables[link.parent]
        on = sql.SQL(" AND ").join(
            sql.SQL("p.{} = c.{}").format(sql.Identifier(there), sql.Identifier(here)) for here, there in link.columns
        )
        query = sql.SQL(
            "SELECT DISTINCT p.tableoid::bigint, p.ctid::text FROM {} AS p JOIN ONLY {} AS c ON {} "
            "WHERE c.ctid = ANY(%s::tid[])"
        ).format(parent.name, child.name, on)
        found: dict[int, set[str]] = defaultdict(set)
        for batch in _batches(places):
            self._cursor.execute(query, (batch,))
            for oid, place in self._cursor.fetchall():
                found[oid].add(place)
        return found


def _table(namespace: str, name: str, estimate: float, holds_rows: bool, columns: list[str]) -> _Table:  # noqa: FBT001  # a row of the catalog
    return _Table(sql.Identifier(namespace, name), f"{namespace}.{name}", estimate, holds_rows, tuple(columns))


def _batches(places: Iterable[str]) -> Iterator[list[Any]]:
    ordered = sorted(places)
    for start in range(0, len(ordered), _BATCH):
        yield ordered[start : start + _BATCH]
