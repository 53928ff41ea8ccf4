"""Judges a round trip: which rows and values could have survived it and did not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.dataloss import dangling, lost_rows, lost_values
from dormatory.dataloss.timeline import Timeline
from dormatory.recording.model import Direction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.dataloss.model import RoundTrip
    from dormatory.recording.model import Loss


def detect_losses(round_trip: RoundTrip) -> tuple[Loss, ...]:
    """Return what was lost on a round trip, in a stable order, each once and with the first leg that lost it.

    What the revision itself created, or drops outright, is no loss when it goes; neither is what the new structure
    cannot hold.
    """
    found: dict[tuple[object, ...], Loss] = {}
    for loss in _all_losses(round_trip):
        found.setdefault((loss.kind, loss.table, loss.column), loss)
    order = list(Direction)
    return tuple(sorted(found.values(), key=lambda it: (order.index(it.direction), it.kind.value, it.table, it.column)))


def _all_losses(round_trip: RoundTrip) -> Iterator[Loss]:
    timeline = Timeline(round_trip)
    yield from lost_rows.detect_lost_rows(timeline)
    yield from lost_values.detect_lost_values(timeline)
    legs = (
        (Direction.UPGRADE, round_trip.before, round_trip.upgraded),
        (Direction.DOWNGRADE, timeline.state_before_downgrade, round_trip.downgraded),
        (Direction.SECOND_UPGRADE, round_trip.downgraded, round_trip.upgraded_again),
    )
    for direction, before, after in legs:
        if before is not None and after is not None:
            yield from dangling.detect_dangling_keys(before, after, direction, timeline.unchanged_tables)
