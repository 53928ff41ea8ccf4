"""How long it takes to read the structure of many tables, completely and after one change, on both backends."""

from __future__ import annotations

import statistics
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dormatory.backends.introspection import read_snapshot
from dormatory.backends.registry import backend_by_name, backend_for
from dormatory.runtime import scratch
from tests.benchmarks.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

TABLES, ROUNDS = 100, 15
LIMITS_MS = {"sqlite": 15.0, "postgresql": 30.0}
MANY_TABLES, REREAD_LIMIT_MS = 1000, 15.0


def figures() -> Iterator[Figure]:
    """Yield the median time of a snapshot and of one that follows a change, once per backend."""
    for backend, limit in LIMITS_MS.items():
        with _database_with_tables(backend, TABLES) as connection:
            whole = statistics.median(_snapshot_milliseconds(connection) for _ in range(ROUNDS))
        yield Figure(f"snapshot of {TABLES} tables, {backend}", whole, limit, "ms")
        with _database_with_tables(backend, MANY_TABLES) as connection:
            again = statistics.median(_reread_milliseconds(connection))
        yield Figure(f"snapshot of {MANY_TABLES} tables after one change, {backend}", again, REREAD_LIMIT_MS, "ms")


@contextmanager
def _database_with_tables(backend: str, tables: int) -> Iterator[Connection]:
    with (
        scratch.databases(backend) as maker,
        maker() as target,
        backend_for(target).engine(target, writing=True).connect() as connection,
    ):
        for number in range(tables):
            for statement in _table_statements(number):
                connection.exec_driver_sql(statement)
        connection.commit()
        yield connection


def _snapshot_milliseconds(connection: Connection) -> float:
    began = time.perf_counter()
    read_snapshot(connection)
    return (time.perf_counter() - began) * 1000


def _reread_milliseconds(connection: Connection) -> Iterator[float]:
    """Yield the milliseconds that each reading after a change takes, with the queries before and after the change."""
    tracker = backend_by_name(connection.dialect.name).introspection.schema_tracker(())
    tracker.read(connection)
    connection.commit()
    for number in range(ROUNDS):
        began = time.perf_counter()
        tracker.begin(connection)
        changed = time.perf_counter()
        connection.exec_driver_sql(f"ALTER TABLE room_{number} ADD COLUMN extra integer DEFAULT 3")
        changing = time.perf_counter() - changed
        tracker.end(connection)
        connection.commit()
        tracker.read(connection)
        yield (time.perf_counter() - began - changing) * 1000
        connection.commit()


def _table_statements(number: int) -> Iterator[str]:
    parent = f", owner integer REFERENCES room_{number - 1} (id) ON DELETE CASCADE" if number else ""
    yield (
        f"CREATE TABLE room_{number} (id integer NOT NULL PRIMARY KEY, label varchar(40) NOT NULL DEFAULT 'x', "
        f"floor integer CONSTRAINT ck_floor_{number} CHECK (floor > 0), built timestamp{parent}, "
        f"CONSTRAINT uq_label_{number} UNIQUE (label, floor))"
    )
    yield f"CREATE INDEX ix_built_{number} ON room_{number} (built) WHERE floor > 3"
