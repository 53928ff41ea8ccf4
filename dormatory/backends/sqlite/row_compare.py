"""Compare the rows of one table in two SQLite files, key by key, inside SQLite."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from dormatory.backends.sqlite.connection import sqlite_connection
from dormatory.backends.sqlite.dialect import DIALECT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dormatory.backends.url import Target
    from dormatory.schema.snapshot import TableId

_WAIT_SECONDS = 30


def compare_rows(
    source: Target, clone: Target, table: TableId, key: Sequence[str], columns: Sequence[str]
) -> list[int]:
    """Return how many rows the source has, how many the clone lacks, and for each column how many values differ.

    Without a key only the numbers of rows are compared.
    """
    quote = DIALECT.quote_identifier
    name = quote(table[1])
    with closing(sqlite_connection(clone.path, wait_seconds=_WAIT_SECONDS)) as connection:
        connection.execute("ATTACH ? AS source", (f"{source.path.absolute().as_uri()}?mode=ro",))
        if not key:
            totals = (f"(SELECT count(*) FROM {file}.{name})" for file in ("source", "main"))  # noqa: S608  # quoted
            before, now = connection.execute(f"SELECT {', '.join(totals)}").fetchone()
            return [before, before - now]
        keys = list(map(quote, key))
        counts = [f"coalesce(sum(n.{keys[0]} IS NOT NULL AND o.{it} IS NOT n.{it}), 0)" for it in map(quote, columns)]
        listed = ", ".join(["count(*)", f"coalesce(sum(n.{keys[0]} IS NULL), 0)", *counts])
        on = " AND ".join(f"o.{it} = n.{it}" for it in keys)
        query = f"SELECT {listed} FROM source.{name} AS o LEFT JOIN main.{name} AS n ON {on}"  # noqa: S608  # quoted
        return list(connection.execute(query).fetchone())
