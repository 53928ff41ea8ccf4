"""How long it takes to read the structure of a hundred tables, on both backends."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from dormatory.database.backend import backend_for
from dormatory.migrations import scratch
from dormatory.schema.reflect import snapshot
from tests.benchmarks.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLES, ROUNDS = 100, 15
LIMITS_MS = {"sqlite": 15.0, "postgresql": 30.0}


def figures() -> Iterator[Figure]:
    """Yield the median time of a snapshot, once per backend."""
    for backend, limit in LIMITS_MS.items():
        yield Figure(f"snapshot of {TABLES} tables, {backend}", _median_ms(backend), limit, "ms")


def _median_ms(backend: str) -> float:
    with scratch.databases(backend) as maker, maker() as target:
        with backend_for(target).engine(target, writing=True).begin() as connection:
            for number in range(TABLES):
                for statement in _table(number):
                    connection.exec_driver_sql(statement)
        with backend_for(target).engine(target, writing=False).connect() as connection:
            return statistics.median(_once(connection) for _ in range(ROUNDS))


def _once(connection: object) -> float:
    began = time.perf_counter()
    snapshot(connection)  # type: ignore[arg-type]
    return (time.perf_counter() - began) * 1000


def _table(number: int) -> Iterator[str]:
    parent = f", owner integer REFERENCES room_{number - 1} (id) ON DELETE CASCADE" if number else ""
    yield (
        f"CREATE TABLE room_{number} (id integer NOT NULL PRIMARY KEY, label varchar(40) NOT NULL DEFAULT 'x', "
        f"floor integer CONSTRAINT ck_floor_{number} CHECK (floor > 0), built timestamp{parent}, "
        f"CONSTRAINT uq_label_{number} UNIQUE (label, floor))"
    )
    yield f"CREATE INDEX ix_built_{number} ON room_{number} (built) WHERE floor > 3"
