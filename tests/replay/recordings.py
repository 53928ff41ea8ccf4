"""Helpers that read a recording in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dormatory.recording.leg import Direction
    from dormatory.recording.model import Recording


def unclean_legs(recording: Recording) -> list[tuple[str, Direction]]:
    """Return the revision and direction of each leg that failed or left a trace."""
    return [(step.revision, leg.direction) for step in recording.steps for leg in step.legs if not leg.is_clean]
