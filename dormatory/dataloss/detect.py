"""Judges a round trip: which rows and values could have survived it and did not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.dataloss import dangling, lost_rows, lost_values
from dormatory.dataloss.timeline import Journey
from dormatory.recording.model import Direction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.dataloss.model import Trip
    from dormatory.recording.model import Loss


def judge(trip: Trip) -> tuple[Loss, ...]:
    """Return what was lost on a round trip, in a stable order, each once and with the first leg that lost it.

    What the revision itself created, or drops outright, is no loss when it goes; neither is what the new structure
    cannot hold.
    """
    found: dict[tuple[object, ...], Loss] = {}
    for loss in _losses(trip):
        found.setdefault((loss.kind, loss.table, loss.column), loss)
    order = list(Direction)
    return tuple(sorted(found.values(), key=lambda it: (order.index(it.direction), it.kind.value, it.table, it.column)))


def _losses(trip: Trip) -> Iterator[Loss]:
    journey = Journey(trip)
    yield from lost_rows.judged(journey)
    yield from lost_values.judged(journey)
    legs = (
        (Direction.UPGRADE, trip.before, trip.upgraded),
        (Direction.DOWNGRADE, journey.filled, trip.downgraded),
        (Direction.SECOND_UPGRADE, trip.downgraded, trip.upgraded_again),
    )
    for direction, before, after in legs:
        if before is not None and after is not None:
            yield from dangling.dangling(before, after, direction, journey.still)
