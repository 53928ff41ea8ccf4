"""Foreign keys whose rows name none, where the database did not look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.dataloss.new_constraints import parent_keys
from dormatory.dataloss.values import canonical_form
from dormatory.recording.model import Loss, LossKind
from dormatory.schema.describe import object_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.dataloss.model import DatabaseState
    from dormatory.dataloss.timeline import UnchangedTables
    from dormatory.recording.model import Direction
    from dormatory.schema.snapshot import Constraint, Table


def detect_dangling_keys(
    before: DatabaseState, after: DatabaseState, direction: Direction, unchanged: UnchangedTables
) -> Iterator[Loss]:
    """Yield the foreign keys that a leg has left with rows that name none.

    A row that broke the same key before the leg is not held against it. A key made NOT VALID says itself that it looks
    at new rows only. Keys between tables that are `still`, to which nothing has happened, are not looked at again.
    """
    for table in after.schema.tables:
        for constraint in table.constraints:
            if constraint.kind != "FOREIGN KEY" or table.partition_bound is not None:
                continue
            target = constraint.references
            if target and table.id in unchanged and (target.namespace, target.table) in unchanged:
                continue
            dangling_keys, total = _dangling_keys(table, constraint, after)
            dangling_before, _ = (
                _dangling_keys(table, constraint, before)
                if dangling_keys and _has_constraint(before, table, constraint)
                else ([], 0)
            )
            count = len([orphan for orphan in dangling_keys if orphan not in dangling_before])
            if count:
                yield Loss(
                    LossKind.DANGLING,
                    direction,
                    object_name(table),
                    ", ".join(constraint.columns),
                    count,
                    total,
                    f"foreign key {constraint.name}" if constraint.name else constraint.definition,
                    is_stated="NOT VALID" in constraint.definition,
                )


def _dangling_keys(table: Table, constraint: Constraint, state: DatabaseState) -> tuple[Sequence[object], int]:
    """Return the keys that name no row, and how many keys there are."""
    contents = next((it for it in state.contents.tables if it.id == table.id), None)
    if contents is None or not contents.rows or not set(constraint.columns) <= set(contents.columns):
        return [], 0
    existing_keys = parent_keys(constraint, state)
    indexes = [contents.columns.index(name) for name in constraint.columns]
    keys = [key for row in contents.rows if None not in (key := tuple([row[place] for place in indexes]))]
    if existing_keys is None:
        return [], len(keys)
    return [key for key in keys if tuple(map(canonical_form, key)) not in existing_keys], len(keys)


def _has_constraint(state: DatabaseState, table: Table, constraint: Constraint) -> bool:
    return any(
        constraint.definition == it.definition
        for other in state.schema.tables
        if other.id == table.id
        for it in other.constraints
    )
