"""Detects foreign keys that refer to no row, where the database did not check them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.dataloss.new_constraints import parent_keys
from dormatory.dataloss.values import canonical_form
from dormatory.recording.loss import Loss, LossKind
from dormatory.schema.describe import object_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.dataloss.model import DatabaseState
    from dormatory.dataloss.timeline import TimelineLeg, UnchangedTables
    from dormatory.schema.snapshot import Constraint, Table


def detect_dangling_keys(leg: TimelineLeg, unchanged: UnchangedTables) -> Iterator[Loss]:
    """Yield the foreign keys that a leg has left with values that refer to no row.

    Values that dangled under the same key before the leg do not count; if all of them stood there without this key,
    they are narrowed by it. Keys between unchanged tables are not checked again.
    """
    for table in leg.after.schema.tables:
        for constraint in table.constraints:
            if constraint.kind != "FOREIGN KEY" or table.partition_bound is not None:
                continue
            target = constraint.references
            if target and table.id in unchanged and target.table_id in unchanged:
                continue
            keys, total = _dangling_keys(table, constraint, leg.after)
            earlier, _ = _dangling_keys(table, constraint, leg.before) if keys else ([], 0)
            known = earlier if _has_constraint(leg.before, table, constraint) else []
            if count := sum(key not in known for key in keys):
                yield Loss(
                    LossKind.DANGLING,
                    leg.direction,
                    object_name(table),
                    ", ".join(constraint.columns),
                    count,
                    total,
                    f"foreign key {constraint.name}" if constraint.name else constraint.definition,
                    is_stated="NOT VALID" in constraint.definition,  # such a key declares that it checks new rows only
                    is_narrowed=set(keys) <= set(earlier),
                )


def _dangling_keys(table: Table, constraint: Constraint, state: DatabaseState) -> tuple[Sequence[object], int]:
    """Return the key values that refer to no row, and how many key values there are."""
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
