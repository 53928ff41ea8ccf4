"""Orders tables for filling: parents before children, and cycles together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dormatory.rows.plan import TablePlan
    from dormatory.schema.snapshot import TableId


def insert_order(plans: Iterable[TablePlan]) -> Iterator[tuple[TablePlan, ...]]:
    """Yield tables one by one, each after its required parents; tables that require each other are yielded together."""
    waiting = {plan.id: plan for plan in sorted(plans, key=lambda plan: (plan.id[0] or "", plan.id[1]))}
    required_parents = {
        id_: {link.parent for link in plan.foreign_keys if link.is_required and link.parent in waiting} - {id_}
        for id_, plan in waiting.items()
    }
    all_parents = {id_: {link.parent for link in plan.foreign_keys} - {id_} for id_, plan in waiting.items()}
    while waiting:
        ready = [id_ for id_ in waiting if not required_parents[id_] & waiting.keys()]
        if ready:
            chosen = {min(ready, key=lambda id_: len(all_parents[id_] & waiting.keys()))}
        else:
            chosen = _cycle(required_parents, waiting.keys())
        yield tuple(waiting.pop(id_) for id_ in sorted(chosen, key=str))


def _cycle(
    required_parents: dict[TableId, set[TableId]],
    waiting: Iterable[TableId],
) -> set[TableId]:
    """Return tables that require each other and no other table that is waiting."""
    left = set(waiting)
    reached = {id_: _reachable(id_, required_parents, left) for id_ in left}
    first = min(left, key=lambda id_: (len(reached[id_]), str(id_)))
    return reached[first] | {first}


def _reachable(
    start: TableId,
    required_parents: dict[TableId, set[TableId]],
    left: set[TableId],
) -> set[TableId]:
    found: set[TableId] = set()
    frontier = {start}
    while frontier:
        frontier = {to for id_ in frontier for to in required_parents[id_] & left} - found
        found |= frontier
    return found
