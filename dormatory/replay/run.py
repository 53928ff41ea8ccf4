"""One walk along a history: the round trip of each revision on populated tables, then all the way back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from dormatory.errors import NoDowngradeError
from dormatory.recording.masking import masked
from dormatory.recording.model import Direction, Failure, Leg, Step
from dormatory.replay.routes import run_up, way_down
from dormatory.replay.row_tracker import Witness
from dormatory.replay.session import Stage
from dormatory.schema.diff import diff, residue
from dormatory.sql.lexer import Syntax
from dormatory.sql.masking import without_row

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from alembic.runtime.migration import RevisionStep

    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.recording.model import Passage
    from dormatory.schema.changes import Change
    from dormatory.schema.snapshot import Snapshot

_VALIDATES = re.compile(r"\bVALIDATE\s+CONSTRAINT\b", re.IGNORECASE)


class Rows(Enum):
    """What a revision finds in the tables."""

    ALL = "rows with the extremes of their types, too"
    PLAUSIBLE = "plausible rows only"
    NONE = "no rows"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a walk is to do: upgrade straight through `done`, then make the round trip of each of `played`.

    `rows` are what the first of them meets, the others meet all there are. A walk that reaches the end of its section,
    `to_end`, goes all the way down again, but not below the lowest `kept` revisions, whose structure is `floor`; None
    is what the first trip begins with.
    """

    done: tuple[str, ...]
    played: tuple[str, ...]
    rows: Rows = Rows.ALL
    to_end: bool = True
    kept: int = 0
    floor: Snapshot | None = None


@dataclass(frozen=True, slots=True)
class Walked:
    """How far a walk came: `stuck` is the one of those done that failed on empty tables, with its failure.

    `arrived` is the structure to which one run of the whole history led, where the walk came down to make it.
    """

    server: str
    passages: tuple[Passage, ...]
    unfilled: tuple[tuple[str, str], ...]
    stuck: tuple[str, Failure] | None = None
    arrived: Snapshot | None = None


def walk(project: Project, target: Target, plan: Plan, keep: Callable[[Step], None]) -> Walked:
    """Walk as far as it goes, in whatever process this is; `keep` hears of each step that ended.

    It ends early behind a step that is doubtful, or that left something else than it should.
    """
    return _Walk(project, target, plan, keep).run()


def validates(step: Step) -> Failure | None:
    """Return why an upgrade failed that was validating a constraint, which refuses rows, not the revision.

    It blocks nobody and can be repeated when the rows are mended, which is what it is written as a step of its own for.
    """
    leg = step.legs[-1]
    is_last = leg.direction is Direction.UPGRADE and leg.statements and _VALIDATES.search(leg.statements[-1].sql)
    return leg.failure if is_last else None


def is_doubtful(step: Step) -> bool:
    """Say whether what is wrong with a step may be due to the extremes among its rows."""
    return bool(step.losses) or any(leg.failure and not _is_stated(leg.failure) for leg in step.legs)


def _is_stated(failure: Failure) -> bool:
    return failure.is_declared or failure.kind == NoDowngradeError.__name__


class _Walk:
    """The state of a walk."""

    def __init__(self, project: Project, target: Target, plan: Plan, keep: Callable[[Step], None]) -> None:
        self.plan, self.keep = plan, keep
        self.stage = Stage(project, target)
        self.witness = Witness(project)
        self._befores: list[Snapshot] = []  # what each trip began with
        self._after: Snapshot | None = None  # the structure that the revision's first upgrade gave
        self._legs: list[Leg] = []
        self._has_way_back: list[bool] = []  # whether each trip's downgrade was a clean one
        self._is_over = False
        self._arrived: Snapshot | None = None

    def run(self) -> Walked:
        """Do what was planned."""
        stuck = None
        passages: list[Passage] = []
        with self.stage.opened() as server:
            failure = self.stage.play(self._trips)
            revision = self.stage.revision
            if failure and not self._befores:
                stuck = revision, failure
            elif failure:
                self._ended(self._direction, failure=failure)
                self.keep(Step(revision, tuple(self._legs), self._befores[-1], self._after, self.witness.losses()))
            elif self._is_over and self._after and self.plan.to_end:
                passages += self._passages(self._after)
        return Walked(server, tuple(passages), self._unfilled(), stuck, self._arrived)

    def _unfilled(self) -> tuple[tuple[str, str], ...]:
        return tuple((table, without_row(reason)) for table, reason in sorted(self.witness.unfilled.items()))

    def _trips(self) -> Iterator[RevisionStep]:
        yield from self._straight()
        before = self.stage.look()
        for number, revision in enumerate(self.plan.played):
            rows = self.plan.rows if number == 0 else Rows.ALL
            self.witness.edges = rows is Rows.ALL
            self._befores.append(before)
            self._legs, self._after = [], None
            is_restored = yield from self._trip(revision, before, is_filled=rows is not Rows.NONE)
            after = self._after
            step = Step(revision, tuple(self._legs), before, after, self.witness.losses())
            self._has_way_back.append(step.has_way_back)
            self.keep(step)
            if not is_restored or after is None or (self.witness.edges and is_doubtful(step)):
                return
            if self.witness.brings(revision):
                with self.stage.reading() as connection:
                    self.witness.bring(connection, revision, after)
            before = after
        if self.plan.played:
            with self.stage.reading() as connection:
                self.witness.before(connection, before)
        self._is_over = True

    def _straight(self) -> Iterator[RevisionStep]:
        """Apply what was done before; of the rows that others would have left, those that the project brings."""
        for revision in self.plan.done:
            yield from self.stage.straight((revision,))
            if self.plan.rows is not Rows.NONE and self.witness.brings(revision):
                with self.stage.reading() as connection:
                    self.witness.bring(connection, revision)

    def _trip(self, revision: str, before: Snapshot, *, is_filled: bool) -> Generator[RevisionStep, None, bool]:
        """Make the round trip of one revision; return whether everything is as the first upgrade left it.

        What a downgrade did not undo at all is not applied a second time: it would fail on what is still there.
        """
        with self.stage.reading(before_leg=True) as connection:
            self.witness.before(connection, before, is_filled=is_filled)
        yield from self._leg(revision, Direction.UPGRADE)
        self._after = after = self._look(Direction.UPGRADE)
        self._ended(Direction.UPGRADE)
        if not self.stage.has_downgrade(revision):
            failure = Failure.of(NoDowngradeError(self.stage.path(revision)))
            self._legs.append(Leg(Direction.DOWNGRADE, 0.0, failure=failure))
            return True
        refused = yield from self._leg(revision, Direction.DOWNGRADE)
        if refused:
            self._ended(Direction.DOWNGRADE, failure=refused)
            yield from self.stage.marked(revision)
            return True
        left = self._look(Direction.DOWNGRADE)
        self._ended(Direction.DOWNGRADE, residue(before, left))
        if left != before and not diff(after, left):
            yield from self.stage.marked(revision)
            return True
        yield from self._leg(revision, Direction.SECOND_UPGRADE)
        trace = diff(after, self._look(Direction.SECOND_UPGRADE))
        self._ended(Direction.SECOND_UPGRADE, trace)
        return not trace

    def _leg(self, revision: str, direction: Direction) -> Generator[RevisionStep, None, Failure | None]:
        self._direction = direction
        return (yield from self.stage.watched(revision, direction))

    def _ended(self, direction: Direction, trace: tuple[Change, ...] = (), failure: Failure | None = None) -> None:
        """Keep a leg; the values in its statements stay behind, with the witness."""
        known = [self._befores[-1], *([self._after] if self._after else [])]
        statements = masked(self.stage.statements, Syntax(self.stage.target.backend_name), *known)
        self._legs.append(Leg(direction, self.stage.seconds, statements, trace, failure))

    def _look(self, behind: Direction) -> Snapshot:
        """Read the structure, and show the rows to the witness."""
        with self.stage.reading(before_leg=True) as connection:
            found = self.stage.seen(connection)
            self.witness.after(connection, found, behind, self.stage.statements, self.stage.written)
        return found

    def _passages(self, head: Snapshot) -> Iterator[Passage]:
        """Go down as far as trips have shown that it goes; from the very bottom, up to the head in one run."""
        order = (*self.plan.done, *self.plan.played)
        kept, floor = self.plan.kept, self.plan.floor or self._befores[0]
        if False in self._has_way_back:
            last = max(number for number, has_one in enumerate(self._has_way_back) if not has_one)
            kept, floor = len(self.plan.done) + last + 1, [*self._befores, head][last + 1]
        if kept == len(order):
            return
        down = way_down(self.stage, tuple(reversed(order[kept:])), floor)
        yield down
        if down.is_clean and kept == 0:
            up, self._arrived = run_up(self.stage)
            yield up
