"""Detects values of a column that the upgrade keeps, and that do not come back: what was lost, where and how."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from dormatory.dataloss.classify import is_at_dst_change, loss_kind
from dormatory.dataloss.matching import projection
from dormatory.dataloss.values import as_number, canonical_form
from dormatory.recording.leg import Direction
from dormatory.recording.loss import LossKind

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterator, Sequence

    from dormatory.dataloss.column_history import Cell, ColumnHistory
    from dormatory.recording.loss import Loss
    from dormatory.sql.dataflow import Origin

_LOST_AT_ONCE = frozenset({LossKind.TRUNCATED, LossKind.REENCODED, LossKind.VALUES_LOST})


def kept_column_losses(column: ColumnHistory, time_zones: Collection[str]) -> Iterator[Loss]:
    """Yield a loss if values do not come back: cut, rounded, merged, mapped one way, or left empty."""
    change = _Change(column, column.name_after or "", time_zones)
    if not change.lost or (
        change.is_made_by_upgrade and column.targets.same_table_columns and column.is_rejoined(change.lost)
    ):
        return
    origin = change.origin if change.is_made_by_upgrade else change.downgrade_origin
    loss = column.loss(change.kind, change.direction, change.lost, origin)
    if change.kind is LossKind.VALUES_LOST and change.is_renamed_on_upgrade_only:
        loss = replace(
            loss,
            evidence=f"the upgrade renames it to {change.name}; the downgrade drops that, and adds {column.name}",
            remedy=f'op.alter_column("{loss.table}", "{change.name}", new_column_name="{column.name}")',
        )
    yield replace(loss, is_stated=change.is_stated, is_narrowed=change.is_narrowed)


@dataclass(frozen=True)
class _Change:
    """What became of the values of one column; each property is one decision about them."""

    column: ColumnHistory
    name: str  # after the upgrade
    time_zones: Collection[str]

    @cached_property
    def lost(self) -> list[Cell]:
        """The values that were lost; not a NULL that got a value, nor one of two equal ones that had to differ."""
        return [it for it in self.column.changed_cells if not self._is_natural(it)]

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
        is_cut = self.kind is LossKind.TRUNCATED and self.column.has_type_changed_by_upgrade
        is_upgrade = self.is_made_by_upgrade and (self._is_lost_by_upgrade or is_cut)
        return Direction.UPGRADE if is_upgrade else Direction.DOWNGRADE

    @cached_property
    def is_stated(self) -> bool:
        """Whether only values that the new structure refuses were replaced, all by the same one: they were corrected.

        Values that were cut, or that became several others, were worth something, and so may the refused ones be; who
        replaces them all by one has looked at them.
        """
        refused = {it.row_index for it in self._refused}
        is_one_value = len({canonical_form(it.upgraded) for it in self._refused}) == 1
        is_form_kept = self.kind in {LossKind.TRUNCATED, LossKind.REENCODED}
        return is_one_value and not is_form_kept and all(it.row_index in refused for it in self.lost)

    @cached_property
    def is_narrowed(self) -> bool:
        """Whether the upgrade has given the column a type or a constraint that holds less: extremes count there.

        Extreme floats are no values that somebody has written: the type that replaces theirs may round them.
        """
        if any(isinstance(it.before, float) for it in self.lost):
            return False
        are_numbers = all(as_number(it.before) is not None and as_number(it.upgraded) is not None for it in self.lost)
        refused = {it.row_index for it in self._refused}
        is_narrower = self.column.has_type_changed_by_upgrade or all(it.row_index in refused for it in self.lost)
        return is_narrower and self.is_made_by_upgrade and (self.kind is LossKind.TRUNCATED or are_numbers)

    @cached_property
    def is_made_by_upgrade(self) -> bool:
        """Whether the upgrade has changed any of the values; if not, what became of them is the downgrade's doing."""
        return any(it.is_changed_by_upgrade for it in self._typical)

    @property
    def is_renamed_on_upgrade_only(self) -> bool:
        """Whether the upgrade renames the column, and the downgrade makes a new one."""
        writes = self.column.overall.leg.dataflow.writes_to(self.column.overall.table.name, self.column.name)
        return self.name != self.column.name and not writes

    @cached_property
    def origin(self) -> Origin | None:
        """The statement of the upgrade that sets the column, None if there is none."""
        dataflow, table = self.column.upgrade.leg.dataflow, self._table_name
        writes = (it.origin for it in dataflow.writes_to(table, self.name))
        return (
            dataflow.update_statement(table, self.name)
            or next(writes, None)
            or dataflow.retypes.get((table.lower(), self.name.lower()))
            or (dataflow.inserts.get(table.lower()) if self._is_rebuilt else None)
        )

    @property
    def downgrade_origin(self) -> Origin | None:
        """The UPDATE of the downgrade that sets the column, None if there is none."""
        after = self.column.overall.table_after
        return self.column.overall.leg.dataflow.update_statement(after.name, self.column.name) if after else None

    @property
    def _is_rebuilt(self) -> bool:
        return self.column.upgrade.table.name.lower() in self.column.upgrade.leg.dataflow.drops

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

    def _is_natural(self, cell: Cell) -> bool:
        constraints = self.column.upgrade.new_constraints
        if cell.before is None and (self._has_update and cell.is_filled):
            return True
        if is_at_dst_change(cell.before, self.time_zones):
            return True
        return constraints is not None and (
            (cell.before is None and constraints.is_required(self.name))
            or bool(constraints.shared_key(cell.row_index, self.name))
        )

    @property
    def _has_update(self) -> bool:
        return self.column.upgrade.leg.dataflow.update_statement(self._table_name, self.name) is not None

    @cached_property
    def _refused(self) -> list[Cell]:
        """The values that the new structure refuses."""
        constraints = self.column.upgrade.new_constraints
        if constraints is None:
            return []
        return [it for it in self.column.cells if constraints.is_violated_by(it.row_index, self.name)]

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
