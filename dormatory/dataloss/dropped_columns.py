"""Detects values of a dropped column that could come back, because the upgrade has copied them to another place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.dataloss.classify import loss_kind
from dormatory.recording.model import Direction, LossKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.dataloss.column_history import Cell, ColumnHistory
    from dormatory.recording.model import Loss


def dropped_column_losses(column: ColumnHistory) -> Iterator[Loss]:
    """Yield a loss if most of the values that the upgrade has copied do not come back: dropping alone is no loss."""
    targets = column.targets
    restorable = targets.restorable_rows() if targets.has_any else {}
    lost = [cell for cell in column.changed_cells if cell.row_index in restorable]
    ways = {restorable[cell.row_index] for cell in lost}
    if "map" not in ways and (len(lost) * 2 <= len(restorable) or column.is_rejoined(lost)):
        return
    yield column.loss(_kind(ways, lost), Direction.DOWNGRADE, lost, _evidence(column))


def _kind(ways: set[str], lost: Sequence[Cell]) -> LossKind:
    if ways & {"part", "parts"}:
        return LossKind.SPLIT_NOT_JOINED
    if ways == {"map"}:
        value_kind = loss_kind([(cell.before, cell.after) for cell in lost])
        is_specific = value_kind in {LossKind.SHIFTED, LossKind.TRUNCATED}
        return value_kind if is_specific else LossKind.MAPPING_NOT_INVERTED
    return LossKind.VALUES_LOST


def _evidence(column: ColumnHistory) -> str:
    table = column.upgrade.table_after.name if column.upgrade.table_after else ""
    names = [f"{table}.{name}" for name in column.targets.same_table_columns]
    names += [".".join(place) for place in column.targets.other_table_columns]
    return f"the upgrade reads it into {' and '.join(sorted(names))}"
