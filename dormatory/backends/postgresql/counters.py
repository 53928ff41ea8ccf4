"""The positions of the sequences of a PostgreSQL database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.counter import Counter
from dormatory.backends.driver import fetch_rows, open_cursor
from dormatory.backends.postgresql.dialect import DIALECT

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from dormatory.schema.snapshot import Table

# A sequence belongs to the column of serial and identity; any other default may read one, too.
_SEQUENCES = """
SELECT n.nspname::text, c.relname::text, s.seqincrement, m.nspname::text, r.relname::text, a.attname::text
FROM pg_catalog.pg_sequence AS s
    JOIN pg_catalog.pg_class AS c ON c.oid = s.seqrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN LATERAL (
        SELECT d.refobjid AS relid, d.refobjsubid AS attnum FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
            AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
        UNION SELECT f.adrelid, f.adnum FROM pg_catalog.pg_depend AS d
            JOIN pg_catalog.pg_attrdef AS f ON f.oid = d.objid
        WHERE d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
            AND d.refobjid = c.oid) AS k ON true
    LEFT JOIN pg_catalog.pg_class AS r ON r.oid = k.relid
    LEFT JOIN pg_catalog.pg_namespace AS m ON m.oid = r.relnamespace
    LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.relid AND a.attnum = k.attnum
WHERE c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1, 2, 4, 5, 6"""


def numbered_columns(table: Table) -> tuple[str, ...]:
    """Return the columns that take their keys from a counter."""
    return tuple(
        column.name for column in table.columns if column.identity or (column.default or "").startswith("nextval(")
    )


def read_counters(connection: Connection) -> tuple[Counter, ...]:
    """Return the position of each sequence, once for each column that reads it."""
    sequences = fetch_rows(open_cursor(connection), _SEQUENCES)
    if not sequences:
        return ()
    ids = sorted({(namespace, name) for namespace, name, *_ in sequences})
    selects = (
        f"SELECT {at}, last_value, is_called FROM {DIALECT.qualified_name(*id_)}"  # noqa: S608  # names are quoted
        for at, id_ in enumerate(ids)
    )
    positions = fetch_rows(open_cursor(connection), " UNION ALL ".join(selects))
    positions_by_id = {ids[at]: (int(value), bool(is_called)) for at, value, is_called in positions}
    return tuple(
        Counter(
            (namespace, name),
            (table_namespace, table) if table else None,
            column,
            *positions_by_id[namespace, name],
            int(increment),
        )
        for namespace, name, increment, table_namespace, table, column in sequences
    )
