"""One run along a segment: the round trip of each revision on populated tables, then all the way down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.backends.registry import dialect_by_name
from dormatory.replay.attempt import FIRST_ATTEMPT, Attempt, next_attempt
from dormatory.replay.hints.revision import RevisionHints
from dormatory.replay.routes import downgrade_all, upgrade_all
from dormatory.replay.row_filler import RowFiller
from dormatory.replay.row_tracker import RowTracker
from dormatory.replay.session import ReplaySession
from dormatory.replay.step import StepReplay
from dormatory.rows.fixtures import FixtureRows
from dormatory.sql.masking import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alembic.runtime.migration import RevisionStep

    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.recording.model import Route, Step
    from dormatory.replay.seed_rows import SeedRows
    from dormatory.schema.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run has to do: from a database in which `done` are applied, make the round trip of each one of `played`.

    `attempt` says which rows the first of these is played with; the others have all kinds. A run that reaches the end
    of its segment goes all the way down again, except for the lowest `kept_count` revisions. `lowest_schema` is the
    structure that these leave, None for the one that the first trip begins with. `seed_rows` are the rows that a run
    over empty tables has before the first of `played` and after each, as far as they are known.
    """

    done: tuple[str, ...]
    played: tuple[str, ...]
    attempt: Attempt = FIRST_ATTEMPT
    reaches_end: bool = True
    kept_count: int = 0
    lowest_schema: Snapshot | None = None
    seed_rows: tuple[SeedRows, ...] = ()


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run recorded apart from its steps.

    `one_run_schema` is the structure after an upgrade of the whole history in one run, None if there was none.
    `env_pass` is the version table of the pass of env.py, and how many passes there are; `most_passes` is how many
    there ever were. `env_reads` are the project's tables that env.py itself reads from, each with whether it had rows.
    """

    server: str
    routes: tuple[Route, ...]
    unfilled: tuple[tuple[str, str], ...]
    one_run_schema: Snapshot | None = None
    env_pass: tuple[str, int] = ("", 1)
    most_passes: int = 1
    env_reads: tuple[tuple[str, bool], ...] = ()


def run_segment(project: Project, target: Target, plan: RunPlan, on_step: Callable[[Step], None]) -> RunResult:
    """Play a plan as far as it goes; `on_step` receives each step when it ends.

    The run stops early after a step that must be replayed with plainer rows, or that left another structure than it
    should.
    """
    return _Run(project, target, plan, on_step).run()


class _Run:
    """A run in progress: the step that is being played, and the results of earlier ones."""

    def __init__(self, project: Project, target: Target, plan: RunPlan, on_step: Callable[[Step], None]) -> None:
        self._plan, self._on_step = plan, on_step
        self._session = ReplaySession(project, target, is_scratch=True)
        dialect = dialect_by_name(target.backend_name)
        self._tracker = RowTracker(dialect)
        hints = RevisionHints((*plan.done, *plan.played), self._session.revision_file, dialect)
        self._filler = RowFiller(self._tracker, dialect, hints)
        self._fixtures = FixtureRows(project.script_location)
        self._current: StepReplay | None = None
        self._schemas_before: list[Snapshot] = []  # of each trip
        self._clean_downgrades: list[bool] = []  # whether each trip had one
        self._is_finished = False

    def run(self) -> RunResult:
        """Play the plan."""
        routes: tuple[Route, ...] = ()
        one_run_schema: Snapshot | None = None
        with self._session.connect() as server:
            if not self._session.project.has_our_environment:
                # What env.py itself creates for a later pass, such as the schema of a tenant, belongs to no revision.
                self._session.run(lambda: iter(()))
            failure = self._session.run(self._steps)
            if failure and self._current:
                self._current.fail(failure)
                self._on_step(self._current.step())
            elif self._reaches_end() and self._current and self._current.after:
                routes, one_run_schema = self._final_routes(self._current.after)
        return RunResult(
            server,
            routes,
            self._unfilled_tables(),
            one_run_schema,
            self._session.env_pass,
            self._session.most_passes,
            self._tables_read_by_env(),
        )

    def _tables_read_by_env(self) -> tuple[tuple[str, bool], ...]:
        last = self._current.after if self._current else None
        schemas = [*self._schemas_before, *([last] if last else [])]
        known = {table.name.lower() for schema in schemas for table in schema.tables}
        return tuple((name, rows) for name, rows in self._session.env_reads.has_rows.items() if name in known)

    def _reaches_end(self) -> bool:
        """Return whether the database is at the end of the segment; after a rollback, it goes there without rows."""
        if not self._is_finished or not self._plan.reaches_end:
            return False
        session = self._session
        return not session.is_rolled_back or self._apply_again()

    def _apply_again(self) -> bool:
        """Apply the revisions of the plan once more; return whether they are there."""
        failure = self._session.run(lambda: self._session.plain_steps(self._plan.played))
        return failure is None and not self._session.is_rolled_back

    def _unfilled_tables(self) -> tuple[tuple[str, str], ...]:
        return tuple((table, without_secrets(reason)) for table, reason in sorted(self._filler.unfilled.items()))

    def _steps(self) -> Iterator[RevisionStep]:
        before = self._session.read_schema()
        for number, revision in enumerate(self._plan.played):
            attempt = self._plan.attempt if number == 0 else FIRST_ATTEMPT
            self._filler.with_extremes, self._filler.revision = attempt.has_extremes, revision
            self._current = StepReplay(self._session, self._tracker, self._filler, revision, before)
            self._schemas_before.append(before)
            is_restored = yield from self._current.play(attempt, self._seed_rows(number))
            step, after = self._current.step(), self._current.after
            self._clean_downgrades.append(step.has_clean_downgrade)
            self._on_step(step)
            if not is_restored or after is None or next_attempt(attempt, step):
                return
            if self._seed_rows(number + 1) is None and self._fixtures.has_rows(revision):
                with self._session.connection_between_steps() as connection:
                    self._fixtures.add(connection, revision)
                    self._tracker.read(connection, after, None)
            before = after
        # Going down through many revisions shows structures; what each does to rows, its own trip has shown.
        if seeds := self._seed_rows(len(self._plan.played)):
            with self._session.connection_between_steps() as connection:
                self._filler.remove_generated_rows(connection, before, seeds)
        self._is_finished = True

    def _seed_rows(self, number: int) -> SeedRows | None:
        """Return the seed rows before the trip with this number, None if they are unknown."""
        return self._plan.seed_rows[number] if number < len(self._plan.seed_rows) else None

    def _final_routes(self, head: Snapshot) -> tuple[tuple[Route, ...], Snapshot | None]:
        """Downgrade as far as the trips had clean downgrades; from the empty database, upgrade to the head in one run.

        Return these routes, and the structure after the one run.
        """
        order = (*self._plan.done, *self._plan.played)
        kept, lowest_schema = self._plan.kept_count, self._plan.lowest_schema or self._schemas_before[0]
        if False in self._clean_downgrades:
            last = max(number for number, is_clean in enumerate(self._clean_downgrades) if not is_clean)
            kept = len(self._plan.done) + last + 1
            lowest_schema = [*self._schemas_before, head][last + 1]
        if kept == len(order):
            return (), None
        down = downgrade_all(self._session, tuple(reversed(order[kept:])), lowest_schema)
        if not down.is_clean or kept > 0:
            return (down,), None
        up, one_run_schema = upgrade_all(self._session)
        return (down, up), one_run_schema
