"""Large tables before a revision and after its way back: the database compares all their rows, key by key."""

from __future__ import annotations

import tempfile
from contextlib import closing
from typing import IO, TYPE_CHECKING, Any, cast

from dormatory.backends.registry import backend_for, dialect_by_name
from dormatory.backends.sqlite.connection import sqlite_connection
from dormatory.dataloss.contents import has_own_rows
from dormatory.recording.model import Direction, Loss, LossKind
from dormatory.schema.describe import object_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.backends.url import Target
    from dormatory.schema.snapshot import Snapshot, Table

_EVIDENCE = "all rows compared by the database, key by key"


def large_table_losses(
    source: Target,
    clone: Target,
    schemas: tuple[Snapshot, Snapshot, Snapshot],
    affected_tables: frozenset[Any],
    row_limit: int,
) -> Iterator[Loss]:
    """Yield what the way back lost of touched tables with more than `most` rows, those that the revision drops aside.

    `source` is as the revision found it, `branch` as its downgrade left it; `schemas` are those before the upgrade,
    after it and after the downgrade.
    """
    before, upgraded, downgraded = schemas
    dialect = dialect_by_name(clone.backend_name)
    compare = {"sqlite": _compare_rows_in_sqlite, "postgresql": _compare_rows_in_postgresql}[dialect.name]
    for table in before.tables:
        there, now = _same_table(upgraded, table), _same_table(downgraded, table)
        if table.id not in affected_tables or not has_own_rows(table) or there is None or now is None:
            continue
        kept = {column.name for column in there.columns} & {column.name for column in now.columns}
        old = {(column.name, column.type) for column in now.columns}
        key = table.primary_key
        columns = [
            it.name for it in table.columns
            if it.name in kept and (it.name, it.type) in old and it.generated is None and it.name not in key
        ]  # fmt: skip
        name = dialect.qualified_name(table.namespace, table.name)
        counts = compare(source, clone, name, (key if set(key) <= kept else (), columns), row_limit)
        yield from _losses(table, columns, counts)


def _losses(table: Table, columns: Sequence[str], counts: Sequence[int]) -> Iterator[Loss]:
    if not counts:
        return
    total, gone, *changed = counts
    name = object_name(table)
    if gone > 0:
        yield Loss(LossKind.ROWS_DELETED, Direction.DOWNGRADE, name, "", gone, total, _EVIDENCE)
    for column, count in zip(columns, changed, strict=False):
        if count:
            yield Loss(LossKind.VALUES_CHANGED, Direction.DOWNGRADE, name, column, count, total, _EVIDENCE)


def _same_table(schema: Snapshot, table: Table) -> Table | None:
    return next((it for it in schema.tables if it.id == table.id), None)


def _compare_rows_in_sqlite(
    source: Target, clone: Target, name: str, compared: tuple[Sequence[str], Sequence[str]], row_limit: int
) -> list[int]:
    """Return how many rows there were, how many are gone, and of each column how many values are others."""
    (key, columns), dialect = compared, dialect_by_name(clone.backend_name)
    with closing(sqlite_connection(clone.path, wait_seconds=30)) as connection:
        connection.execute("ATTACH ? AS source", (f"{source.path.absolute().as_uri()}?mode=ro",))
        total: int = connection.execute(f"SELECT count(*) FROM source.{name}").fetchone()[0]  # noqa: S608  # quoted
        if total <= row_limit:
            return []
        if not key:
            now: int = connection.execute(f"SELECT count(*) FROM main.{name}").fetchone()[0]  # noqa: S608  # quoted
            return [total, total - now]
        names = [dialect.quote_identifier(column) for column in key]
        counts = [f"coalesce(sum(n.{names[0]} IS NOT NULL AND o.{it} IS NOT n.{it}), 0)"
                  for it in (dialect.quote_identifier(column) for column in columns)]  # fmt: skip
        listed = ", ".join(["count(*)", f"coalesce(sum(n.{names[0]} IS NULL), 0)", *counts])
        on = " AND ".join(f"o.{it} = n.{it}" for it in names)
        query = f"SELECT {listed} FROM source.{name} AS o LEFT JOIN main.{name} AS n ON {on}"  # noqa: S608  # quoted
        return list(connection.execute(query).fetchone())


def _compare_rows_in_postgresql(
    source: Target, clone: Target, name: str, compared: tuple[Sequence[str], Sequence[str]], row_limit: int
) -> list[int]:
    """Return the same, the rows of the source copied into a table that lasts as long as the session."""
    (key, columns), dialect = compared, dialect_by_name(clone.backend_name)
    with (
        backend_for(source).driver_connection(source, writing=False) as there,
        backend_for(clone).driver_connection(clone, writing=True) as here,
    ):
        old, new = there.cursor(), here.cursor()
        old.execute(f"SELECT count(*) FROM {name}")  # noqa: S608  # quoted
        total: int = old.fetchone()[0]
        if total <= row_limit:
            return []
        if not key:
            new.execute(f"SELECT count(*) FROM {name}")  # noqa: S608  # quoted
            return [total, total - new.fetchone()[0]]
        keys, others = ([dialect.quote_identifier(column) for column in listed] for listed in (key, columns))
        listed = ", ".join([*keys, *others])
        new.execute(f"CREATE TEMP TABLE dormatory_before AS SELECT {listed} FROM {name} WITH NO DATA")  # noqa: S608  # quoted
        with tempfile.TemporaryFile() as file:
            stream = cast("IO[bytes]", file)
            old.copy_expert(f"COPY (SELECT {listed} FROM {name}) TO STDOUT", stream)  # noqa: S608  # quoted
            stream.seek(0)
            new.copy_expert(f"COPY pg_temp.dormatory_before ({listed}) FROM STDIN", stream)
        new.execute("ANALYZE pg_temp.dormatory_before")
        gone = f"n.{keys[0]} IS NULL"
        # As text: json has no equality.
        counts = [f"count(*) FILTER (WHERE NOT {gone} AND o.{it}::text IS DISTINCT FROM n.{it}::text)" for it in others]
        on = " AND ".join(f"o.{it} = n.{it}" for it in keys)
        listed = ", ".join(["count(*)", f"count(*) FILTER (WHERE {gone})", *counts])
        new.execute(f"SELECT {listed} FROM pg_temp.dormatory_before AS o LEFT JOIN {name} AS n ON {on}")  # noqa: S608  # quoted
        return list(new.fetchone())
