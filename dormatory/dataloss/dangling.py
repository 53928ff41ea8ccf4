"""Foreign keys whose rows name none, where the database did not look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.dataloss.new_constraints import parents_of
from dormatory.dataloss.values import loose
from dormatory.recording.model import Kind, Loss
from dormatory.schema.describe import name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.dataloss.model import State
    from dormatory.dataloss.timeline import Still
    from dormatory.recording.model import Direction
    from dormatory.schema.snapshot import Constraint, Table


def dangling(before: State, after: State, direction: Direction, still: Still) -> Iterator[Loss]:
    """Yield the foreign keys that a leg has left with rows that name none.

    A row that broke the same key before the leg is not held against it. A key made NOT VALID says itself that it looks
    at new rows only. Keys between tables that are `still`, to which nothing has happened, are not looked at again.
    """
    for table in after.schema.tables:
        for constraint in table.constraints:
            if constraint.kind != "FOREIGN KEY" or table.partition_bound is not None:
                continue
            target = constraint.references
            if target and (table.namespace, table.name) in still and (target.namespace, target.table) in still:
                continue
            orphans, of = _orphans(table, constraint, after)
            broken, _ = _orphans(table, constraint, before) if orphans and _had(before, table, constraint) else ([], 0)
            count = len([orphan for orphan in orphans if orphan not in broken])
            if count:
                yield Loss(
                    Kind.DANGLING,
                    direction,
                    name_of(table),
                    ", ".join(constraint.columns),
                    count,
                    of,
                    f"foreign key {constraint.name}" if constraint.name else constraint.definition,
                    is_stated="NOT VALID" in constraint.definition,
                )


def _orphans(table: Table, constraint: Constraint, state: State) -> tuple[Sequence[object], int]:
    """Return the keys that name no row, and how many keys there are."""
    contents = next(
        (it for it in state.contents.tables if (it.namespace, it.name) == (table.namespace, table.name)), None
    )
    if contents is None or not contents.rows or not set(constraint.columns) <= set(contents.columns):
        return [], 0
    parents = parents_of(constraint, state)
    places = [contents.columns.index(name) for name in constraint.columns]
    keys = [key for row in contents.rows if None not in (key := tuple([row[place] for place in places]))]
    if parents is None:
        return [], len(keys)
    return [key for key in keys if tuple(map(loose, key)) not in parents], len(keys)


def _had(state: State, table: Table, constraint: Constraint) -> bool:
    return any(
        constraint.definition == it.definition
        for other in state.schema.tables
        if (other.namespace, other.name) == (table.namespace, table.name)
        for it in other.constraints
    )
