"""The whole round trip, rows and recording included, against its own growth, its peers, and the limit.

All play the same synthetic history, an ordinary Alembic project with an ordinary env.py, on the same databases in
memory. The peers take their turns beside us in each round, so that a busy machine is slow for all of them.
"""

from __future__ import annotations

import sys
from statistics import median
from typing import TYPE_CHECKING, Any

from tests.benchmarks.arena import Arena, arenas
from tests.benchmarks.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = 3
SHORT, MIDDLE, LONG, WHOLE = 50, 200, 500, 1000
GROWTH, MEMORY_MB, BARE = 1.5, 500.0, 8.0
STAIRWAY_MIDDLE, STAIRWAY_LONG, PYTEST_ALEMBIC = 10.0, 25.0, 10.0


def figures() -> Iterator[Figure]:
    """Yield growth, memory, and the ratios, once per backend."""
    with arenas() as opened:
        for arena in opened:
            yield from _growth(arena)
            yield from _peers(arena)
            yield _long_stairway(arena)


def _growth(arena: Arena) -> Iterator[Figure]:
    """Measure how a revision's cost grows with the history, from the first step on: starting up is not the history."""
    ratios, each, memory = [], [], []
    for number in range(ROUNDS):
        short, whole = (_taken(arena.ours, revisions, number) for revisions in (SHORT, WHOLE))
        each.append((whole["seconds"] - whole["first"]) / (WHOLE - 1))
        ratios.append(each[-1] / (short["seconds"] - short["first"]) * (SHORT - 1))
        memory.append(whole["memory_mb"])
    name = f"time per revision at {WHOLE} against {SHORT}, {arena.backend}"
    yield Figure(name, median(ratios), GROWTH, "x", detail=f"{median(each) * 1000:.1f} ms at {WHOLE}")
    yield Figure(f"memory at {WHOLE} revisions, {arena.backend}", max(memory), MEMORY_MB, "MB")


def _peers(arena: Arena) -> Iterator[Figure]:
    """Measure against what others do, and against sending the same statements with nothing around them."""
    contestants = (arena.ours, arena.stairway, arena.pytest_alembic, arena.bare)
    rounds = [[_taken(way, MIDDLE, number)["seconds"] for way in contestants] for number in range(ROUNDS)]
    where = f"{MIDDLE} revisions, {arena.backend}"
    for place, peer, limit in ((1, "the stairway test", STAIRWAY_MIDDLE), (2, "pytest-alembic", PYTEST_ALEMBIC)):
        yield _faster(f"times as fast as {peer}, {where}", [(round_[0], round_[place]) for round_ in rounds], limit)
    ours, bare = (median(round_[place] for round_ in rounds) for place in (0, 3))
    ratio = median(round_[0] / round_[3] for round_ in rounds)
    detail = f"{ours:.3g} s, {bare:.3g} s"
    yield Figure(f"against the bare statements, {where}", ratio, BARE, "x", detail=detail)


def _long_stairway(arena: Arena) -> Figure:
    """Measure against the stairway test once more, where its time is squared: one round is minutes."""
    ours, stairway = (_taken(way, LONG, 0)["seconds"] for way in (arena.ours, arena.stairway))
    name = f"times as fast as the stairway test, {LONG} revisions, {arena.backend}"
    return _faster(name, [(ours, stairway)], STAIRWAY_LONG)


def _faster(name: str, pairs: list[tuple[float, float]], limit: float) -> Figure:
    ours, theirs = (median(pair[place] for pair in pairs) for place in (0, 1))
    ratio = median(theirs / ours for ours, theirs in pairs)
    return Figure(name, ratio, limit, "x", is_floor=True, detail=f"{ours:.3g} s, {theirs:.3g} s")


def _taken(way: Callable[[int], dict[str, Any]], revisions: int, number: int) -> dict[str, Any]:
    """Let one contestant play, and tell that it did."""
    result = way(revisions)
    backend = way.__self__.backend  # type: ignore[attr-defined]  # a method of an arena
    words = f"{backend}, round {number + 1}: {way.__name__}, {revisions} revisions: {result['seconds']:.2f} s\n"
    sys.stderr.write(words)
    return result
