"""How long the whole round trip takes, with rows and recording, compared with its peers and the limit.

All play the same synthetic history, an ordinary Alembic project with an ordinary env.py, on the same databases in
memory. The peers take their turns next to us in each round, so that a busy machine is slow for all of them; what takes
minutes plays in the first round only.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from tests.benchmarks.figure import Figure
from tests.benchmarks.setup import BenchmarkSetup, measure, open_setups

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 3
MEDIUM_REVISIONS, LONG_REVISIONS = 200, 500
BARE_LIMIT, LOCKS_LIMIT = 8.0, 1 / 3
STAIRWAY_MEDIUM_LIMIT, STAIRWAY_LONG_LIMIT, PYTEST_ALEMBIC_LIMIT = 10.0, 25.0, 10.0


def figures() -> Iterator[Figure]:
    """Yield the ratios, once per backend."""
    with open_setups() as opened:
        for setup in opened:
            yield from _peer_figures(setup)
            if setup.server:  # SQLite has no locks to record
                yield _lock_figure(setup)
        yield from map(_long_stairway_figure, opened)  # the longest by far


def _peer_figures(setup: BenchmarkSetup) -> Iterator[Figure]:
    """Measure against what others do, and against sending the same statements with nothing around them."""
    where = f"{MEDIUM_REVISIONS} revisions, {setup.backend}"
    ours, pytest_alembic, bare, stairway = [], [], [], []
    for number in range(ROUNDS):
        ours.append(measure(setup.ours, MEDIUM_REVISIONS, number)["seconds"])
        pytest_alembic.append(measure(setup.pytest_alembic, MEDIUM_REVISIONS, number)["seconds"])
        bare.append(measure(setup.bare, MEDIUM_REVISIONS, number)["seconds"])
        if number == 0:
            stairway.append(measure(setup.stairway, MEDIUM_REVISIONS, number)["seconds"])
    yield _speedup_figure(f"times as fast as the stairway test, {where}", ours[:1], stairway, STAIRWAY_MEDIUM_LIMIT)
    yield _speedup_figure(f"times as fast as pytest-alembic, {where}", ours, pytest_alembic, PYTEST_ALEMBIC_LIMIT)
    ratio = median(us / them for us, them in zip(ours, bare, strict=True))
    detail = f"{median(ours):.3g} s, {median(bare):.3g} s"
    yield Figure(f"against the bare statements, {where}", ratio, BARE_LIMIT, "x", detail=detail)


def _lock_figure(setup: BenchmarkSetup) -> Figure:
    """Measure which part of a run goes into recording locks, rewrites and scans."""
    shares = []
    for number in range(ROUNDS):
        inside, unwatched = (
            measure(way, MEDIUM_REVISIONS, number)["seconds"] for way in (setup.inside, setup.unwatched)
        )
        shares.append(1 - unwatched / inside)
    return Figure(
        f"recording locks, {MEDIUM_REVISIONS} revisions, {setup.backend}", median(shares), LOCKS_LIMIT, "of the run"
    )


def _long_stairway_figure(setup: BenchmarkSetup) -> Figure:
    """Measure against the stairway test once more, where the square in its time shows."""
    ours, stairway = (measure(way, LONG_REVISIONS, 0)["seconds"] for way in (setup.ours, setup.stairway))
    name = f"times as fast as the stairway test, {LONG_REVISIONS} revisions, {setup.backend}"
    return _speedup_figure(name, [ours], [stairway], STAIRWAY_LONG_LIMIT)


def _speedup_figure(name: str, ours: list[float], theirs: list[float], limit: float) -> Figure:
    ratio = median(them / us for us, them in zip(ours, theirs, strict=True))
    detail = f"{median(ours):.3g} s, {median(theirs):.3g} s"
    return Figure(name, ratio, limit, "x", is_minimum=True, detail=detail)
