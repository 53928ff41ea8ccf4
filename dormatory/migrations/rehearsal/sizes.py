"""How many rows there are in the largest of some tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from dormatory.backends.driver import connected
from dormatory.dataloss.contents import has_rows
from dormatory.sql.lexer import Syntax, identifier

if TYPE_CHECKING:
    from collections.abc import Collection

    from dormatory.backends.url import Target
    from dormatory.schema.snapshot import Snapshot

Id: TypeAlias = "tuple[str | None, str]"


def largest(target: Target, schema: Snapshot, ids: Collection[Id] | None = None) -> int:
    """Return the number of rows in the largest of these tables, of all for None; 0 where there are none."""
    syntax = Syntax(target.backend_name)
    names = [
        ".".join(identifier(part, syntax) for part in (table.namespace, table.name) if part)
        for table in schema.tables
        if has_rows(table) and (ids is None or (table.namespace, table.name) in ids)
    ]
    found = [0]
    with connected(target, writing=False) as connection:
        cursor = connection.cursor()
        for name in names:
            cursor.execute(f"SELECT count(*) FROM {name}")  # noqa: S608  # quoted
            found.append(cursor.fetchone()[0])
    return max(found)
