"""What happens to the parts of a table, its constraints and indexes: which are dropped, made, altered and renamed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from dormatory.schema.snapshot import Constraint, Index

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PartT = TypeVar("PartT", Constraint, Index)


@dataclass(frozen=True, slots=True)
class PartChange(Generic[PartT]):
    """What happens to parts of one kind; what is altered or renamed is a pair, before and after."""

    dropped: tuple[PartT, ...]
    made: tuple[PartT, ...]
    altered: tuple[tuple[PartT, PartT], ...]
    renamed: tuple[tuple[PartT, PartT], ...]


def part_change(
    before: Sequence[PartT],
    after: Sequence[PartT],
    must_remake: Callable[[PartT], bool],
    can_alter: Callable[[PartT, PartT], bool],
) -> PartChange[PartT]:
    """Return what happens to the parts of a table.

    A part that differs in nothing but its name is renamed. `must_remake` names those that cannot stay although they
    do not differ, and `can_alter` those that differ and need not be dropped.
    """
    old, new = {part.name: part for part in before}, {part.name: part for part in after}
    stays = [name for name in new if name in old and not must_remake(old[name])]
    equal = {name for name in stays if _facts(old[name]) == _facts(new[name])}
    altered = {name for name in stays if name not in equal and can_alter(old[name], new[name])}
    gone = [part for name, part in old.items() if name not in equal | altered]
    added = [part for name, part in new.items() if name not in equal | altered]
    renamed = _renames(
        [it for it in gone if it.name not in new and not must_remake(it)], [it for it in added if it.name not in old]
    )
    return PartChange(
        tuple(part for part in gone if part not in [one for one, _ in renamed]),
        tuple(part for part in added if part not in [other for _, other in renamed]),
        tuple((old[name], new[name]) for name in new if name in altered),
        tuple(renamed),
    )


def _facts(part: Constraint | Index) -> tuple[object, ...]:
    if isinstance(part, Index):
        return part.definition, part.valid, part.options
    return part.kind, part.definition


def _renames(gone: Sequence[PartT], added: Sequence[PartT]) -> list[tuple[PartT, PartT]]:
    """Return the parts that have only one counterpart with the same facts under another name."""
    counts = Counter(_facts(part) for part in gone), Counter(_facts(part) for part in added)
    by_facts = {_facts(part): part for part in added}
    return [(part, by_facts[_facts(part)]) for part in gone if counts[0][_facts(part)] == counts[1][_facts(part)] == 1]
