"""The orders in which branches can be applied: pure, over the revisions of a history.

A database applies branches in the order in which they were merged; another one may apply them in any other order that
keeps parents before children.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, islice
from operator import or_
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.project.script import Revision

_MAX_ORDERS = 6


@dataclass(frozen=True, slots=True)
class BranchRegion:
    """The revisions between a branch point and a merge: their first place, their usual order, and other orders."""

    start: int
    usual_order: tuple[str, ...]
    other_orders: tuple[tuple[str, ...], ...]


def branch_regions(revisions: Sequence[Revision], max_orders: int = _MAX_ORDERS) -> Iterator[BranchRegion]:
    """Yield the regions of a history, given in its usual order, each with at most `max_orders` other orders.

    The first of them applies the branches in reverse order: with two branches, every two revisions of which neither
    builds on the other have changed places in it.
    """
    needs = _dependency_bits(revisions)
    start = 0
    for place in (*_places_on_every_path(needs), len(needs)):
        if place - start > 1:
            usual = range(start, place)
            orders = (order for order in _topological_orders(usual, needs) if order != tuple(usual))
            names = [tuple(revisions[item].id for item in order) for order in islice(orders, max_orders)]
            if names:
                yield BranchRegion(start, tuple(revisions[item].id for item in usual), tuple(names))
        start = place + 1


def _dependency_bits(revisions: Sequence[Revision]) -> list[int]:
    """Return the places of what each revision builds on, as the bits of a number."""
    places = {revision.id: place for place, revision in enumerate(revisions)}
    needed = [{places[name] for name in (*item.parents, *item.depends_on) if name in places} for item in revisions]
    return [sum(1 << place for place in found) for found in needed]


def _places_on_every_path(needs: Sequence[int]) -> list[int]:
    """Return the places whose revision builds on every earlier one, and on which every later one builds.

    It builds on all earlier ones if each of them is needed by one that is not later; all later ones build on it if each
    of them needs one that is not earlier.
    """
    latest_need = [bits.bit_length() - 1 for bits in needs]
    return [
        place
        for place, needed_until_here in enumerate(accumulate(needs, or_))
        if needed_until_here == (1 << place) - 1 and min(latest_need[place + 1 :], default=place) >= place
    ]


def _topological_orders(usual: Sequence[int], needs: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield each order that keeps dependencies first, beginning with the one that prefers what usually comes last."""
    region = sum(1 << place for place in usual)
    partial_orders: list[tuple[tuple[int, ...], int]] = [((), 0)]
    while partial_orders:
        taken, done = partial_orders.pop()
        if done == region:
            yield taken
        partial_orders += [
            ((*taken, place), done | 1 << place)
            for place in usual
            if not done >> place & 1 and not needs[place] & region & ~done
        ]
