"""Detects values that a column, which the upgrade keeps, could have held or got back: what was lost, where and how."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dormatory.dataloss.classify import is_at_dst_change, is_normalised, loss_kind
from dormatory.dataloss.matching import projection
from dormatory.dataloss.values import canonical_form
from dormatory.recording.model import Direction, LossKind

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterator, Sequence

    from dormatory.dataloss.column_history import Cell, ColumnHistory
    from dormatory.recording.model import Loss

_LOST_AT_ONCE = frozenset({LossKind.TRUNCATED, LossKind.REENCODED, LossKind.VALUES_LOST})


def kept_column_losses(column: ColumnHistory, time_zones: Collection[str]) -> Iterator[Loss]:
    """Yield a loss if values do not come back that the new structure could hold."""
    change = _Change(column, column.name_after or "", time_zones)
    if not change.lost or (
        change.is_made_by_upgrade and column.targets.same_table_columns and column.is_rejoined(change.lost)
    ):
        return
    evidence = change.update_statement if change.is_made_by_upgrade else ""
    yield column.loss(change.kind, change.direction, change.lost, evidence, is_stated=change.is_stated)


@dataclass(frozen=True)
class _Change:
    """What became of the values of one column; each property is one decision about them."""

    column: ColumnHistory
    name: str  # after the upgrade
    time_zones: Collection[str]

    @cached_property
    def lost(self) -> list[Cell]:
        """The values whose loss could have been avoided."""
        lost = [it for it in self.column.changed_cells if not self._is_unavoidable(it)]
        constraints = self.column.upgrade.new_constraints
        if constraints is None or not lost:
            return lost
        # If every refused value became the same value, the originals cannot be told apart: the loss was unavoidable.
        violating = [it for it in self.column.cells if constraints.is_violated_by(it.row_index, self.name)]
        is_one_value = len({canonical_form(it.upgraded) for it in violating}) == 1
        return [it for it in lost if it not in violating or not (is_one_value or self._is_ambiguous(it))]

    @cached_property
    def kind(self) -> LossKind:
        """What happened to most of the values."""
        kind = loss_kind([(it.before, it.after) for it in self._typical])
        if kind is LossKind.VALUES_CHANGED and self.is_made_by_upgrade:
            return LossKind.VALUES_LOST if self._is_constant_update else LossKind.MAPPING_NOT_INVERTED
        return LossKind.SPLIT_NOT_JOINED if kind is LossKind.TRUNCATED and self._is_split else kind

    @cached_property
    def direction(self) -> Direction:
        """The leg that has lost them."""
        is_upgrade = self._is_lost_by_upgrade and self.is_made_by_upgrade
        return Direction.UPGRADE if is_upgrade else Direction.DOWNGRADE

    @cached_property
    def is_stated(self) -> bool:
        """Whether an UPDATE of the revision openly gives up the values."""
        if not self.update_statement or self._is_constant_update:
            return False
        is_cut = self.kind is LossKind.TRUNCATED or all(is_normalised(it.before, it.after) for it in self.lost)
        return not self._unambiguous or (self._is_lost_by_upgrade and is_cut)

    @cached_property
    def is_made_by_upgrade(self) -> bool:
        """Whether the upgrade has changed any of the values; if not, what became of them is the downgrade's doing."""
        return any(it.is_changed_by_upgrade for it in self._typical)

    @cached_property
    def update_statement(self) -> str:
        """Where the upgrade sets the column, "" if it does not."""
        return self.column.upgrade.leg.dataflow.update_statement(self._table_name, self.name)

    @cached_property
    def _is_constant_update(self) -> bool:
        return self.column.upgrade.leg.dataflow.has_constant_update(self._table_name, self.name)

    @cached_property
    def _is_lost_by_upgrade(self) -> bool:
        is_final = all(it.is_kept_by_downgrade for it in self.lost)
        return is_final and (not self._unambiguous or self.kind in _LOST_AT_ONCE)

    @cached_property
    def _is_split(self) -> bool:
        """Whether the upgrade has put the rest of most values, which are cut off here, into other columns."""
        if not self.column.targets.has_any:
            return False
        restorable = self.column.targets.with_column(self.name).restorable_rows()
        joined = [it for it in self._unambiguous if restorable.get(it.row_index) in {"whole", "part", "parts"}]
        return len(joined) * 2 > len(self._unambiguous)

    @property
    def _table_name(self) -> str:
        return self.column.upgrade.table_after.name if self.column.upgrade.table_after else ""

    @cached_property
    def _unambiguous(self) -> list[Cell]:
        return [it for it in self.lost if not self._is_ambiguous(it)]

    @property
    def _typical(self) -> Sequence[Cell]:
        """The values that show best what has happened."""
        return self._unambiguous or self.lost

    def _is_unavoidable(self, cell: Cell) -> bool:
        if self.update_statement and cell.is_filled:
            return True
        constraints = self.column.upgrade.new_constraints
        if constraints is None:
            return False
        return (
            (cell.before is None and constraints.is_required(self.name))
            or is_at_dst_change(cell.before, self.time_zones)
            or constraints.is_duplicate(cell.row_index, self.name)
        )

    def _is_ambiguous(self, cell: Cell) -> bool:
        """Return whether other values have become the same, so that the original cannot be derived from the result."""
        result = self._results.get(cell.row_index)
        return result is None or len(self._originals[result]) > 1

    @cached_property
    def _results(self) -> dict[int, Hashable]:
        """What became of the value in each row, together with the other columns that were made of it."""
        after = self.column.upgrade.rows_after
        if after is None:
            return {}
        rows = projection(after, (self.name, *self.column.targets.same_table_columns))
        return {old: rows[new] for old, new in self.column.upgrade.matching.pairs}

    @cached_property
    def _originals(self) -> dict[Hashable, set[Hashable]]:
        """The values that have led to each result."""
        rows = self.column.upgrade.rows
        at = rows.columns.index(self.column.name)
        found = defaultdict[object, set[object]](set)
        for row_index, result in self._results.items():
            found[result].add(canonical_form(rows.rows[row_index][at]))
        return found
