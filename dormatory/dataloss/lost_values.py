"""Which values a round trip has changed although they could have stayed, or come back."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.dataloss import classify, values
from dormatory.dataloss.lost_rows import filled_rows
from dormatory.dataloss.matching import key_columns, projection
from dormatory.dataloss.moved_values import MoveTargets
from dormatory.recording.model import Direction, Loss, LossKind
from dormatory.schema.describe import object_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.dataloss.timeline import TableTransition, Timeline
    from dormatory.dataloss.values import CellValue


@dataclass(frozen=True, slots=True)
class _Cell:
    """A value before the upgrade, after it and after the downgrade, in the row that stood at `place`."""

    row_index: int
    before: CellValue
    upgraded: CellValue
    after: CellValue

    @property
    def is_filled(self) -> bool:
        """Whether there was nothing before, and what the upgrade has put there has stayed: nothing was lost."""
        return self.before is None and values.is_same_value(self.upgraded, self.after)


def detect_lost_values(timeline: Timeline) -> Iterator[Loss]:
    """Yield the losses of values, column by column."""
    for name, overall in timeline.overall_transitions.items():
        transition = timeline.upgrade_transitions.get(name)
        if transition is None or overall.rows == overall.rows_after:
            continue
        for column in overall.column_names:
            if not _is_unchanged(overall, column) and not _has_replaced_keys(timeline, overall, column):
                yield from _RestoredColumn(timeline, transition, overall, column).losses()
    for transition in timeline.downgrade_transitions.values():
        yield from _filled_value_losses(timeline, transition)


def _is_unchanged(overall: TableTransition, column: str) -> bool:
    """Tell whether all rows that were found again hold what they held; most columns do."""
    if overall.rows_after is None:
        return True
    old, new = overall.rows.columns.index(column), overall.rows_after.columns.index(column)
    before, after = overall.rows.rows, overall.rows_after.rows
    return [before[one][old] for one, _ in overall.matching.pairs] == [
        after[two][new] for _, two in overall.matching.pairs
    ]


class _RestoredColumn:
    """A column that there was before the upgrade and is again after the downgrade."""

    def __init__(self, timeline: Timeline, transition: TableTransition, overall: TableTransition, column: str) -> None:
        self._timeline, self._upgrade, self._overall, self._name = timeline, transition, overall, column
        self._name_after = transition.column_names.get(column)
        self._cells = list(self._read_cells())

    def losses(self) -> Iterator[Loss]:
        """Yield what the column has lost, at most one loss."""
        changed = [cell for cell in self._cells if not values.is_same_value(cell.before, cell.after)]
        if self._has_changed_type():  # what has come back in another type is for the structure to tell
            changed = [it for it in changed if values.canonical_form(it.before) != values.canonical_form(it.after)]
        if not changed:
            return
        if self._name_after is None:
            yield from self._dropped_column_losses(changed)
        else:
            yield from self._kept_column_losses(changed)

    def _read_cells(self) -> Iterator[_Cell]:
        overall, transition = self._overall, self._upgrade
        if overall.rows_after is None:
            return
        old, new = overall.rows.columns.index(self._name), overall.rows_after.columns.index(self._name)
        new_rows = dict(transition.matching.pairs)
        after = transition.rows_after
        new_column = after.columns.index(self._name_after) if after is not None and self._name_after else -1
        for place, found in overall.matching.pairs:
            row_after = new_rows.get(place)
            if self._name_after is not None and row_after is None:
                continue  # the upgrade has lost the whole row
            upgraded = (
                after.rows[row_after][new_column]
                if after is not None and row_after is not None and self._name_after
                else None
            )
            yield _Cell(place, overall.rows.rows[place][old], upgraded, overall.rows_after.rows[found][new])

    def _dropped_column_losses(self, changed: Sequence[_Cell]) -> Iterator[Loss]:
        """Yield a loss only where most of what lives on elsewhere does not come back: to drop is no loss by itself."""
        targets = MoveTargets(self._upgrade, self._name)
        restorable = targets.restorable_rows() if targets.has_any else {}
        lost = [cell for cell in changed if cell.row_index in restorable]
        mapped = [cell for cell in lost if restorable[cell.row_index] == "map"]
        if not mapped and (len(lost) * 2 <= len(restorable) or self._is_inverted(targets, lost)):
            return
        ways = {restorable[cell.row_index] for cell in lost}
        kind = LossKind.MAPPING_NOT_INVERTED if ways == {"map"} else LossKind.VALUES_LOST
        kind = LossKind.SPLIT_NOT_JOINED if ways & {"part", "parts"} else kind
        value_kind = classify.loss_kind([(cell.before, cell.after) for cell in lost])
        kind = value_kind if value_kind in {LossKind.SHIFTED, LossKind.TRUNCATED} and ways == {"map"} else kind
        table = self._upgrade.table_after.name if self._upgrade.table_after else ""
        target_names = [f"{table}.{name}" for name in targets.same_table_columns]
        target_names += [".".join(place) for place in targets.other_table_columns]
        yield self._loss(
            kind, Direction.DOWNGRADE, lost, f"the upgrade reads it into {' and '.join(sorted(target_names))}"
        )

    def _kept_column_losses(self, changed: Sequence[_Cell]) -> Iterator[Loss]:
        """Yield a loss where values do not come back, unless the new structure had no place for them."""
        column_after = self._upgrade.table_after.name if self._upgrade.table_after else "", self._name_after or ""
        update = self._upgrade.dataflow.update_statement(*column_after)
        lost = [cell for cell in changed if not (self._is_unavoidable(cell) or (update and cell.is_filled))]
        sources = self._originals_by_result()
        constraints = self._upgrade.new_constraints
        if constraints is not None and self._name_after is not None:
            # One value for all that is refused says no more of them; several say which was which.
            violating = [it for it in self._cells if constraints.is_violated_by(it.row_index, self._name_after)]
            is_one_value = len({values.canonical_form(it.upgraded) for it in violating}) == 1
            lost = [it for it in lost if it not in violating or not (is_one_value or self._is_ambiguous(it, sources))]
        if not lost:
            return
        unambiguous = [it for it in lost if not self._is_ambiguous(it, sources)]
        kind = classify.loss_kind([(it.before, it.after) for it in unambiguous or lost])
        # What the downgrade makes of a value that the upgrade has left alone is its own doing.
        changed_by_upgrade = [
            it for it in unambiguous or lost if values.canonical_form(it.before) != values.canonical_form(it.upgraded)
        ]
        is_constant = self._upgrade.dataflow.has_constant_update(*column_after)
        if kind is LossKind.VALUES_CHANGED and changed_by_upgrade:
            kind = LossKind.VALUES_LOST if is_constant else LossKind.MAPPING_NOT_INVERTED
        is_kept_by_downgrade = all(values.canonical_form(it.upgraded) == values.canonical_form(it.after) for it in lost)
        is_lost_by_upgrade = is_kept_by_downgrade and (
            not unambiguous or kind in {LossKind.TRUNCATED, LossKind.REENCODED, LossKind.VALUES_LOST}
        )
        kind = self._kind_if_split(kind, unambiguous)
        is_lost_by_upgrade = is_lost_by_upgrade and kind is not LossKind.SPLIT_NOT_JOINED
        targets = MoveTargets(self._upgrade, self._name)
        if changed_by_upgrade and targets.same_table_columns and self._is_inverted(targets, lost):
            return
        is_cut = kind is LossKind.TRUNCATED or all(classify.is_normalised(it.before, it.after) for it in lost)
        is_stated = bool(update) and (not unambiguous or (is_lost_by_upgrade and is_cut)) and not is_constant
        direction = Direction.UPGRADE if is_lost_by_upgrade and changed_by_upgrade else Direction.DOWNGRADE
        yield self._loss(kind, direction, lost, update if changed_by_upgrade else "", is_stated=is_stated)

    def _is_unavoidable(self, cell: _Cell) -> bool:
        constraints = self._upgrade.new_constraints
        if constraints is None or self._name_after is None:
            return False
        if cell.before is None and constraints.is_required(self._name_after):
            return True
        if classify.is_at_dst_change(cell.before, self._timeline.time_zones):
            return True
        return constraints.is_duplicate(cell.row_index, self._name_after)

    def _originals_by_result(self) -> dict[object, set[object]]:
        """Return the values that have become each value, seen together with what else was made of them."""
        beside = MoveTargets(self._upgrade, self._name).same_table_columns
        after = self._upgrade.rows_after
        found = defaultdict[object, set[object]](set)
        if after is None or self._name_after is None:
            return found
        self._results = projection(after, (self._name_after, *beside))
        self._new_rows = dict(self._upgrade.matching.pairs)
        at = self._upgrade.rows.columns.index(self._name)
        for old, new in self._new_rows.items():
            found[self._results[new]].add(values.canonical_form(self._upgrade.rows.rows[old][at]))
        return found

    def _is_ambiguous(self, cell: _Cell, originals: dict[object, set[object]]) -> bool:
        """Tell whether other values have become the same, so that nobody can tell them apart any more."""
        after = self._upgrade.rows_after
        if after is None or cell.row_index not in self._new_rows:
            return True
        return len(originals[self._results[self._new_rows[cell.row_index]]]) > 1

    def _kind_if_split(self, kind: LossKind, lost: Sequence[_Cell]) -> LossKind:
        """Return SPLIT_NOT_JOINED where the value was cut and the rest of it stands in another column."""
        targets = MoveTargets(self._upgrade, self._name)
        if kind is not LossKind.TRUNCATED or not targets.has_any or self._name_after is None:
            return kind
        targets.same_table_columns.append(self._name_after)
        restorable = targets.restorable_rows()
        joined = [it for it in lost if restorable.get(it.row_index) in {"whole", "part", "parts"}]
        return LossKind.SPLIT_NOT_JOINED if len(joined) * 2 > len(lost) else kind

    def _is_inverted(self, targets: MoveTargets, lost: Sequence[_Cell]) -> bool:
        """Tell whether the downgrade puts texts together again, but for some that do not have the form it expects.

        It does if it reads all the places they were taken apart into, and some are what they were.
        """
        writes = self._overall.dataflow.writes_to(self._overall.table.name, self._name)
        reads = {name for write in writes for name in write.reads}
        if not targets.has_any or not reads.issuperset(name.lower() for name in targets.same_table_columns):
            return False
        unchanged = {
            cell.row_index
            for cell in self._cells
            if values.canonical_form(cell.before) == values.canonical_form(cell.upgraded)
        }
        restored = [it for it in self._cells if it.before == it.after and it.before and it.row_index not in unchanged]
        return bool(restored) and all(isinstance(it.before, str) for it in lost)

    def _has_changed_type(self) -> bool:
        old = {column.name: column.type for column in self._overall.table.columns}
        new = (
            {column.name: column.type for column in self._overall.table_after.columns}
            if self._overall.table_after
            else {}
        )
        return old.get(self._name) != new.get(self._name)

    def _loss(
        self, kind: LossKind, direction: Direction, lost: Sequence[_Cell], evidence: str, *, is_stated: bool = False
    ) -> Loss:
        table, total = object_name(self._upgrade.table), len(self._cells)
        return Loss(kind, direction, table, self._name, len(lost), total, evidence, is_stated=is_stated)


def _has_replaced_keys(timeline: Timeline, overall: TableTransition, column: str) -> bool:
    """Tell whether a column holds keys that the upgrade has replaced: its own, or those of rows it refers to."""
    tables = [it.references.table for it in overall.table.constraints if it.references and column in it.columns]
    tables += [overall.table.name] if column in key_columns(overall.table) else []
    return any(
        passage.matching.rekeyed or passage.table_after is None
        for passage in timeline.upgrade_transitions.values()
        if passage.table.name in tables
    )


def _filled_value_losses(timeline: Timeline, transition: TableTransition) -> Iterator[Loss]:
    """Yield values put in after the upgrade that the downgrade changes although no statement of it says so."""
    filled = filled_rows(timeline, transition)
    if transition.table_after is None or transition.rows_after is None or not filled:
        return
    old = {column.name: column for column in transition.table.columns}
    new = {column.name: column for column in transition.table_after.columns}
    for before, after in transition.column_names.items():
        one, other = old[before], new[after]
        if (one.type, one.nullable) != (other.type, other.nullable) or transition.dataflow.writes_to(
            transition.table_after.name, after
        ):
            continue
        at, new_index = transition.rows.columns.index(before), transition.rows_after.columns.index(after)
        pairs = [
            (transition.rows.rows[place][at], transition.rows_after.rows[found][new_index])
            for place, found in transition.matching.pairs
            if place in filled and place not in transition.matching.rekeyed
        ]
        lost = [pair for pair in pairs if not values.is_same_value(*pair)]
        if lost:
            kind = classify.loss_kind(lost)
            yield Loss(kind, Direction.DOWNGRADE, object_name(transition.table_after), after, len(lost), len(pairs))
