"""Detects values that a round trip changed although they could have stayed, or come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.dataloss.classify import loss_kind
from dormatory.dataloss.column_history import ColumnHistory
from dormatory.dataloss.dropped_columns import dropped_column_losses
from dormatory.dataloss.kept_columns import kept_column_losses
from dormatory.dataloss.matching import key_columns
from dormatory.dataloss.misplaced_values import detect_misplaced_values
from dormatory.dataloss.values import canonical_form, example_of, is_same_value
from dormatory.recording.leg import Direction
from dormatory.recording.loss import Loss, LossKind
from dormatory.schema.describe import object_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.dataloss.timeline import TableTransition, Timeline


def detect_lost_values(timeline: Timeline) -> Iterator[Loss]:
    """Yield the losses of values, at most one for each column."""
    for transitions in timeline.transitions.values():
        for transition in transitions.values():
            yield from detect_misplaced_values(transition)
    for name, overall in timeline.overall_transitions.items():
        upgrade = timeline.upgrade_transitions.get(name)
        if upgrade is None or overall.rows == overall.rows_after:
            continue
        for column in overall.column_names:
            if not (
                _is_unchanged(overall, column)
                or _has_replaced_keys(timeline, overall, column)
                or _is_misplaced(timeline, upgrade, column)
            ):
                yield from _column_losses(timeline, ColumnHistory(upgrade, overall, column))
    if Direction.DOWNGRADE not in timeline.legs:
        for transition in timeline.upgrade_transitions.values():
            yield from _values_cut_by_upgrade(transition)
    for transition in timeline.downgrade_transitions.values():
        yield from _filled_value_losses(timeline, transition)


def _values_cut_by_upgrade(transition: TableTransition) -> Iterator[Loss]:
    """Yield the columns that the upgrade cut or rounded, where the downgrade failed and nothing came back at all."""
    after, table_after = transition.rows_after, transition.table_after
    if after is None or table_after is None:
        return
    old = {column.name: column.type for column in transition.table.columns}
    new = {column.name: column.type for column in table_after.columns}
    for name, name_after in transition.column_names.items():
        if old[name] == new[name_after] or name_after not in after.columns:
            continue
        places = transition.rows.columns.index(name), after.columns.index(name_after)
        pairs = [(transition.rows.rows[a][places[0]], after.rows[b][places[1]]) for a, b in transition.matching.pairs]
        changed = [pair for pair in pairs if canonical_form(pair[0]) != canonical_form(pair[1])]
        if changed and all(loss_kind([pair]) is LossKind.TRUNCATED for pair in changed):
            table, origin = (
                object_name(transition.table),
                transition.leg.dataflow.retypes.get((table_after.name.lower(), name_after.lower())),
            )
            yield Loss(
                LossKind.TRUNCATED, Direction.UPGRADE, table, name, len(changed), len(pairs), str(origin or ""),
                is_narrowed=not any(isinstance(one, float) for one, _ in changed), line=origin.line if origin else 0,
                example=example_of(*changed[0]), remedy=f'lossy = "{table}.{name} is cut or rounded"',
            )  # fmt: skip


def _is_unchanged(overall: TableTransition, column: str) -> bool:
    """Return whether all matched rows have their old value; most columns do."""
    if overall.rows_after is None:
        return True
    old, new = overall.rows.columns.index(column), overall.rows_after.columns.index(column)
    before, after = overall.rows.rows, overall.rows_after.rows
    pairs = overall.matching.pairs
    return [before[one][old] for one, _ in pairs] == [after[two][new] for _, two in pairs]


def _is_misplaced(timeline: Timeline, upgrade: TableTransition, column: str) -> bool:
    """Return whether a leg has put the values of a column into another one, or those of another one into it."""
    downgrade = timeline.downgrade_transitions.get(upgrade.table_after.id) if upgrade.table_after else None
    name_after = upgrade.column_names.get(column, "")
    moved = upgrade.misplaced_columns.items() | (downgrade.misplaced_columns.items() if downgrade else set())
    return any({column, name_after} & {old, new} for old, new in moved)


def _has_replaced_keys(timeline: Timeline, overall: TableTransition, column: str) -> bool:
    """Return whether a column holds keys that the upgrade has replaced: its own, or those of rows it refers to."""
    tables = [it.references.table for it in overall.table.constraints if it.references and column in it.columns]
    tables += [overall.table.name] if column in key_columns(overall.table) else []
    return any(
        transition.matching.rekeyed or transition.table_after is None
        for transition in timeline.upgrade_transitions.values()
        if transition.table.name in tables
    )


def _column_losses(timeline: Timeline, column: ColumnHistory) -> Iterator[Loss]:
    if not column.changed_cells:
        return
    if column.name_after is None:
        yield from dropped_column_losses(column)
    else:
        yield from kept_column_losses(column, timeline.time_zones)


def _filled_value_losses(timeline: Timeline, transition: TableTransition) -> Iterator[Loss]:
    """Yield the values that were added after the upgrade and that the downgrade changes without saying so."""
    filled = timeline.filled_rows(transition)
    if transition.table_after is None or transition.rows_after is None or not filled:
        return
    old = {column.name: column for column in transition.table.columns}
    new = {column.name: column for column in transition.table_after.columns}
    for before, after in transition.column_names.items():
        one, other = old[before], new[after]
        if before in transition.misplaced_columns or after in transition.misplaced_columns.values():
            continue
        if (one.type, one.nullable) != (other.type, other.nullable) or transition.leg.dataflow.writes_to(
            transition.table_after.name, after
        ):
            continue
        at, index_after = transition.rows.columns.index(before), transition.rows_after.columns.index(after)
        pairs = [
            (transition.rows.rows[row_index][at], transition.rows_after.rows[found][index_after])
            for row_index, found in transition.matching.pairs
            if row_index in filled and row_index not in transition.matching.rekeyed
        ]
        lost = [pair for pair in pairs if not is_same_value(*pair)]
        if lost:
            table = object_name(transition.table_after)
            yield Loss(loss_kind(lost), transition.leg.direction, table, after, len(lost), len(pairs))
