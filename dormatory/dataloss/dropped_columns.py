"""Detects values of a dropped column that could come back: copied elsewhere, merged with others, or only renamed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.dataloss.classify import loss_kind
from dormatory.dataloss.renames import likely_column_rename
from dormatory.recording.leg import Direction
from dormatory.recording.loss import LossKind
from dormatory.schema.describe import object_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.dataloss.column_history import Cell, ColumnHistory
    from dormatory.recording.loss import Loss

_MAX_NAMED_TARGETS = 3  # columns; a statement may read a value into more, most of them by chance


def dropped_column_losses(column: ColumnHistory) -> Iterator[Loss]:
    """Yield a loss if values that the upgrade has copied do not come back, or are mapped to others.

    A column that is dropped and added under another name has lost all its values. Dropping alone is only recorded.
    """
    if not column.targets.has_any:
        yield from _emptied_column(column)
        return
    restorable = column.targets.restorable_rows()
    lost = [cell for cell in column.changed_cells if cell.row_index in restorable]
    ways = {restorable[cell.row_index] for cell in lost}
    if "map" in ways or (len(lost) * 2 > len(restorable) and not column.is_rejoined(lost)):
        yield column.loss(_kind(ways, lost), Direction.DOWNGRADE, lost, None, _evidence(column))
    elif merged := _merged_cells(column, restorable):
        evidence = f"several values have become one in {' and '.join(_targets(column))}"
        yield column.loss(LossKind.MAPPING_NOT_INVERTED, Direction.UPGRADE, merged, column.target_origin, evidence)


def _emptied_column(column: ColumnHistory) -> Iterator[Loss]:
    lost = [cell for cell in column.changed_cells if cell.before is not None]
    if not lost:
        return
    rename = likely_column_rename(column.upgrade, column.name)
    if rename is None:
        loss = column.loss(LossKind.DROPPED, Direction.UPGRADE, lost, None)
        yield replace(loss, example="", remedy=f'lossy = "{loss.table}.{loss.column}"')
        return
    table = column.upgrade.table_after or column.upgrade.table
    loss = column.loss(
        LossKind.VALUES_LOST, Direction.UPGRADE, lost, None,
        f"renamed to {rename.new_name}, it seems: it is dropped, and {rename.new_name} is added with {rename.evidence}",
    )  # fmt: skip
    code = f'op.alter_column("{object_name(table)}", "{column.name}", new_column_name="{rename.new_name}")'
    yield replace(loss, is_stated=not rename.is_sure, remedy=code)


def _merged_cells(column: ColumnHistory, restorable: dict[int, str]) -> list[Cell]:
    """Return the values that came back as others, because the upgrade has taken several for one."""
    writes = column.overall.leg.dataflow.writes_to(column.overall.table.name, column.name)
    if not any(write.reads for write in writes):
        return []  # the downgrade does not try
    found = [
        it
        for it in column.changed_cells
        if it.before is not None and it.after is not None and it.row_index not in restorable
    ]
    is_split = not {"part", "parts", "whole"}.isdisjoint(restorable.values())
    return [] if is_split and column.is_rejoined(found) else found


def _kind(ways: set[str], lost: Sequence[Cell]) -> LossKind:
    if ways & {"part", "parts"}:
        return LossKind.SPLIT_NOT_JOINED
    if ways == {"map"}:
        value_kind = loss_kind([(cell.before, cell.after) for cell in lost])
        is_specific = value_kind in {LossKind.SHIFTED, LossKind.TRUNCATED}
        return value_kind if is_specific else LossKind.MAPPING_NOT_INVERTED
    return LossKind.VALUES_LOST


def _evidence(column: ColumnHistory) -> str:
    return f"the upgrade reads it into {' and '.join(_targets(column))}"


def _targets(column: ColumnHistory) -> list[str]:
    table = column.upgrade.table_after.name if column.upgrade.table_after else ""
    names = [f"{table}.{name}" for name in column.targets.same_table_columns]
    return sorted(names + [".".join(place) for place in column.targets.other_table_columns])[:_MAX_NAMED_TARGETS]
