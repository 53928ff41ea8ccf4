"""Compare the rows of one table in two PostgreSQL databases, key by key, inside the server of the second one."""

from __future__ import annotations

import tempfile
from typing import IO, TYPE_CHECKING, Any, cast

from dormatory.backends.postgresql.dialect import DIALECT
from dormatory.backends.postgresql.engine import postgresql_driver_connection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dormatory.backends.url import Target
    from dormatory.schema.snapshot import TableId

_COPIED_ROWS = "pg_temp.dormatory_before"  # lasts as long as the session


def compare_rows(
    source: Target, clone: Target, table: TableId, key: Sequence[str], columns: Sequence[str]
) -> list[int]:
    """Return how many rows the source has, how many the clone lacks, and for each column how many values differ.

    Without a key only the numbers of rows are compared.
    """
    name = DIALECT.qualified_name(*table)
    with postgresql_driver_connection(source) as source_driver, postgresql_driver_connection(clone) as clone_driver:
        old, new = source_driver.cursor(), clone_driver.cursor()
        if not key:
            before, now = (_row_count(cursor, name) for cursor in (old, new))
            return [before, before - now]
        keys, others = ([DIALECT.quote_identifier(column) for column in listed] for listed in (key, columns))
        _copy_rows(old, new, name, ", ".join([*keys, *others]))
        is_missing = f"n.{keys[0]} IS NULL"
        # As text: json has no equality.
        counts = [
            f"count(*) FILTER (WHERE NOT {is_missing} AND o.{it}::text IS DISTINCT FROM n.{it}::text)" for it in others
        ]
        on = " AND ".join(f"o.{it} = n.{it}" for it in keys)
        listed = ", ".join(["count(*)", f"count(*) FILTER (WHERE {is_missing})", *counts])
        new.execute(f"SELECT {listed} FROM {_COPIED_ROWS} AS o LEFT JOIN {name} AS n ON {on}")  # noqa: S608  # quoted
        return list(new.fetchone())


def _row_count(cursor: Any, name: str) -> int:
    cursor.execute(f"SELECT count(*) FROM {name}")  # noqa: S608  # quoted
    return int(cursor.fetchone()[0])


def _copy_rows(source: Any, clone: Any, name: str, columns: str) -> None:
    """Copy columns of a table from one server to a temporary table on the other."""
    clone.execute(f"CREATE TEMP TABLE dormatory_before AS SELECT {columns} FROM {name} WITH NO DATA")  # noqa: S608  # quoted
    with tempfile.TemporaryFile() as file:
        stream = cast("IO[bytes]", file)
        source.copy_expert(f"COPY (SELECT {columns} FROM {name}) TO STDOUT", stream)  # noqa: S608  # quoted
        stream.seek(0)
        clone.copy_expert(f"COPY {_COPIED_ROWS} ({columns}) FROM STDIN", stream)
    clone.execute(f"ANALYZE {_COPIED_ROWS}")
