"""One walk along a history: the round trip of each revision on populated tables, then all the way back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from dormatory.backends.registry import dialect_by_name
from dormatory.errors import MissingDowngradeError
from dormatory.recording.masking import mask_statements
from dormatory.recording.model import Direction, Failure, Leg, Step
from dormatory.replay.routes import downgrade_all, upgrade_all
from dormatory.replay.row_filler import RowFiller
from dormatory.replay.row_tracker import RowTracker
from dormatory.replay.session import ReplaySession
from dormatory.schema.diff import diff, residue
from dormatory.sql.masking import without_row_values

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from alembic.runtime.migration import RevisionStep
    from sqlalchemy import Connection

    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.recording.model import Route
    from dormatory.schema.changes import Change
    from dormatory.schema.snapshot import Snapshot

_VALIDATE_CONSTRAINT = re.compile(r"\bVALIDATE\s+CONSTRAINT\b", re.IGNORECASE)


class FillMode(Enum):
    """What a revision finds in the tables."""

    ALL = "rows with the extremes of their types, too"
    PLAUSIBLE = "plausible rows only"
    NONE = "no rows"


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a walk is to do: upgrade straight through `done`, then make the round trip of each of `played`.

    `rows` are what the first of them meets, the others meet all there are. A walk that reaches the end of its section,
    `to_end`, goes all the way down again, but not below the lowest `kept` revisions, whose structure is `floor`; None
    is what the first trip begins with.
    """

    done: tuple[str, ...]
    played: tuple[str, ...]
    fill_mode: FillMode = FillMode.ALL
    reaches_end: bool = True
    kept_count: int = 0
    lowest_schema: Snapshot | None = None


@dataclass(frozen=True, slots=True)
class RunResult:
    """How far a walk came: `stuck` is the one of those done that failed on empty tables, with its failure.

    `arrived` is the structure to which one run of the whole history led, where the walk came down to make it.
    """

    server: str
    routes: tuple[Route, ...]
    unfilled: tuple[tuple[str, str], ...]
    blocked_at: tuple[str, Failure] | None = None
    one_run_schema: Snapshot | None = None


def run_segment(project: Project, target: Target, plan: RunPlan, on_step: Callable[[Step], None]) -> RunResult:
    """Walk as far as it goes, in whatever process this is; `keep` hears of each step that ended.

    It ends early behind a step that is doubtful, or that left something else than it should.
    """
    return _Run(project, target, plan, on_step).run()


def validation_failure(step: Step) -> Failure | None:
    """Return why an upgrade failed that was validating a constraint, which refuses rows, not the revision.

    It blocks nobody and can be repeated when the rows are mended, which is what it is written as a step of its own for.
    """
    leg = step.legs[-1]
    is_last = (
        leg.direction is Direction.UPGRADE and leg.statements and _VALIDATE_CONSTRAINT.search(leg.statements[-1].sql)
    )
    return leg.failure if is_last else None


def is_doubtful(step: Step) -> bool:
    """Say whether what is wrong with a step may be due to the extremes among its rows."""
    return bool(step.losses) or any(leg.failure and not _is_deliberate(leg.failure) for leg in step.legs)


def _is_deliberate(failure: Failure) -> bool:
    return failure.is_declared or failure.kind == MissingDowngradeError.__name__


class _Run:
    """The state of a walk."""

    def __init__(self, project: Project, target: Target, plan: RunPlan, on_step: Callable[[Step], None]) -> None:
        self.plan, self.on_step = plan, on_step
        self.session = ReplaySession(project, target)
        syntax = Syntax(target.backend_name)
        self.row_tracker = RowTracker(syntax)
        self.filler = RowFiller(project, self.row_tracker, syntax)
        self._schemas_before: list[Snapshot] = []  # what each trip began with
        self._upgraded_schema: Snapshot | None = None  # the structure that the revision's first upgrade gave
        self._legs: list[Leg] = []
        self._clean_downgrades: list[bool] = []  # whether each trip's downgrade was a clean one
        self._is_finished = False
        self._one_run_schema: Snapshot | None = None

    def run(self) -> RunResult:
        """Do what was planned."""
        blocked_at = None
        routes: list[Route] = []
        with self.session.connect() as server:
            failure = self.session.run(self._steps)
            revision = self.session.revision
            if failure and not self._schemas_before:
                blocked_at = revision, failure
            elif failure:
                self._add_leg(self._direction, failure=failure)
                self.on_step(
                    Step(
                        revision,
                        tuple(self._legs),
                        self._schemas_before[-1],
                        self._upgraded_schema,
                        self.row_tracker.losses(),
                    )
                )
            elif self._is_finished and self._upgraded_schema and self.plan.reaches_end:
                routes += self._routes(self._upgraded_schema)
        return RunResult(server, tuple(routes), self._unfilled(), blocked_at, self._one_run_schema)

    def _unfilled(self) -> tuple[tuple[str, str], ...]:
        return tuple((table, without_row_values(reason)) for table, reason in sorted(self.filler.unfilled.items()))

    def _steps(self) -> Iterator[RevisionStep]:
        yield from self._apply_done()
        before = self.session.read_schema()
        for number, revision in enumerate(self.plan.played):
            fill_mode = self.plan.fill_mode if number == 0 else FillMode.ALL
            self.filler.with_extremes = fill_mode is FillMode.ALL
            self._schemas_before.append(before)
            self._legs, self._upgraded_schema = [], None
            is_restored = yield from self._round_trip(revision, before, is_filled=fill_mode is not FillMode.NONE)
            after = self._upgraded_schema
            step = Step(revision, tuple(self._legs), before, after, self.row_tracker.losses())
            self._clean_downgrades.append(step.has_clean_downgrade)
            self.on_step(step)
            if not is_restored or after is None or (self.filler.with_extremes and is_doubtful(step)):
                return
            if self.filler.has_fixture_rows(revision):
                with self.session.connection_between_steps() as connection:
                    self.filler.add_fixture_rows(connection, revision, after)
            before = after
        if self.plan.played:
            with self.session.connection_between_steps() as connection:
                self._add_rows(connection, before)
        self._is_finished = True

    def _apply_done(self) -> Iterator[RevisionStep]:
        """Apply what was done before; of the rows that others would have left, those that the project brings."""
        for revision in self.plan.done:
            yield from self.session.plain_steps((revision,))
            if self.plan.fill_mode is not FillMode.NONE and self.filler.has_fixture_rows(revision):
                with self.session.connection_between_steps() as connection:
                    self.filler.add_fixture_rows(connection, revision)

    def _round_trip(self, revision: str, before: Snapshot, *, is_filled: bool) -> Generator[RevisionStep, None, bool]:
        """Make the round trip of one revision; return whether everything is as the first upgrade left it.

        What a downgrade did not undo at all is not applied a second time: it would fail on what is still there.
        """
        with self.session.connection_between_steps(before_leg=True) as connection:
            self._add_rows(connection, before, is_filled=is_filled)
            self.row_tracker.begin_trip(before)
        yield from self._play_leg(revision, Direction.UPGRADE)
        self._upgraded_schema = after = self._read_state(Direction.UPGRADE)
        self._add_leg(Direction.UPGRADE)
        if not self.session.has_downgrade(revision):
            failure = Failure.from_error(MissingDowngradeError(self.session.revision_file(revision)))
            self._legs.append(Leg(Direction.DOWNGRADE, 0.0, failure=failure))
            return True
        refused = yield from self._play_leg(revision, Direction.DOWNGRADE)
        if refused:
            self._add_leg(Direction.DOWNGRADE, failure=refused)
            yield from self.session.stamp_step(revision)
            return True
        left = self._read_state(Direction.DOWNGRADE)
        self._add_leg(Direction.DOWNGRADE, residue(before, left))
        if left != before and not diff(after, left):
            yield from self.session.stamp_step(revision)
            return True
        yield from self._play_leg(revision, Direction.SECOND_UPGRADE)
        trace = diff(after, self._read_state(Direction.SECOND_UPGRADE))
        self._add_leg(Direction.SECOND_UPGRADE, trace)
        return not trace

    def _add_rows(self, connection: Connection, schema: Snapshot, *, is_filled: bool = True) -> None:
        self.row_tracker.read_unknown(connection, schema)
        if is_filled:
            self.filler.fill_empty_tables(connection, schema)

    def _play_leg(self, revision: str, direction: Direction) -> Generator[RevisionStep, None, Failure | None]:
        self._direction = direction
        return (yield from self.session.recorded_step(revision, direction))

    def _add_leg(self, direction: Direction, trace: tuple[Change, ...] = (), failure: Failure | None = None) -> None:
        """Keep a leg; the values in its statements stay behind, with the witness."""
        known = [self._schemas_before[-1], *([self._upgraded_schema] if self._upgraded_schema else [])]
        statements = mask_statements(self.session.statements, dialect_by_name(self.session.target.backend_name), *known)
        self._legs.append(Leg(direction, self.session.seconds, statements, trace, failure))

    def _read_state(self, direction: Direction) -> Snapshot:
        """Read the structure, and show the rows to the witness."""
        with self.session.connection_between_steps(before_leg=True) as connection:
            found = self.session.read_schema_on(connection)
            self.row_tracker.record_leg(
                connection, found, direction, self.session.statements, self.session.written_tables
            )
            if direction is Direction.UPGRADE:
                self.filler.fill_changed_tables(connection, found)
        return found

    def _routes(self, head: Snapshot) -> Iterator[Route]:
        """Go down as far as trips have shown that it goes; from the very bottom, up to the head in one run."""
        order = (*self.plan.done, *self.plan.played)
        kept, floor = self.plan.kept_count, self.plan.lowest_schema or self._schemas_before[0]
        if False in self._clean_downgrades:
            last = max(number for number, has_one in enumerate(self._clean_downgrades) if not has_one)
            kept, floor = len(self.plan.done) + last + 1, [*self._schemas_before, head][last + 1]
        if kept == len(order):
            return
        down = downgrade_all(self.session, tuple(reversed(order[kept:])), floor)
        yield down
        if down.is_clean and kept == 0:
            up, self._one_run_schema = upgrade_all(self.session)
            yield up
