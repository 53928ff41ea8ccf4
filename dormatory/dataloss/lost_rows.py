"""Detects rows of tables that still exist and that a round trip has deleted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dormatory.dataloss import values
from dormatory.dataloss.matching import key_columns, projected_rows, projection
from dormatory.dataloss.partitions import dropped_partition, rows_of_detached_partitions
from dormatory.dataloss.renames import likely_table_rename
from dormatory.recording.leg import Direction
from dormatory.recording.loss import Loss, LossKind
from dormatory.schema.describe import object_name

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterator, Sequence

    from dormatory.dataloss.timeline import TableTransition, Timeline
    from dormatory.schema.snapshot import Table, TableId
    from dormatory.sql.dataflow import Origin


def detect_lost_rows(timeline: Timeline) -> Iterator[Loss]:
    """Yield the deletions of rows that were there before the upgrade, or added after it."""
    for name, transition in timeline.upgrade_transitions.items():
        if transition.table_after is None:
            yield from _lost_with_table(timeline, name, transition)
        else:
            yield from _lost_on_upgrade(timeline, name, transition)
            yield from _lost_on_downgrade(timeline, name, transition)
    for transition in timeline.downgrade_transitions.values():
        if transition.table_after is not None:
            lost = timeline.filled_rows(transition) & set(transition.matching.lost)
            yield from _filled_row_losses(transition, lost - rows_of_detached_partitions(transition))


def _lost_on_upgrade(timeline: Timeline, name: TableId, transition: TableTransition) -> Iterator[Loss]:
    """Yield the rows that the upgrade deletes and that the downgrade does not bring back."""
    lost = set(transition.matching.lost)
    overall = timeline.overall_transitions.get(name)
    if overall is not None:
        lost &= set(overall.matching.lost)
    lost -= rows_of_detached_partitions(transition)
    if lost and (partition := dropped_partition(transition)):
        yield _dropped_partition(transition, lost, partition)
        return
    moved = _moved_rows(transition, lost) if overall is not None else []
    if len(moved) * 2 > len(lost):
        yield _rows_deleted(transition, lost, Direction.DOWNGRADE, _Cause(_move_evidence(transition)))
    elif lost:
        yield _rows_deleted(transition, lost, Direction.UPGRADE, _cause(transition, sorted(lost), Direction.UPGRADE))


def _lost_on_downgrade(timeline: Timeline, name: TableId, transition: TableTransition) -> Iterator[Loss]:
    """Yield the rows that were there before the upgrade and after it, and that the downgrade deletes."""
    overall = timeline.overall_transitions.get(name)
    if overall is None:
        return
    lost = set(overall.matching.lost) - set(transition.matching.lost) - rows_of_detached_partitions(overall)
    if overall.delete_statement:  # rows equal to inserted ones cannot be told apart from them
        columns = transition.identifying_columns
        added_values = set(projected_rows(transition.rows_after, columns.values(), transition.matching.added))
        old = projection(transition.rows, tuple(columns))
        lost = {place for place in lost if old[place] not in added_values}
    if lost:
        deletion = overall.delete_statement
        cause = _Cause.of(deletion) if deletion else _drop_cause(overall)
        yield _rows_deleted(transition, lost, Direction.DOWNGRADE, cause)


def _lost_with_table(timeline: Timeline, name: TableId, transition: TableTransition) -> Iterator[Loss]:
    """Yield the rows of a table that the upgrade drops and the downgrade creates again without them."""
    overall = timeline.overall_transitions.get(name)
    if overall is None or not overall.matching.lost:
        return
    if not _target_tables(transition):
        yield _dropped_table(transition, overall.matching.lost)
        return
    moved = _moved_rows(transition, range(len(transition.rows.rows)))
    lost = set(moved) & set(overall.matching.lost)
    if len(lost) * 2 > len(moved):
        yield _rows_deleted(transition, lost, Direction.DOWNGRADE, _Cause(_move_evidence(transition)))


def _dropped_partition(transition: TableTransition, lost: Collection[int], partition: Table) -> Loss:
    origin = transition.leg.dataflow.drops.get(partition.name.lower())
    loss = _rows_deleted(transition, lost, Direction.UPGRADE, _Cause.of(origin))
    table = object_name(partition)
    return replace(loss, kind=LossKind.DROPPED, table=table, example="", remedy=f'lossy = "{table}"')


def _dropped_table(transition: TableTransition, lost: Collection[int]) -> Loss:
    """Return the loss of a table that was dropped with its rows, or that was renamed in this way, it seems."""
    table, origin = transition.table, transition.leg.dataflow.drops.get(transition.table.name.lower())
    rename = likely_table_rename(transition.leg, table)
    loss = _rows_deleted(transition, lost, Direction.UPGRADE, _Cause.of(origin))
    if rename is None:
        return replace(loss, kind=LossKind.DROPPED, example="", remedy=f'lossy = "{loss.table}"')
    evidence = f"renamed to {rename.new_name}, it seems: it is dropped, and {rename.new_name} is created with"
    return replace(
        loss, kind=LossKind.VALUES_LOST, is_stated=not rename.is_sure, evidence=f"{evidence} {rename.evidence}",
        remedy=f'op.rename_table("{table.name}", "{rename.new_name}")',
    )  # fmt: skip


def _filled_row_losses(transition: TableTransition, lost: Collection[int]) -> Iterator[Loss]:
    """Yield the rows that were added after the upgrade and that the downgrade deletes.

    Those that the older structure refuses have to go; that is a loss only if no statement says so.
    """
    constraints, deletion = transition.new_constraints, transition.delete_statement
    refused = {it for it in lost if constraints and (constraints.is_violated_by(it) or constraints.shared_key(it))}
    if others := sorted(set(lost) - refused):
        cause = _cause(transition, others, Direction.DOWNGRADE)
        yield _rows_deleted(transition, others, Direction.DOWNGRADE, cause)
    elif refused and not deletion:
        cause = replace(_drop_cause(transition), is_stated=True)
        yield _rows_deleted(transition, refused, Direction.DOWNGRADE, cause)


@dataclass(frozen=True, slots=True)
class _Cause:
    """What has deleted rows, and whether a statement says so.

    `kept` is a key: of the rows with the same one, one is left.
    """

    evidence: str = ""
    line: int = 0
    is_stated: bool = False
    kept: str = ""

    @classmethod
    def of(cls, origin: Origin | None, evidence: str = "", *, is_stated: bool = False, kept: str = "") -> _Cause:
        """Return a statement as the cause, and as the evidence unless one is given; an unknown cause for None."""
        return cls(evidence or str(origin), origin.line, is_stated, kept) if origin else cls()


def _rows_deleted(transition: TableTransition, lost: Collection[int], direction: Direction, cause: _Cause) -> Loss:
    table = object_name(transition.table)
    what = f"all rows of {table} but one with the same {cause.kept}" if cause.kept else f"rows of {table}"
    return Loss(
        LossKind.ROWS_DELETED, direction, table, "", len(lost), len(transition.rows.rows), cause.evidence,
        is_stated=cause.is_stated, line=cause.line, example=_example_row(transition, min(lost)),
        remedy=f'lossy = "{what}"',
    )  # fmt: skip


def _example_row(transition: TableTransition, place: int) -> str:
    row = dict(zip(transition.rows.columns, transition.rows.rows[place], strict=True))
    shown = key_columns(transition.table) or transition.rows.columns[:1]
    return "such as " + ", ".join(f"{name} {values.display_form(row[name])}" for name in shown if name in row)


def _cause(transition: TableTransition, lost: Sequence[int], direction: Direction) -> _Cause:
    """Return what has deleted rows of a table that still exists."""
    constraints, deletion = transition.new_constraints, transition.delete_statement
    shared_keys = [constraints.shared_key(it) for it in lost] if constraints else []
    if kept := next(filter(None, shared_keys), ""):
        origin = deletion or _insert_statement(transition)
        evidence = f"of those with the same {kept} one is left"
        return _Cause.of(origin, f"{evidence}; {origin}", kept=kept) if origin else _Cause(evidence, kept=kept)
    if deletion and constraints and all(constraints.shared_key(it, even_if_none_kept=True) for it in lost):
        return _Cause.of(deletion, f"{deletion} has kept none of those that were alike")
    if deletion:
        return _Cause.of(deletion, is_stated=True)
    # Rows that refer to rows which the upgrade itself inserted must be deleted with them; older rows need not.
    if parent_deletion := _parent_deletion(transition, lost):
        return _Cause.of(parent_deletion, f"follows {parent_deletion}", is_stated=direction is not Direction.UPGRADE)
    return _drop_cause(transition)


def _parent_deletion(transition: TableTransition, lost: Collection[int]) -> Origin | None:
    """Return the statement that deletes the parents of all these rows, None if there is none."""
    found = None
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
        found = deleted
    return found if not left else None


def _drop_cause(transition: TableTransition) -> _Cause:
    """Return the DROP TABLE that deleted the rows, of a table that this one refers to or of this one in a rebuild."""
    drops = transition.leg.dataflow.drops
    parents = [it.references.table for it in transition.table.constraints if it.references]
    for parent in parents:
        if parent != transition.table.name and (statement := drops.get(parent.lower())):
            return _Cause.of(statement, f"{statement} deletes what refers to {parent}")
    origin = _insert_statement(transition) or drops.get(transition.table.name.lower())
    return _Cause.of(origin)


def _insert_statement(transition: TableTransition) -> Origin | None:
    """Return the last INSERT into the new form of a table that was rebuilt, None if it was not."""
    dataflow = transition.leg.dataflow
    is_rebuilt = transition.table_after is not None and transition.table.name.lower() in dataflow.drops
    return dataflow.inserts.get(transition.table_after.name.lower()) if is_rebuilt and transition.table_after else None


def _move_evidence(transition: TableTransition) -> str:
    return f"the upgrade has moved them to {' and '.join(_target_tables(transition))}"


def _target_tables(transition: TableTransition) -> list[str]:
    """Return the tables that the leg inserts into with values of this one."""
    own_names = {table.name.lower() for table in (transition.table, transition.table_after) if table}
    inserts = (write for write in transition.leg.dataflow.writes if write.origin.verb == "INSERT")
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
