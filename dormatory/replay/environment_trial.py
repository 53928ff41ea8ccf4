"""Plays the upgrade of a revision in another environment, and says which values and objects depend on it."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING

from dormatory.recording.leg import Direction
from dormatory.recording.model import EnvironmentDependence
from dormatory.replay.other_environment import OTHER_TIME_ZONE, moves_values, other_environment
from dormatory.schema.diff import diff

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence

    from alembic.runtime.migration import RevisionStep

    from dormatory.dataloss.contents import TableContents
    from dormatory.dataloss.values import CellValue
    from dormatory.recording.leg import Statement
    from dormatory.replay.row_tracker import RowTracker
    from dormatory.replay.session import ReplaySession
    from dormatory.schema.changes import Change
    from dormatory.schema.snapshot import Snapshot, TableId

    Rows = Mapping[TableId, TableContents]

_SECONDS_PER_DAY = 24 * 60 * 60


class EnvironmentTrial:
    """One revision, after its round trip: it is applied, with this structure, and its downgrade works.

    `is_running` while a leg is played: a failure then is one of the trial.
    """

    def __init__(self, session: ReplaySession, tracker: RowTracker, revision: str, applied: Snapshot) -> None:
        self._session, self._tracker, self._revision, self._applied = session, tracker, revision, applied
        self.is_running = False

    def play(self) -> Generator[RevisionStep, None, tuple[EnvironmentDependence, ...]]:
        """Take the revision back and apply it, first here, then elsewhere, and return what differs only elsewhere.

        What also differs here depends on nothing but the moment: a clock, or chance.
        """
        self.is_running = True
        applied = dict(self._tracker.rows)
        yield from self._downgrade()
        yield from self._upgrade()
        here = dict(self._tracker.rows)
        passing = {*_differing_columns(applied, here, ())}
        yield from self._downgrade()
        with self._elsewhere():
            schema = yield from self._upgrade()
        statements = self._session.statements
        changes = diff(self._applied, schema)
        columns = {*_differing_columns(here, self._tracker.rows, passing)}
        if changes or columns:
            with self._elsewhere():  # takes back what was made there
                yield from self._downgrade()
            yield from self._upgrade()
        self.is_running = False
        return (
            *(_changed_object(change, statements) for change in changes),
            *(_changed_values(table, column, statements) for (_, table), column in sorted(columns, key=repr)),
        )

    def _downgrade(self) -> Generator[RevisionStep, None, None]:
        yield from self._session.recorded_step(self._revision, Direction.DOWNGRADE)
        self._read()

    def _upgrade(self) -> Generator[RevisionStep, None, Snapshot]:
        yield from self._session.recorded_step(self._revision, Direction.SECOND_UPGRADE)
        return self._read()

    @contextmanager
    def _elsewhere(self) -> Iterator[None]:
        zone = self._session.set_time_zone(OTHER_TIME_ZONE)
        with other_environment(self._session.module(self._revision)):
            yield
        self._session.set_time_zone(zone)

    def _read(self) -> Snapshot:
        with self._session.connection_between_steps(before_leg=True) as connection:
            schema = self._session.read_schema_on(connection)
            written = self._session.written_tables
            self._tracker.read_after_leg(connection, schema, written)
        return schema


def _changed_object(change: Change, statements: Iterable[Statement]) -> EnvironmentDependence:
    return EnvironmentDependence(change.object, str(change), _line(statements, change.object.rpartition(" ")[2]))


def _changed_values(table: str, column: str, statements: Iterable[Statement]) -> EnvironmentDependence:
    if not column:
        return EnvironmentDependence(f"table {table}", f"the number of rows of {table}", _line(statements, table))
    line = _line(statements, table, column)
    return EnvironmentDependence(f"column {table}.{column}", f"the values of {table}.{column}", line)


def _line(statements: Iterable[Statement], *words: str) -> int:
    """Return the line whose statement has most of these words, and one that moves values before any other."""
    found = [(sum(word in it.sql for word in words), moves_values(it.sql), it.line) for it in statements if it.line]
    return max(found, default=(0, False, 0), key=lambda it: it[:2])[2]


def _differing_columns(
    before: Rows, after: Rows, ignored: Collection[tuple[TableId, str]]
) -> Iterator[tuple[TableId, str]]:
    """Yield the columns that hold other values, and, without a column, the tables with more or fewer rows.

    Where each column holds the same values in other rows, such as numbers given in another order, it is the first one.
    """
    for id_ in before.keys() & after.keys():
        one, other = before[id_], after[id_]
        if one is other or (id_, "") in ignored:
            continue
        if len(one.rows) != len(other.rows):
            yield id_, ""
            continue
        columns = [name for name in one.columns if (id_, name) not in ignored and name in other.columns]
        counts = {name: (_row_counts(one, [name]), _row_counts(other, [name])) for name in columns}
        differing = [name for name, (old, new) in counts.items() if old != new]
        lasting = [name for name in differing if not _are_of_today(chain(*counts[name]))]
        equal = [name for name in columns if name not in differing]
        is_by_chance = len(columns) < len(one.columns)  # so may be which values stand in a row together
        if not lasting and not is_by_chance and _row_counts(one, equal) != _row_counts(other, equal):
            lasting = equal[:1]
        yield from ((id_, name) for name in lasting)


def _row_counts(table: TableContents, columns: Sequence[str]) -> Counter[tuple[CellValue, ...]]:
    places = [table.columns.index(name) for name in columns]
    return Counter(tuple(row[place] for place in places) for row in table.rows)


def _are_of_today(rows: Iterable[tuple[CellValue, ...]]) -> bool:
    """Return whether values are dates or times of these days, somewhere: what a revision writes as its own time."""
    now = datetime.now(UTC)
    days = {f"{now.date() + timedelta(days=step)}" for step in (-1, 0, 1)}
    return all(
        value is None or str(value)[:10] in days or _is_since_1970(str(value), now.timestamp())
        for row in rows
        for value in row
    )


def _is_since_1970(value: str, now: float) -> bool:
    """Return whether a value is the time of these days as seconds since 1970, or as one of their usual fractions."""
    with suppress(ValueError):
        return any(abs(float(value) / parts - now) < _SECONDS_PER_DAY for parts in (1, 10**3, 10**6, 10**9))
    return False
