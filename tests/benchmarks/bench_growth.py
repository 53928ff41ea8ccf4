"""What a revision's round trip costs in a long history against a short one, and the memory that a long one takes."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from tests.benchmarks.arena import Arena, arenas, taken
from tests.benchmarks.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 3
SHORT, WHOLE = 50, 1000
GROWTH, MEMORY_MB = 1.5, 500.0


def figures() -> Iterator[Figure]:
    """Yield growth and memory, once per backend."""
    with arenas() as opened:
        for arena in opened:
            yield from _growth(arena)


def _growth(arena: Arena) -> Iterator[Figure]:
    """Measure how a revision's cost grows with the history, from the first step on: starting up is not the history."""
    short = median(_each(taken(arena.ours, SHORT, number), SHORT) for number in range(ROUNDS))
    played = taken(arena.ours, WHOLE, 0)
    whole = _each(played, WHOLE)
    name = f"time per revision at {WHOLE} against {SHORT}, {arena.backend}"
    yield Figure(name, whole / short, GROWTH, "x", detail=f"{whole * 1000:.1f} ms, {short * 1000:.1f} ms")
    yield Figure(f"memory at {WHOLE} revisions, {arena.backend}", played["memory_mb"], MEMORY_MB, "MB")


def _each(played: dict[str, Any], revisions: int) -> float:
    return float(played["seconds"] - played["first"]) / (revisions - 1)
