"""One revision on a copy: its trip up, down and up again on a branch, and its upgrade on the copy itself."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dormatory.backends.registry import backend_for
from dormatory.errors import DanglingRowsError, NoDowngradeError
from dormatory.recording.masking import masked
from dormatory.recording.model import Direction, Failure, Leg, Step
from dormatory.rehearsal import offending_rows as offences
from dormatory.rehearsal import probes
from dormatory.rehearsal.forecast import Measurement
from dormatory.rehearsal.large_tables import large_losses
from dormatory.rehearsal.redaction import failure_on_real_rows
from dormatory.rehearsal.row_counts import Tally, largest, settle
from dormatory.rehearsal.row_tracker import MOST_ROWS, Keeper
from dormatory.replay.routes import one_run, way_down
from dormatory.replay.session import Stage
from dormatory.schema.diff import diff, residue
from dormatory.sql.lexer import Syntax
from dormatory.sql.lock_modes import LOCK_MODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alembic.runtime.migration import RevisionStep

    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.recording.model import Loss, Passage
    from dormatory.rehearsal.model import Changed, Offence, Stall
    from dormatory.rehearsal.row_counts import Id
    from dormatory.schema.changes import Change
    from dormatory.schema.snapshot import Snapshot

_WAITING = LOCK_MODES.index("ROW EXCLUSIVE")  # what keeps nobody waiting is weaker


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a revision: its trip on a branch, and who waited meanwhile and during the copy's own upgrade.

    `touched` are the tables that it did anything to, `rows` those in the largest of them. `untried` are tables of which
    nobody was seen to wait, since there were too many. `failure` is why the copy's upgrade failed where the trip's did
    not.
    """

    server: str
    step: Step
    changed: tuple[Changed, ...]
    stalls: tuple[Stall, ...]
    offences: tuple[Offence, ...]
    touched: frozenset[Id]
    rows: int = 0
    failure: Failure | None = None
    untried: tuple[str, ...] = ()


def play(project: Project, copy: Target, branch: Target, revision: str, show_values: bool) -> Played:  # noqa: FBT001
    """Play a revision up, down and up again on a branch of the copy, then upgrade the copy; in any process.

    The trip shows which tables it locks: readers and writers try these while the copy is upgraded.
    """
    with offences.hearing() as heard:
        played = _Trip(project, copy, branch, revision, heard, show_values=show_values).run()
    if played.step.after is None:
        return played
    rows, stage = largest(copy, played.step.before, played.touched), _stage(project, copy, show_values=show_values)
    tables = _waited_for(played.step.legs[:1])
    with stage.opened():
        failure, stalls = _probed(stage, tables, Direction.UPGRADE, lambda: stage.straight((revision,)))
    untried = () if copy.backend_name == "sqlite" else tables[probes.MOST_TABLES :]
    return replace(played, stalls=(*stalls, *played.stalls), rows=rows, failure=failure, untried=untried)


def timed(
    project: Project, copy: Target, plan: tuple[tuple[str, Snapshot, frozenset[Id]], ...]
) -> tuple[tuple[str, Measurement], ...]:
    """Upgrade a copy through revisions, and return how long each took on how many rows; one that fails ends it.

    With each comes the structure that it finds, and the tables it touches.
    """
    stage, found = Stage(project, copy), list[tuple[str, Measurement]]()
    for revision, schema, ids in plan:
        rows = largest(copy, schema, ids)
        with stage.opened():
            if _run(stage, partial(stage.watched, revision, Direction.UPGRADE)):
                break
        found.append((revision, Measurement(rows, stage.seconds)))
    return tuple(found)


def there_and_back(
    project: Project,
    copy: Target,
    revisions: tuple[str, ...],
    ends: tuple[Snapshot, Snapshot],
    show_values: bool,  # noqa: FBT001
) -> tuple[Passage, ...]:
    """Take the whole upgrade of a copy back, and make it again in one run; `ends` are the structures on both sides."""
    stage = _stage(project, copy, show_values=show_values)
    with stage.opened():
        down = way_down(stage, tuple(reversed(revisions)), ends[0])
        return (down, one_run(stage, ends[1])) if down.is_clean else (down,)


class _Trip:
    """A trip under way."""

    def __init__(
        self, project: Project, copy: Target, branch: Target, revision: str, heard: offences.Heard, *, show_values: bool
    ) -> None:
        self._stage = _stage(project, branch, show_values=show_values)
        self._copy, self._branch, self._revision = copy, branch, revision
        self._heard, self._show_values = heard, show_values
        self._syntax = Syntax(branch.backend_name)
        self._legs: list[Leg] = []
        self._stalls: list[Stall] = []
        self._schemas: list[Snapshot] = []  # before, and behind each leg
        self._changed: tuple[Changed, ...] = ()
        self._large: tuple[Loss, ...] = ()

    def run(self) -> Played:
        """Play the legs, as far as they go."""
        found: tuple[Offence, ...] = ()
        with self._stage.opened() as server:
            for direction in Direction:
                if not self._leg(direction):
                    found = self._inquired(direction)
                    break
        losses = self._losses()
        before, after = self._schemas[0], (*self._schemas[1:], None)[0]
        step = Step(self._revision, tuple(self._legs), before, after, losses)
        touched = self._keeper.touched
        if self._syntax is Syntax.POSTGRESQL:
            touched = touched.union(_identified(_waited_for(step.legs[:1])))
        return Played(server, step, self._changed, tuple(self._stalls), found, touched)

    def _leg(self, direction: Direction) -> bool:
        """Play a leg in a run of its own; tell whether there is a next one to play."""
        refused: list[Failure | None] = []

        def steps() -> Iterator[RevisionStep]:
            before = self._stage.look()
            self._heard.reset()
            if not self._schemas:
                self._schemas.append(before)
                self._keeper = Keeper(before, self._syntax)
            if direction is Direction.DOWNGRADE and not self._stage.has_downgrade(self._revision):
                refused.append(Failure.of(NoDowngradeError(self._stage.path(self._revision))))
                return
            with self._stage.reading() as connection:
                counts = Tally(connection)
            refused.append((yield from self._stage.watched(self._revision, direction)))
            self._look(direction, counts)

        stalls: tuple[Stall, ...] = ()
        if direction is not Direction.DOWNGRADE:
            failure = _run(self._stage, steps)
        else:
            failure, stalls = _probed(self._stage, _waited_for(tuple(self._legs)), direction, steps)
        if failure and len(self._schemas) > len(self._legs) + 1:  # it ended, and was taken back all the same
            self._schemas.pop()
            self._keeper.forget(direction)
        failure = failure or next(iter(refused), None)
        trace = () if failure else self._trace(direction)
        known = masked(self._stage.statements, self._syntax, *self._schemas)
        is_empty = failure is not None and failure.kind == NoDowngradeError.__name__
        self._legs.append(
            Leg(direction, 0.0 if is_empty else self._stage.seconds, () if is_empty else known, trace, failure)
        )
        locked = _waited_for(tuple(self._legs[-1:]))  # of the others that the upgrade locks nobody was kept away
        self._stalls += [it for it in stalls if not it.table or it.table in locked]
        if failure is None and direction is Direction.DOWNGRADE:
            self._compare()
        return failure is None

    def _look(self, direction: Direction, counts: Tally) -> None:
        after = self._stage.look()
        self._schemas.append(after)
        with self._stage.reading() as connection:
            settle(connection)
        with self._stage.reading() as connection:
            if direction is Direction.UPGRADE:
                version = self._stage.version_table.removeprefix("public.")
                changed = counts.changed(connection, self._stage.statements)
                self._changed = tuple(it for it in changed if it.table != version)
            # What was committed in between the stage cannot tell; the server's counters can.
            written = counts.written(connection) if self._stage.written is None else self._stage.written
            self._keeper.after(connection, after, direction, self._stage.statements, written)

    def _trace(self, direction: Direction) -> tuple[Change, ...]:
        """Return what a leg left: the downgrade goes back to the beginning, the second upgrade to the first."""
        place = {Direction.UPGRADE: -1, Direction.DOWNGRADE: 0, Direction.SECOND_UPGRADE: 1}[direction]
        compare = residue if direction is Direction.DOWNGRADE else diff
        return compare(self._schemas[place], self._schemas[-1])

    def _compare(self) -> None:
        before, upgraded, downgraded = self._schemas
        schemas = before, upgraded, downgraded
        self._large = tuple(large_losses(self._copy, self._branch, schemas, self._keeper.touched, MOST_ROWS))

    def _losses(self) -> tuple[Loss, ...]:
        if len(self._schemas) < 2:  # noqa: PLR2004  # the upgrade failed
            return ()
        with backend_for(self._copy).engine(self._copy, writing=False).connect() as source:
            return (*self._keeper.losses(source), *self._large)

    def _inquired(self, direction: Direction) -> tuple[Offence, ...]:
        """Play the failing leg once more, on a connection that is as good as new."""
        failure = self._legs[-1].failure
        if failure is None or failure.is_declared:
            return ()
        stage = Stage(self._stage.project, self._branch)
        found: list[Offence] = []

        def again() -> Iterator[RevisionStep]:
            yield from stage.watched(self._revision, direction)
            with stage.reading() as connection:
                found.extend(offences.dangling(connection, show_values=self._show_values))

        if failure.kind == DanglingRowsError.__name__:
            with stage.opened():
                _run(stage, again)
            return tuple(found)
        hearing = offences.hearing_again(self._heard, self._branch.backend_name, show_values=self._show_values)
        # Whatever it ends with, the rows were seen or could not be.
        with hearing as told, stage.opened(), suppress(Exception):
            stage.play(lambda: stage.watched(self._revision, direction))
        return tuple(told)


def _stage(project: Project, target: Target, *, show_values: bool) -> Stage:
    return Stage(project, target) if show_values else Stage(project, target, failure_on_real_rows)


def _run(stage: Stage, steps: Any) -> Failure | None:
    """Play steps in one run of env.py; on SQLite a run ends with a look for rows that refer to none."""
    try:
        return stage.play(steps)
    except DanglingRowsError as error:
        return Failure.of(error)


def _probed(
    stage: Stage, tables: tuple[str, ...], direction: Direction, steps: Callable[[], Iterator[RevisionStep]]
) -> tuple[Failure | None, tuple[Stall, ...]]:
    """Play steps while readers and writers try the tables, from when the run has begun until it has ended."""
    # Who begins a transaction by reading cannot wait for another writer: SQLite refuses it at once, and would
    # blame the revision for what a probe has done.
    is_safe = stage.target.backend_name == "postgresql" or stage.project.has_our_environment
    stalls: list[Stall] = []
    with ExitStack() as stack:

        def watched() -> Iterator[RevisionStep]:
            # Not before the run has its transaction, for which a writer on SQLite would keep it waiting.
            stack.enter_context(probes.probing(stage.target, tables, direction, stalls, writing=is_safe))
            yield from steps()

        failure = _run(stage, watched)
    return failure, tuple(stalls)


def _waited_for(legs: tuple[Leg, ...]) -> tuple[str, ...]:
    """Return the tables of which somebody may have had to wait, on legs that ended, the strongest locks first."""
    found = dict[str, int]()
    for lock in (lock for leg in legs for lock in leg.locks):
        found[lock.table] = max(found.get(lock.table, 0), LOCK_MODES.index(lock.mode))
    strong = (table for table, mode in found.items() if mode >= _WAITING)
    return tuple(sorted(strong, key=lambda table: (-found[table], table)))


def _identified(tables: tuple[str, ...]) -> Iterator[Id]:
    """Yield the tables by namespace and name; those of public are called by their name alone."""
    for table in tables:
        namespace, _, name = table.rpartition(".")
        yield namespace or "public", name
