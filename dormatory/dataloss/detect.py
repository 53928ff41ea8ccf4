"""Detects which rows and values a round trip lost although they could have survived it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.dataloss.counters import detect_counters_behind
from dormatory.dataloss.dangling import detect_dangling_keys
from dormatory.dataloss.duplicated_rows import detect_duplicated_rows
from dormatory.dataloss.lost_rows import detect_lost_rows
from dormatory.dataloss.lost_values import detect_lost_values
from dormatory.dataloss.timeline import Timeline
from dormatory.recording.leg import Direction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.dataloss.model import RoundTrip
    from dormatory.recording.loss import Loss


def detect_losses(round_trip: RoundTrip) -> tuple[Loss, ...]:
    """Return what a round trip lost, in a stable order, each loss once and with the first leg that caused it.

    What the revision itself created is no loss, and what it drops outright is only recorded. That the new structure
    cannot hold something is no excuse: its values were cut, rounded or merged, its rows left behind.
    """
    found: dict[tuple[object, ...], Loss] = {}
    for loss in _all_losses(round_trip):
        found.setdefault((loss.kind, loss.table, loss.column), loss)
    order = list(Direction)
    return tuple(sorted(found.values(), key=lambda it: (order.index(it.direction), it.kind.value, it.table, it.column)))


def _all_losses(round_trip: RoundTrip) -> Iterator[Loss]:
    timeline = Timeline(round_trip)
    yield from detect_lost_rows(timeline)
    yield from detect_duplicated_rows(timeline)
    yield from detect_lost_values(timeline)
    yield from detect_counters_behind(timeline)
    for leg in timeline.legs.values():
        yield from detect_dangling_keys(leg, timeline.unchanged_tables)
