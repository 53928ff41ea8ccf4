"""How long the round trip of a revision takes in a long history and in a short one, and the memory of a long one."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from tests.benchmarks.figure import Figure
from tests.benchmarks.setup import BenchmarkSetup, measure, open_setups

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 3
SHORT_REVISIONS, LONG_REVISIONS = 50, 1000
GROWTH_LIMIT, MEMORY_LIMIT_MB = 1.5, 500.0


def figures() -> Iterator[Figure]:
    """Yield growth and memory, once per backend."""
    with open_setups() as opened:
        for setup in opened:
            yield from _growth(setup)


def _growth(setup: BenchmarkSetup) -> Iterator[Figure]:
    """Measure how a revision's cost grows with the history, from the first step on: starting up is not the history."""
    short = median(
        _seconds_per_revision(measure(setup.ours, SHORT_REVISIONS, number), SHORT_REVISIONS) for number in range(ROUNDS)
    )
    played = measure(setup.ours, LONG_REVISIONS, 0)
    whole = _seconds_per_revision(played, LONG_REVISIONS)
    name = f"time per revision at {LONG_REVISIONS} against {SHORT_REVISIONS}, {setup.backend}"
    yield Figure(name, whole / short, GROWTH_LIMIT, "x", detail=f"{whole * 1000:.1f} ms, {short * 1000:.1f} ms")
    yield Figure(f"memory at {LONG_REVISIONS} revisions, {setup.backend}", played["memory_mb"], MEMORY_LIMIT_MB, "MB")


def _seconds_per_revision(played: dict[str, Any], revisions: int) -> float:
    return float(played["seconds"] - played["first"]) / (revisions - 1)
