"""The round trip of one revision on a clone of the replica: what it does to real rows, and which rows it fails on."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_for, dialect_by_name
from dormatory.errors import DanglingRowsError, MissingDowngradeError
from dormatory.errors.location import Location
from dormatory.recording.leg import Direction, Failure, Leg
from dormatory.recording.loss import LossKind
from dormatory.recording.masking import mask_statements
from dormatory.recording.model import Step
from dormatory.rehearsal.large_tables import large_table_losses
from dormatory.rehearsal.offending_rows import dangling_rows, find_offending_rows
from dormatory.rehearsal.row_counts import written_rows
from dormatory.rehearsal.session import blocking_tables, new_session, run_steps, run_with_probes
from dormatory.replay.row_tracker import RowTracker
from dormatory.replay.session import ReplaySession
from dormatory.schema.diff import diff, residue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.runtime.migration import RevisionStep

    from dormatory.backends.parts import WriteCounters
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.recording.loss import Loss
    from dormatory.recording.offending_rows import OffendingRows
    from dormatory.rehearsal.model import Wait, WrittenRows
    from dormatory.rehearsal.offending_rows import FailedStatement
    from dormatory.schema.changes import Change
    from dormatory.schema.snapshot import Snapshot, TableId

MAX_COMPARED_ROWS = 10_000  # of a table whose rows are read and compared here; the database compares larger ones


class CloneRoundTrip:
    """One revision played up, down and up again on a clone, as far as it goes, and what was observed."""

    def __init__(
        self,
        project: Project,
        replica: Target,
        clone: Target,
        revision: str,
        failed_statement: FailedStatement,
        *,
        show_values: bool,
    ) -> None:
        self._session = new_session(project, clone, show_values=show_values)
        self._replica, self._clone, self._revision = replica, clone, revision
        self._failed_statement, self._show_values = failed_statement, show_values
        self._dialect = dialect_by_name(clone.backend_name)
        self._row_tracker = RowTracker(self._dialect, row_limit=MAX_COMPARED_ROWS)
        self._legs: list[Leg] = []
        self._schemas: list[Snapshot] = []  # before the first leg, and after each
        self._large_table_losses: tuple[Loss, ...] = ()
        self.server = ""
        self.waits: list[Wait] = []
        self.written_rows: tuple[WrittenRows, ...] = ()  # by the upgrade
        self.offending_rows: tuple[OffendingRows, ...] = ()

    def play(self) -> Step:
        """Play the legs, and return what they did."""
        with self._session.connect() as self.server:
            for direction in Direction:
                if not self._play_leg(direction):
                    self.offending_rows = self._find_offending_rows(direction)
                    break
        before, after = self._schemas[0], (*self._schemas[1:], None)[0]
        return Step(self._revision, tuple(self._legs), before, after, self._losses())

    @property
    def affected_tables(self) -> frozenset[TableId]:
        """The tables whose rows the revision may have changed, or that its upgrade has locked."""
        return self._row_tracker.affected_tables.union(_table_ids(blocking_tables(self._legs[:1])))

    def _play_leg(self, direction: Direction) -> bool:
        """Play a leg in a run of its own; return whether another leg can follow."""
        refused: list[Failure | None] = []

        def steps() -> Iterator[RevisionStep]:
            before = self._session.read_schema()
            self._failed_statement.reset()
            if not self._schemas:
                self._schemas.append(before)
                self._row_tracker.begin_trip(before)
            if direction is Direction.DOWNGRADE and not self._session.has_downgrade(self._revision):
                missing = MissingDowngradeError(Location(self._session.revision_file(self._revision)))
                refused.append(Failure.from_error(missing))
                return
            with self._session.connection_between_steps() as connection:
                row_counts = backend_for(self._clone).row_counts
                counters = row_counts.write_counters(connection) if row_counts else None
            refused.append((yield from self._session.recorded_step(self._revision, direction)))
            self._read_state(direction, counters)

        waits: tuple[Wait, ...] = ()
        if direction is not Direction.DOWNGRADE:
            failure = run_steps(self._session, steps)
        else:
            failure, waits = run_with_probes(self._session, blocking_tables(self._legs), direction, steps)
        if failure and len(self._schemas) > len(self._legs) + 1:  # the leg ended, but its run was rolled back
            self._schemas.pop()
            self._row_tracker.discard_leg(direction)
        self._add_leg(direction, failure or next(iter(refused), None))
        # The probes use all tables that the upgrade locked; the downgrade may lock only some of them.
        locked = blocking_tables(self._legs[-1:])
        self.waits += [it for it in waits if not it.table or it.table in locked]
        is_played = self._legs[-1].failure is None
        if is_played and direction is Direction.DOWNGRADE:
            self._large_table_losses = self._compare_large_tables()
        return is_played

    def _read_state(self, direction: Direction, counters: WriteCounters | None) -> None:
        session = self._session
        after = session.read_schema()
        self._schemas.append(after)
        if counters:
            with session.connection_between_steps() as connection:
                counters.flush(connection)
        with session.connection_between_steps() as connection:
            if direction is Direction.UPGRADE:
                version_table = session.version_table.removeprefix("public.")
                changed = written_rows(counters, connection, session.statements)
                self.written_rows = tuple(it for it in changed if it.table != version_table)
            written = session.written_tables
            if written is None and counters:  # the session does not know what the leg has committed, the server does
                written = counters.written_tables(connection)
            self._row_tracker.record_leg(connection, after, direction, session.statements, written)

    def _add_leg(self, direction: Direction, failure: Failure | None) -> None:
        if failure and failure.kind == MissingDowngradeError.__name__:
            self._legs.append(Leg(direction, 0.0, failure=failure))
            return
        statements = mask_statements(self._session.statements, self._dialect, *self._schemas)
        trace = () if failure else self._trace(direction)
        self._legs.append(Leg(direction, self._session.seconds, statements, trace, failure))

    def _trace(self, direction: Direction) -> tuple[Change, ...]:
        """Return what a leg left: a downgrade is compared with the start, the second upgrade with the first one."""
        place = {Direction.UPGRADE: -1, Direction.DOWNGRADE: 0, Direction.SECOND_UPGRADE: 1}[direction]
        compare = residue if direction is Direction.DOWNGRADE else diff
        return compare(self._schemas[place], self._schemas[-1])

    def _losses(self) -> tuple[Loss, ...]:
        if len(self._schemas) == 1:  # the upgrade failed
            return ()
        with backend_for(self._replica).engine(self._replica, writing=False).connect() as source:
            found = (*self._row_tracker.losses(source), *self._large_table_losses)
        # The rows are real: no value of theirs is shown.
        return tuple(replace(loss, example="") for loss in found if loss.kind is not LossKind.DROPPED)

    def _compare_large_tables(self) -> tuple[Loss, ...]:
        before, upgraded, downgraded = self._schemas
        schemas, affected = (before, upgraded, downgraded), self._row_tracker.affected_tables
        return tuple(large_table_losses(self._replica, self._clone, schemas, affected, MAX_COMPARED_ROWS))

    def _find_offending_rows(self, direction: Direction) -> tuple[OffendingRows, ...]:
        """Play the failed leg once more, on a new connection, and look for the rows before it fails."""
        failure = self._legs[-1].failure
        if failure is None or failure.is_declared:
            return ()
        session = ReplaySession(self._session.project, self._clone)
        if failure.kind == DanglingRowsError.__name__:
            return self._find_dangling_rows(session, direction)
        search = find_offending_rows(self._failed_statement, self._clone.backend_name, show_values=self._show_values)
        # The run ends with an error in any case, whether the rows were found or not.
        with search as found, session.connect(), suppress(Exception):
            session.run(lambda: session.recorded_step(self._revision, direction))
        return tuple(found)

    def _find_dangling_rows(self, session: ReplaySession, direction: Direction) -> tuple[OffendingRows, ...]:
        found: list[OffendingRows] = []

        def steps() -> Iterator[RevisionStep]:
            yield from session.recorded_step(self._revision, direction)
            with session.connection_between_steps() as connection:
                found.extend(dangling_rows(connection, show_values=self._show_values))

        with session.connect():
            run_steps(session, steps)
        return tuple(found)


def _table_ids(tables: tuple[str, ...]) -> Iterator[TableId]:
    """Yield namespace and name of each table; a name without a namespace is in public."""
    for table in tables:
        namespace, _, name = table.rpartition(".")
        yield namespace or "public", name
