"""The orders in which branches can be applied: pure, over the revision graph.

A database meets branches in the order in which they were merged; another one may meet them in any other that keeps
parents before children.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.project.history import Revision

_MAX_ORDERS = 6


@dataclass(frozen=True, slots=True)
class BranchRegion:
    """What lies between a branch point and a merge: its place in the usual order, that order, and others."""

    start: int
    usual_order: tuple[str, ...]
    other_orders: tuple[tuple[str, ...], ...]


def branch_regions(revisions: Sequence[Revision], max_orders: int = _MAX_ORDERS) -> Iterator[BranchRegion]:
    """Yield the regions of a history, whose `revisions` stand in the usual order, with at most `most` other orders.

    The first of them applies the branches the other way round: with two branches, every two revisions that can change
    places have done so between it and the usual order.
    """
    before = _ancestor_bits(revisions)
    start = 0
    for place in range(len(revisions) + 1):
        if place < len(revisions) and not _is_on_every_path(place, before):
            continue
        if place - start > 1:
            usual = range(start, place)
            orders = (order for order in _topological_orders(usual, before) if order != tuple(usual))
            names = [tuple(revisions[item].id for item in order) for order in islice(orders, max_orders)]
            if names:
                yield BranchRegion(start, tuple(revisions[item].id for item in usual), tuple(names))
        start = place + 1


def _ancestor_bits(revisions: Sequence[Revision]) -> list[int]:
    """Return the places of all ancestors of each revision, as the bits of a number."""
    places = {name: place for place, item in enumerate(revisions) for name in (item.id, *item.labels)}
    found: list[int] = []
    for item in revisions:
        above = [places[name] for name in (*item.parents, *item.depends_on) if name in places]
        bits = 0
        for place in above:
            bits |= found[place] | 1 << place
        found.append(bits)
    return found


def _is_on_every_path(place: int, before: Sequence[int]) -> bool:
    """Say whether every other revision comes before this one or behind it."""
    return before[place] == (1 << place) - 1 and all(bits >> place & 1 for bits in before[place + 1 :])


def _topological_orders(usual: Sequence[int], before: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield each order that keeps ancestors first, beginning with the one that prefers what usually comes last."""
    own = sum(1 << place for place in usual)
    partial_orders: list[tuple[tuple[int, ...], int]] = [((), 0)]
    while partial_orders:
        taken, done = partial_orders.pop()
        if done == own:
            yield taken
        partial_orders += [
            ((*taken, place), done | 1 << place)
            for place in usual
            if not done >> place & 1 and not before[place] & own & ~done
        ]
