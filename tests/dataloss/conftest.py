"""Databases on which a revision, given as SQL, makes its round trip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from dormatory.backends.introspection import read_snapshot
from dormatory.backends.registry import dialect_by_name
from dormatory.dataloss import contents
from dormatory.dataloss.detect import detect_losses
from dormatory.dataloss.model import DatabaseState, RoundTrip
from dormatory.recording.leg import Direction, Statement
from dormatory.recording.loss import LossKind
from tests.scratch import BACKENDS, scratch_connection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import sqlalchemy as sa


@dataclass
class RevisionDatabase:
    """A database on which a revision, given as SQL, makes its round trip."""

    connection: sa.Connection

    def execute(self, *statements: str) -> tuple[Statement, ...]:
        for statement in statements:
            self.connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
        return tuple(Statement(sql, (), "x.py", line, 0.0, -1) for line, sql in enumerate(statements, start=1))

    def state(self) -> DatabaseState:
        schema = read_snapshot(self.connection)
        return DatabaseState(schema, contents.read_rows(self.connection, schema))

    def round_trip(
        self,
        before: Sequence[str],
        up: Sequence[str],
        down: Sequence[str],
        *,
        filled: Sequence[str] = (),
        repeats: bool = True,
    ) -> RoundTrip:
        self.execute(*before)
        start = self.state()
        upgrade, upgraded = self.execute(*up), self.state()
        self.execute(*filled)
        rows = self.state().contents
        downgrade, downgraded = self.execute(*down), self.state()
        again = self.execute(*up) if repeats else ()
        dialect = dialect_by_name(self.connection.dialect.name)
        return RoundTrip(dialect, start, upgrade, upgraded, rows, downgrade, downgraded, again, self.state())

    def losses(
        self, before: Sequence[str], up: Sequence[str], down: Sequence[str], *, filled: Sequence[str] = ()
    ) -> list[tuple[LossKind, Direction, str]]:
        found = detect_losses(self.round_trip(before, up, down, filled=filled))
        return [
            (loss.kind, loss.direction, f"{loss.table}.{loss.column}".rstrip("."))
            for loss in found
            if loss.kind is not LossKind.DROPPED
        ]


@pytest.fixture
def sqlite(request: pytest.FixtureRequest) -> Iterator[RevisionDatabase]:
    """A database of SQLite, which does not check foreign keys."""
    with scratch_connection("sqlite", request) as connection:
        yield RevisionDatabase(connection)


@pytest.fixture
def postgresql(request: pytest.FixtureRequest) -> Iterator[RevisionDatabase]:
    """A database of PostgreSQL."""
    with scratch_connection("postgresql", request) as connection:
        yield RevisionDatabase(connection)


@pytest.fixture(params=BACKENDS)
def database(request: pytest.FixtureRequest) -> RevisionDatabase:
    """A database of each backend."""
    found: RevisionDatabase = request.getfixturevalue(request.param)
    return found
