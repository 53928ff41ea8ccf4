"""The statements of a recording without secrets, and without the values of rows where those are real."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from dormatory.sql.masking import without_sql_secrets, without_values

if TYPE_CHECKING:
    from dormatory.recording.leg import Statement
    from dormatory.schema.snapshot import Snapshot, Table, View
    from dormatory.sql.dialect import Dialect


def mask_statements(
    statements: tuple[Statement, ...], dialect: Dialect, *schemas: Snapshot | None
) -> tuple[Statement, ...]:
    """Return the statements with masked SQL; names of tables and columns in `schemas` are kept."""

    @cache
    def known_names() -> frozenset[str]:
        found = set()
        for schema in filter(None, schemas):
            relations: tuple[Table | View, ...] = (*schema.tables, *schema.views)
            for relation in relations:
                found |= {relation.name, *(column.name for column in relation.columns)}
        return frozenset(name.lower() for name in found)

    @cache  # a rebuild of a table sends the same statement many times
    def mask(sql: str) -> str:
        return without_values(sql, dialect, lambda name: name.lower() in known_names())

    return tuple(replace(it, sql=mask(it.sql)) for it in statements)


def mask_secrets(statements: tuple[Statement, ...], dialect: Dialect) -> tuple[Statement, ...]:
    """Return the statements of a replay without secrets: its rows are made up, and may be shown."""
    mask = cache(partial(without_sql_secrets, dialect=dialect))
    return tuple(replace(it, sql=mask(it.sql)) for it in statements)
