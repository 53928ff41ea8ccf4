"""One revision on a copy: its trip up, down and up again on a branch, and its upgrade on the copy itself."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dormatory.backends.registry import backend_for, dialect_by_name
from dormatory.errors import DanglingRowsError, MissingDowngradeError
from dormatory.errors.location import Location
from dormatory.recording.masking import mask_statements
from dormatory.recording.model import Direction, Failure, Leg, Step
from dormatory.rehearsal import offending_rows as offences
from dormatory.rehearsal import probes
from dormatory.rehearsal.forecast import Measurement
from dormatory.rehearsal.large_tables import large_table_losses
from dormatory.rehearsal.redaction import redacted_failure
from dormatory.rehearsal.row_counts import largest_table_rows, written_rows
from dormatory.replay.routes import downgrade_all, upgrade_all_and_compare
from dormatory.replay.row_tracker import RowTracker
from dormatory.replay.session import ReplaySession
from dormatory.schema.diff import diff, residue
from dormatory.sql.lock_modes import LOCK_MODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alembic.runtime.migration import RevisionStep

    from dormatory.backends.parts import WriteCounters
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.recording.model import Loss, Route
    from dormatory.rehearsal.model import OffendingRows, Wait, WrittenRows
    from dormatory.schema.changes import Change
    from dormatory.schema.snapshot import Snapshot, TableId

MAX_COMPARED_ROWS = 10_000  # of a table whose rows are read and compared here; the database compares a larger one
_WEAKEST_BLOCKING_RANK = LOCK_MODES.index("ROW EXCLUSIVE")  # what keeps nobody waiting is weaker


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a revision: its trip on a branch, and who waited meanwhile and during the copy's own upgrade.

    `touched` are the tables that it did anything to, `rows` those in the largest of them. `untried` are tables of which
    nobody was seen to wait, since there were too many. `failure` is why the copy's upgrade failed where the trip's did
    not.
    """

    server: str
    step: Step
    written_rows: tuple[WrittenRows, ...]
    waits: tuple[Wait, ...]
    offending_rows: tuple[OffendingRows, ...]
    affected_tables: frozenset[TableId]
    largest_table_rows: int = 0
    failure: Failure | None = None
    unprobed: tuple[str, ...] = ()


def run_trial(project: Project, replica: Target, clone: Target, revision: str, show_values: bool) -> Trial:  # noqa: FBT001
    """Play a revision up, down and up again on a branch of the copy, then upgrade the copy; in any process.

    The trip shows which tables it locks: readers and writers try these while the copy is upgraded.
    """
    with offences.record_failed_statement() as failed_statement:
        trial = _RoundTrip(project, replica, clone, revision, failed_statement, show_values=show_values).run()
    if trial.step.after is None:
        return trial
    rows, session = (
        largest_table_rows(replica, trial.step.before, trial.affected_tables),
        _new_session(project, replica, show_values=show_values),
    )
    tables = _blocking_tables(trial.step.legs[:1])
    with session.connect():
        failure, waits = _run_with_probes(session, tables, Direction.UPGRADE, lambda: session.plain_steps((revision,)))
    _, unprobed = backend_for(replica).probe.split_by_limit(tables)
    return replace(
        trial, waits=(*waits, *trial.waits), largest_table_rows=rows, failure=failure, unprobed=tuple(unprobed)
    )


def time_upgrades(
    project: Project, replica: Target, plan: tuple[tuple[str, Snapshot, frozenset[TableId]], ...]
) -> tuple[tuple[str, Measurement], ...]:
    """Upgrade a copy through revisions, and return how long each took on how many rows; one that fails ends it.

    With each comes the structure that it finds, and the tables it touches.
    """
    session, found = ReplaySession(project, replica), list[tuple[str, Measurement]]()
    for revision, schema, ids in plan:
        rows = largest_table_rows(replica, schema, ids)
        with session.connect():
            if _run_steps(session, partial(session.recorded_step, revision, Direction.UPGRADE)):
                break
        found.append((revision, Measurement(rows, session.seconds)))
    return tuple(found)


def downgrade_and_upgrade_all(
    project: Project,
    replica: Target,
    revisions: tuple[str, ...],
    ends: tuple[Snapshot, Snapshot],
    show_values: bool,  # noqa: FBT001
) -> tuple[Route, ...]:
    """Take the whole upgrade of a copy back, and make it again in one run; `ends` are the structures on both sides."""
    session = _new_session(project, replica, show_values=show_values)
    with session.connect():
        down = downgrade_all(session, tuple(reversed(revisions)), ends[0])
        return (down, upgrade_all_and_compare(session, ends[1])) if down.is_clean else (down,)


class _RoundTrip:
    """A trip under way."""

    def __init__(
        self,
        project: Project,
        replica: Target,
        clone: Target,
        revision: str,
        failed_statement: offences.FailedStatement,
        *,
        show_values: bool,
    ) -> None:
        self._session = _new_session(project, clone, show_values=show_values)
        self._replica, self._clone, self._revision = replica, clone, revision
        self._failed_statement, self._show_values = failed_statement, show_values
        self._dialect = dialect_by_name(clone.backend_name)
        self._row_tracker = RowTracker(self._dialect, row_limit=MAX_COMPARED_ROWS)
        self._legs: list[Leg] = []
        self._waits: list[Wait] = []
        self._schemas: list[Snapshot] = []  # before, and behind each leg
        self._written_rows: tuple[WrittenRows, ...] = ()
        self._large_table_losses: tuple[Loss, ...] = ()

    def run(self) -> Trial:
        """Play the legs, as far as they go."""
        found: tuple[OffendingRows, ...] = ()
        with self._session.connect() as server:
            for direction in Direction:
                if not self._play_leg(direction):
                    found = self._find_offending_rows(direction)
                    break
        losses = self._losses()
        before, after = self._schemas[0], (*self._schemas[1:], None)[0]
        step = Step(self._revision, tuple(self._legs), before, after, losses)
        touched = self._row_tracker.affected_tables.union(_table_ids(_blocking_tables(step.legs[:1])))
        return Trial(server, step, self._written_rows, tuple(self._waits), found, touched)

    def _play_leg(self, direction: Direction) -> bool:
        """Play a leg in a run of its own; tell whether there is a next one to play."""
        refused: list[Failure | None] = []

        def steps() -> Iterator[RevisionStep]:
            before = self._session.read_schema()
            self._failed_statement.reset()
            if not self._schemas:
                self._schemas.append(before)
                self._row_tracker.begin_trip(before)
            if direction is Direction.DOWNGRADE and not self._session.has_downgrade(self._revision):
                refused.append(
                    Failure.from_error(MissingDowngradeError(Location(self._session.revision_file(self._revision))))
                )
                return
            with self._session.connection_between_steps() as connection:
                row_counts = backend_for(self._clone).row_counts
                counters = row_counts.write_counters(connection) if row_counts else None
            refused.append((yield from self._session.recorded_step(self._revision, direction)))
            self._read_state(direction, counters)

        waits: tuple[Wait, ...] = ()
        if direction is not Direction.DOWNGRADE:
            failure = _run_steps(self._session, steps)
        else:
            failure, waits = _run_with_probes(self._session, _blocking_tables(tuple(self._legs)), direction, steps)
        if failure and len(self._schemas) > len(self._legs) + 1:  # it ended, and was taken back all the same
            self._schemas.pop()
            self._row_tracker.discard_leg(direction)
        failure = failure or next(iter(refused), None)
        trace = () if failure else self._trace(direction)
        known = mask_statements(self._session.statements, self._dialect, *self._schemas)
        is_empty = failure is not None and failure.kind == MissingDowngradeError.__name__
        self._legs.append(
            Leg(direction, 0.0 if is_empty else self._session.seconds, () if is_empty else known, trace, failure)
        )
        locked = _blocking_tables(tuple(self._legs[-1:]))  # of the others that the upgrade locks nobody was kept away
        self._waits += [it for it in waits if not it.table or it.table in locked]
        if failure is None and direction is Direction.DOWNGRADE:
            self._compare_large_tables()
        return failure is None

    def _read_state(self, direction: Direction, counters: WriteCounters | None) -> None:
        after = self._session.read_schema()
        self._schemas.append(after)
        if counters:
            with self._session.connection_between_steps() as connection:
                counters.flush(connection)
        with self._session.connection_between_steps() as connection:
            if direction is Direction.UPGRADE:
                version = self._session.version_table.removeprefix("public.")
                changed = written_rows(counters, connection, self._session.statements)
                self._written_rows = tuple(it for it in changed if it.table != version)
            written = self._session.written_tables
            if written is None and counters:  # the session does not know what was committed in between, the server does
                written = counters.written_tables(connection)
            self._row_tracker.record_leg(connection, after, direction, self._session.statements, written)

    def _trace(self, direction: Direction) -> tuple[Change, ...]:
        """Return what a leg left: the downgrade goes back to the beginning, the second upgrade to the first."""
        place = {Direction.UPGRADE: -1, Direction.DOWNGRADE: 0, Direction.SECOND_UPGRADE: 1}[direction]
        compare = residue if direction is Direction.DOWNGRADE else diff
        return compare(self._schemas[place], self._schemas[-1])

    def _compare_large_tables(self) -> None:
        before, upgraded, downgraded = self._schemas
        schemas = before, upgraded, downgraded
        self._large_table_losses = tuple(
            large_table_losses(
                self._replica, self._clone, schemas, self._row_tracker.affected_tables, MAX_COMPARED_ROWS
            )
        )

    def _losses(self) -> tuple[Loss, ...]:
        if len(self._schemas) < 2:  # noqa: PLR2004  # the upgrade failed
            return ()
        with backend_for(self._replica).engine(self._replica, writing=False).connect() as source:
            return (*self._row_tracker.losses(source), *self._large_table_losses)

    def _find_offending_rows(self, direction: Direction) -> tuple[OffendingRows, ...]:
        """Play the failing leg once more, on a connection that is as good as new."""
        failure = self._legs[-1].failure
        if failure is None or failure.is_declared:
            return ()
        session = ReplaySession(self._session.project, self._clone)
        found: list[OffendingRows] = []

        def again() -> Iterator[RevisionStep]:
            yield from session.recorded_step(self._revision, direction)
            with session.connection_between_steps() as connection:
                found.extend(offences.dangling_rows(connection, show_values=self._show_values))

        if failure.kind == DanglingRowsError.__name__:
            with session.connect():
                _run_steps(session, again)
            return tuple(found)
        search = offences.find_offending_rows(
            self._failed_statement, self._clone.backend_name, show_values=self._show_values
        )
        # Whatever it ends with, the rows were seen or could not be.
        with search as offending, session.connect(), suppress(Exception):
            session.run(lambda: session.recorded_step(self._revision, direction))
        return tuple(offending)


def _new_session(project: Project, target: Target, *, show_values: bool) -> ReplaySession:
    return ReplaySession(project, target) if show_values else ReplaySession(project, target, redacted_failure)


def _run_steps(session: ReplaySession, steps: Any) -> Failure | None:
    """Play steps in one run of env.py; on SQLite a run ends with a look for rows that refer to none."""
    try:
        return session.run(steps)
    except DanglingRowsError as error:
        return Failure.from_error(error)


def _run_with_probes(
    session: ReplaySession, tables: tuple[str, ...], direction: Direction, steps: Callable[[], Iterator[RevisionStep]]
) -> tuple[Failure | None, tuple[Wait, ...]]:
    """Play steps while readers and writers try the tables, from when the run has begun until it has ended."""
    # Where a transaction that began by reading cannot wait for another writer, a probe that writes would make the
    # revision fail, unless our env.py begins it by writing.
    probe = backend_for(session.target).probe
    is_safe = probe.READERS_CAN_WAIT_TO_WRITE or session.project.has_our_environment
    waits: list[Wait] = []
    with ExitStack() as stack:

        def probed_steps() -> Iterator[RevisionStep]:
            # Not before the run has its transaction, for which a writer on SQLite would keep it waiting.
            stack.enter_context(probes.probe_tables(session.target, tables, direction, waits, writing=is_safe))
            yield from steps()

        failure = _run_steps(session, probed_steps)
    return failure, tuple(waits)


def _blocking_tables(legs: tuple[Leg, ...]) -> tuple[str, ...]:
    """Return the tables of which somebody may have had to wait, on legs that ended, the strongest locks first."""
    found = dict[str, int]()
    for lock in (lock for leg in legs for lock in leg.locks):
        found[lock.table] = max(found.get(lock.table, 0), LOCK_MODES.index(lock.mode))
    strong = (table for table, mode in found.items() if mode >= _WEAKEST_BLOCKING_RANK)
    return tuple(sorted(strong, key=lambda table: (-found[table], table)))


def _table_ids(tables: tuple[str, ...]) -> Iterator[TableId]:
    """Yield the tables by namespace and name; those of public are called by their name alone."""
    for table in tables:
        namespace, _, name = table.rpartition(".")
        yield namespace or "public", name
