"""Judges a round trip: which rows and values could have survived it and did not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dormatory.migrations.survival.loss import Loss, Trip


def judge(trip: Trip) -> tuple[Loss, ...]:
    """Return what was lost on a round trip, in a stable order, each once and with the leg that lost it."""
    return ()
