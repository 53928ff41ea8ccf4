"""Detects rows that a round trip has inserted a second time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dormatory.dataloss.matching import canonical_column, key_columns, projected_rows, projection
from dormatory.recording.leg import Direction
from dormatory.recording.loss import Loss, LossKind
from dormatory.schema.describe import object_name

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterator

    from dormatory.dataloss.contents import TableContents
    from dormatory.dataloss.timeline import TableTransition, Timeline


def detect_duplicated_rows(timeline: Timeline) -> Iterator[Loss]:
    """Yield the rows that a leg has inserted although equal ones were there."""
    for transition in timeline.upgrade_transitions.values():
        if transition.table_after is not None:
            yield from _duplicated_rows(transition)
    for transition in timeline.downgrade_transitions.values():
        if transition.table_after is not None:
            yield from _duplicated_rows(transition)
    for name, transition in timeline.second_upgrade_transitions.items():
        if transition.table_after is not None:
            yield from _reinserted_rows(timeline.upgrade_transitions.get(name), transition)
            yield from _duplicated_rows(transition)


def _duplicated_rows(transition: TableTransition) -> Iterator[Loss]:
    """Yield the added rows that equal rows from before the leg, if they are at least half as many as these."""
    columns = transition.identifying_columns
    if not columns or transition.rows_after is None or not transition.matching.added:
        return
    originals = set(projection(transition.rows, tuple(columns))) - {tuple(None for _ in columns)}
    added = projected_rows(transition.rows_after, columns.values(), transition.matching.added)
    count = sum(content in originals for content in added)
    if count and count * 2 >= len(transition.rows.rows):
        total = len(transition.rows_after.rows)
        yield Loss(LossKind.ROWS_DUPLICATED, transition.leg.direction, object_name(transition.table), "", count, total)


def _reinserted_rows(first: TableTransition | None, again: TableTransition) -> Iterator[Loss]:
    """Yield the rows that each upgrade inserts and the downgrade does not delete."""
    if first is None or first.rows_after is None or again.rows_after is None:
        return
    key = key_columns(again.table)
    columns = [
        it for it in again.rows.columns if it not in key and again.column_names.get(it) in first.rows_after.columns
    ]
    inserted = {
        name: _column_values(first.rows_after, again.column_names[name], first.matching.added) for name in columns
    }
    inserted_again = {
        name: _column_values(again.rows_after, again.column_names[name], again.matching.added) for name in columns
    }
    stable = [name for name in columns if inserted[name] and Counter(inserted[name]) <= Counter(inserted_again[name])]
    if all(value is None for name in stable for value in inserted[name]):
        return
    own = set(zip(*(inserted[name] for name in stable), strict=True))
    left = own & set(projection(again.rows, tuple(stable)))
    count = sum(row in left for row in zip(*(inserted_again[name] for name in stable), strict=True))
    if count:
        evidence = "the upgrade puts them in, the downgrade leaves them"
        table, total = object_name(again.table), len(again.rows_after.rows)
        yield Loss(LossKind.ROWS_DUPLICATED, Direction.SECOND_UPGRADE, table, "", count, total, evidence)


def _column_values(table: TableContents, name: str, row_indexes: Collection[int]) -> list[Hashable]:
    column = canonical_column(table, name)
    return [column[place] for place in row_indexes]
