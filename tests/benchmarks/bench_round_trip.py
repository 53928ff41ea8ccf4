"""The whole round trip, rows and recording included, against its peers and the limit.

All play the same synthetic history, an ordinary Alembic project with an ordinary env.py, on the same databases in
memory. The peers take their turns beside us in each round, so that a busy machine is slow for all of them; what takes
minutes plays in the first round only.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from tests.benchmarks.arena import Arena, arenas, taken
from tests.benchmarks.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 3
MIDDLE, LONG = 200, 500
BARE, LOCKS = 8.0, 1 / 3
STAIRWAY_MIDDLE, STAIRWAY_LONG, PYTEST_ALEMBIC = 10.0, 25.0, 10.0


def figures() -> Iterator[Figure]:
    """Yield the ratios, once per backend."""
    with arenas() as opened:
        for arena in opened:
            yield from _peers(arena)
            if arena.server:  # SQLite has no locks to record
                yield _locks(arena)
        yield from map(_long_stairway, opened)  # the longest by far


def _peers(arena: Arena) -> Iterator[Figure]:
    """Measure against what others do, and against sending the same statements with nothing around them."""
    where = f"{MIDDLE} revisions, {arena.backend}"
    ours, pytest_alembic, bare, stairway = [], [], [], []
    for number in range(ROUNDS):
        ours.append(taken(arena.ours, MIDDLE, number)["seconds"])
        pytest_alembic.append(taken(arena.pytest_alembic, MIDDLE, number)["seconds"])
        bare.append(taken(arena.bare, MIDDLE, number)["seconds"])
        if number == 0:
            stairway.append(taken(arena.stairway, MIDDLE, number)["seconds"])
    yield _faster(f"times as fast as the stairway test, {where}", ours[:1], stairway, STAIRWAY_MIDDLE)
    yield _faster(f"times as fast as pytest-alembic, {where}", ours, pytest_alembic, PYTEST_ALEMBIC)
    ratio = median(us / them for us, them in zip(ours, bare, strict=True))
    detail = f"{median(ours):.3g} s, {median(bare):.3g} s"
    yield Figure(f"against the bare statements, {where}", ratio, BARE, "x", detail=detail)


def _locks(arena: Arena) -> Figure:
    """Measure which part of a run goes into recording locks, rewrites and scans."""
    shares = []
    for number in range(ROUNDS):
        inside, unwatched = (taken(way, MIDDLE, number)["seconds"] for way in (arena.inside, arena.unwatched))
        shares.append(1 - unwatched / inside)
    return Figure(f"recording locks, {MIDDLE} revisions, {arena.backend}", median(shares), LOCKS, "of the run")


def _long_stairway(arena: Arena) -> Figure:
    """Measure against the stairway test once more, where the square in its time shows."""
    ours, stairway = (taken(way, LONG, 0)["seconds"] for way in (arena.ours, arena.stairway))
    name = f"times as fast as the stairway test, {LONG} revisions, {arena.backend}"
    return _faster(name, [ours], [stairway], STAIRWAY_LONG)


def _faster(name: str, ours: list[float], theirs: list[float], limit: float) -> Figure:
    ratio = median(them / us for us, them in zip(ours, theirs, strict=True))
    detail = f"{median(ours):.3g} s, {median(theirs):.3g} s"
    return Figure(name, ratio, limit, "x", is_floor=True, detail=detail)
