"""Names of constraints and indexes that both sides have, but for their names."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.schema.snapshot import Constraint, Index, Snapshot, Table

    _Part = TypeVar("_Part", Constraint, Index)


def wanted_names(found: Snapshot, wanted: Snapshot) -> Iterator[tuple[Table, Table]]:
    """Yield each table in which constraints or indexes can take the names of equal ones, and what it is then."""
    tables = {table.id: table for table in wanted.tables}
    for table in found.tables:
        if other := tables.get(table.id):
            constraints = _with_names_of(table.constraints, other.constraints)
            indexes = _with_names_of(table.indexes, other.indexes)
            named = replace(
                table,
                constraints=tuple(sorted(constraints, key=lambda it: (it.kind, it.name or ""))),
                indexes=tuple(sorted(indexes, key=lambda it: it.name)),
            )
            if (set(constraints), set(indexes)) != (set(table.constraints), set(table.indexes)):
                yield table, named


def _with_names_of(parts: Sequence[_Part], wanted: Sequence[_Part]) -> list[_Part]:
    """Return the parts, those whose names are not wanted with the name of the only equal one that is missing."""
    names, wanted_names = {it.name for it in parts}, {it.name for it in wanted}
    free = [it for it in wanted if it.name and it.name not in names]
    left = Counter(it.definition for it in parts if it.name and it.name not in wanted_names)
    counts = Counter(it.definition for it in free)
    new_names = {it.definition: it.name for it in free if counts[it.definition] == left[it.definition] == 1}
    return [
        replace(it, name=new_names[it.definition])
        if it.name and it.name not in wanted_names and it.definition in new_names
        else it
        for it in parts
    ]
