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

_MOST = 6


@dataclass(frozen=True, slots=True)
class Region:
    """What lies between a branch point and a merge: its place in the usual order, that order, and others."""

    start: int
    usual: tuple[str, ...]
    others: tuple[tuple[str, ...], ...]


def regions(revisions: Sequence[Revision], most: int = _MOST) -> Iterator[Region]:
    """Yield the regions of a history, whose `revisions` stand in the usual order, with at most `most` other orders.

    The first of them applies the branches the other way round: with two branches, every two revisions that can change
    places have done so between it and the usual order.
    """
    before = _ancestors(revisions)
    start = 0
    for place in range(len(revisions) + 1):
        if place < len(revisions) and not _is_passed_by_all(place, before):
            continue
        if place - start > 1:
            usual = range(start, place)
            orders = (order for order in _orders(usual, before) if order != tuple(usual))
            names = [tuple(revisions[item].id for item in order) for order in islice(orders, most)]
            if names:
                yield Region(start, tuple(revisions[item].id for item in usual), tuple(names))
        start = place + 1


def _ancestors(revisions: Sequence[Revision]) -> list[int]:
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


def _is_passed_by_all(place: int, before: Sequence[int]) -> bool:
    """Say whether every other revision comes before this one or behind it."""
    return before[place] == (1 << place) - 1 and all(bits >> place & 1 for bits in before[place + 1 :])


def _orders(usual: Sequence[int], before: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield each order that keeps ancestors first, beginning with the one that prefers what usually comes last."""
    own = sum(1 << place for place in usual)
    begun: list[tuple[tuple[int, ...], int]] = [((), 0)]
    while begun:
        taken, done = begun.pop()
        if done == own:
            yield taken
        begun += [
            ((*taken, place), done | 1 << place)
            for place in usual
            if not done >> place & 1 and not before[place] & own & ~done
        ]
