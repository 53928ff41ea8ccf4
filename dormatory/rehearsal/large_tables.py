"""Find losses in large tables: the database compares all rows before a revision and after its downgrade, key by key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_for
from dormatory.dataloss.contents import has_own_rows
from dormatory.recording.leg import Direction
from dormatory.recording.loss import Loss, LossKind
from dormatory.rehearsal.row_counts import count_rows
from dormatory.schema.describe import object_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.backends.url import Target
    from dormatory.schema.snapshot import Snapshot, Table, TableId

_EVIDENCE = "all rows compared by the database, key by key"


def large_table_losses(
    source: Target,
    clone: Target,
    schemas: tuple[Snapshot, Snapshot, Snapshot],
    affected_tables: frozenset[TableId],
    row_limit: int,
) -> Iterator[Loss]:
    """Yield what the downgrade lost in affected tables of more than `row_limit` rows, except tables that were dropped.

    `source` is as the revision found it, `clone` as its downgrade left it; `schemas` are those before the upgrade,
    after it and after the downgrade.
    """
    compare_rows = backend_for(clone).row_compare.compare_rows
    before, upgraded, downgraded = ({it.id: it for it in schema.tables} for schema in schemas)
    kept = [
        table
        for id_, table in before.items()
        if id_ in affected_tables and id_ in upgraded and id_ in downgraded and has_own_rows(table)
    ]
    row_counts = count_rows(source, kept)
    for table in kept:
        if row_counts[table.id] > row_limit:
            key, columns = _comparable_columns(table, upgraded[table.id], downgraded[table.id])
            yield from _losses(table, columns, compare_rows(source, clone, table.id, key, columns))


def _comparable_columns(before: Table, upgraded: Table, downgraded: Table) -> tuple[Sequence[str], Sequence[str]]:
    """Return the primary key, if all of it was kept, and the other columns that were kept with their type."""
    kept = {column.name for column in upgraded.columns} & {column.name for column in downgraded.columns}
    types = {(column.name, column.type) for column in downgraded.columns}
    key = before.primary_key
    columns = [
        it.name for it in before.columns
        if it.name in kept and (it.name, it.type) in types and it.generated is None and it.name not in key
    ]  # fmt: skip
    return key if set(key) <= kept else (), columns


def _losses(table: Table, columns: Sequence[str], counts: Sequence[int]) -> Iterator[Loss]:
    total, gone, *changed = counts
    name = object_name(table)
    if gone > 0:
        yield Loss(LossKind.ROWS_DELETED, Direction.DOWNGRADE, name, "", gone, total, _EVIDENCE)
    for column, count in zip(columns, changed, strict=False):
        if count:
            yield Loss(LossKind.VALUES_CHANGED, Direction.DOWNGRADE, name, column, count, total, _EVIDENCE)
