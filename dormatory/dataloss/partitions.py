"""What becomes of the rows of partitions: they are read with their table, and leave it with a partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.dataloss.matching import projection

if TYPE_CHECKING:
    from dormatory.dataloss.timeline import TableTransition
    from dormatory.schema.snapshot import Table


def rows_of_detached_partitions(transition: TableTransition) -> set[int]:
    """Return the lost rows of a table that are in tables now which were partitions of it."""
    lost = transition.matching.lost
    if not lost or transition.table.partition_key is None:
        return set()
    names = {table.id for table in _partitions(transition)}
    found: set[int] = set()
    for contents in transition.leg.after.contents.tables:
        columns = tuple(name for name in transition.rows.columns if name in contents.columns)
        if contents.id in names and columns:
            rows = projection(transition.rows, columns)
            kept = set(projection(contents, columns))
            found |= {place for place in lost if rows[place] in kept}
    return found


def dropped_partition(transition: TableTransition) -> Table | None:
    """Return the partition that a leg drops while it deletes nothing else from the table, None if there is none."""
    if transition.delete_statement:
        return None
    drops = transition.leg.dataflow.drops
    return next((table for table in _partitions(transition) if table.name.lower() in drops), None)


def _partitions(transition: TableTransition) -> list[Table]:
    """Return the partitions of a table before a leg, on all levels, each after the table that it is a part of."""
    rest = [table for table in transition.leg.before.schema.tables if table.partition_bound is not None]
    found: list[Table] = []
    names = {transition.table.name}
    while parts := [it for it in rest if any(name.rpartition(".")[2].strip('"') in names for name in it.inherits)]:
        found += parts
        rest = [it for it in rest if it not in parts]
        names |= {it.name for it in parts}
    return found
