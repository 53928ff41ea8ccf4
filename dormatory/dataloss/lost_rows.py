"""Detects rows that a round trip deleted although they could have survived."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.dataloss import values
from dormatory.dataloss.matching import projected_rows, projection
from dormatory.recording.model import Direction, Loss, LossKind
from dormatory.schema.describe import object_name

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterator, Sequence

    from dormatory.dataloss.timeline import TableTransition, Timeline
    from dormatory.schema.snapshot import TableId


def detect_lost_rows(timeline: Timeline) -> Iterator[Loss]:
    """Yield the deletions of rows that were there before the upgrade, or added after it."""
    for name, transition in timeline.upgrade_transitions.items():
        if transition.table_after is None:
            yield from _rows_not_moved_back(timeline, name, transition)
        else:
            yield from _lost_on_upgrade(timeline, name, transition)
            yield from _lost_on_downgrade(timeline, name, transition)
    for transition in timeline.downgrade_transitions.values():
        if transition.table_after is not None:
            lost = timeline.filled_rows(transition) & set(transition.matching.lost)
            yield from _avoidable_losses(transition, lost, Direction.DOWNGRADE)


def _lost_on_upgrade(timeline: Timeline, name: TableId, transition: TableTransition) -> Iterator[Loss]:
    """Yield the rows that the upgrade deletes and that the downgrade does not bring back."""
    lost = set(transition.matching.lost)
    overall = timeline.overall_transitions.get(name)
    if overall is not None:
        lost &= set(overall.matching.lost)
    moved = _moved_rows(transition, lost) if overall is not None else []
    if len(moved) * 2 > len(lost):
        yield _rows_deleted(transition, lost, Direction.DOWNGRADE, _move_evidence(transition))
    else:
        yield from _avoidable_losses(transition, lost, Direction.UPGRADE)


def _lost_on_downgrade(timeline: Timeline, name: TableId, transition: TableTransition) -> Iterator[Loss]:
    """Yield the rows that were there before the upgrade and after it, and that the downgrade deletes."""
    overall = timeline.overall_transitions.get(name)
    if overall is None:
        return
    lost = set(overall.matching.lost) - set(transition.matching.lost)
    if overall.delete_statement:  # rows equal to inserted ones cannot be told apart from them
        columns = transition.identifying_columns
        added_values = set(projected_rows(transition.rows_after, columns.values(), transition.matching.added))
        old = projection(transition.rows, tuple(columns))
        lost = {place for place in lost if old[place] not in added_values}
    if lost:
        evidence = overall.delete_statement or _drop_statement(overall)
        yield _rows_deleted(transition, lost, Direction.DOWNGRADE, evidence)


def _rows_not_moved_back(timeline: Timeline, name: TableId, transition: TableTransition) -> Iterator[Loss]:
    """Yield the rows of a table that the upgrade drops, if it moved them before and they do not come back."""
    overall = timeline.overall_transitions.get(name)
    if overall is None or not _target_tables(transition):
        return
    moved = _moved_rows(transition, range(len(transition.rows.rows)))
    lost = set(moved) & set(overall.matching.lost)
    if len(lost) * 2 > len(moved):
        yield _rows_deleted(transition, lost, Direction.DOWNGRADE, _move_evidence(transition))


def _avoidable_losses(transition: TableTransition, lost: Collection[int], direction: Direction) -> Iterator[Loss]:
    """Yield the lost rows that the table, as it is after the leg, could hold."""
    constraints = transition.new_constraints
    avoidable = [
        it for it in lost if constraints is None or not (constraints.is_violated_by(it) or constraints.is_duplicate(it))
    ]
    if avoidable:
        evidence, is_stated = _cause(transition, avoidable, direction)
        yield _rows_deleted(transition, avoidable, direction, evidence, is_stated=is_stated)


def _rows_deleted(
    transition: TableTransition, lost: Collection[int], direction: Direction, evidence: str, *, is_stated: bool = False
) -> Loss:
    table, total = object_name(transition.table), len(transition.rows.rows)
    return Loss(LossKind.ROWS_DELETED, direction, table, "", len(lost), total, evidence, is_stated=is_stated)


def _cause(transition: TableTransition, lost: Sequence[int], direction: Direction) -> tuple[str, bool]:
    """Return what has deleted rows, and whether a statement says so."""
    constraints, deletion = transition.new_constraints, transition.delete_statement
    if deletion and constraints and all(constraints.is_duplicate(it, even_if_none_kept=True) for it in lost):
        return f"{deletion} has kept none of those that were alike", False
    if deletion:
        return deletion, True
    # Rows that refer to rows which the upgrade itself inserted must be deleted with them; older rows need not.
    if parent_deletion := _parent_deletion(transition, lost):
        return parent_deletion, direction is not Direction.UPGRADE
    return _drop_statement(transition), False


def _parent_deletion(transition: TableTransition, lost: Collection[int]) -> str:
    """Return the statement that deletes the parents of all these rows, "" if there is none."""
    evidence = ""
    left = set(lost)
    for constraint in transition.table.constraints:
        reference = constraint.references
        if reference is None or not (deleted := transition.leg.dataflow.delete_statement(reference.table)):
            continue
        parents = next((it for it in transition.leg.after.contents.tables if it.name == reference.table), None)
        if parents is None or not set(reference.columns) <= set(parents.columns):
            continue
        parent_keys = set(projection(parents, reference.columns))
        foreign_keys = projection(transition.rows, constraint.columns)
        left = {it for it in left if foreign_keys[it] in parent_keys}
        evidence = f"follows {deleted}"
    return evidence if not left else ""


def _drop_statement(transition: TableTransition) -> str:
    """Return the DROP TABLE that deleted the rows, of this table or of one that it refers to; "" without one."""
    parents = [it.references.table for it in transition.table.constraints if it.references]
    for parent in parents:
        if parent != transition.table.name and (statement := transition.leg.dataflow.drops.get(parent.lower())):
            return f"{statement} deletes what refers to {parent}"
    return transition.leg.dataflow.drops.get(transition.table.name.lower(), "")


def _move_evidence(transition: TableTransition) -> str:
    return f"the upgrade has moved them to {' and '.join(_target_tables(transition))}"


def _target_tables(transition: TableTransition) -> list[str]:
    """Return the tables that the leg inserts into with values of this one."""
    own_names = {table.name.lower() for table in (transition.table, transition.table_after) if table}
    inserts = (write for write in transition.leg.dataflow.writes if write.verb == "INSERT")
    return sorted({write.table for write in inserts if write.sources & own_names} - own_names)


def _moved_rows(transition: TableTransition, places: Collection[int]) -> list[int]:
    """Return the rows of which every value that was read for other tables is found in these."""
    targets = _target_tables(transition)
    writes = [write for write in transition.leg.dataflow.writes if write.table in targets]
    reads = frozenset().union(*(write.reads for write in writes)) if writes else frozenset()
    read_columns = [at for at, column in enumerate(transition.rows.columns) if column.lower() in reads]
    target_values: set[Hashable] = set()
    for table in transition.leg.after.contents.tables:
        if table.name.lower() in targets:
            target_values |= {values.canonical_form(value) for row in table.rows for value in row}
    return [
        place
        for place in places
        if any(transition.rows.rows[place][at] is not None for at in read_columns)
        and all(
            transition.rows.rows[place][at] is None
            or values.canonical_form(transition.rows.rows[place][at]) in target_values
            for at in read_columns
        )
    ]
