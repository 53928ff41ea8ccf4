"""Rehearses pending revisions: copy the target, play each revision, downgrade and upgrade all, check the target."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dormatory.backends.introspection import read_snapshot
from dormatory.backends.registry import backend_for
from dormatory.errors import DatabaseFailedError, RevisionNotInCheckoutError
from dormatory.project.history import History
from dormatory.recording.leg import Direction
from dormatory.recording.model import Recording, Route, RouteKind
from dormatory.rehearsal.forecast import Measurement, forecast
from dormatory.rehearsal.model import Rehearsal, RevisionObservations
from dormatory.rehearsal.row_counts import largest_table_rows
from dormatory.rehearsal.trial import downgrade_and_upgrade_all, run_trial, time_upgrades
from dormatory.runtime import scratch
from dormatory.runtime.progress import RehearsalPartStarted, ignore_progress
from dormatory.runtime.worker import call_in_worker
from dormatory.system.text import quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dormatory.backends.replica import ReplicaSource
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.project.script import Revision
    from dormatory.recording.model import Step
    from dormatory.rehearsal.trial import Trial
    from dormatory.runtime.progress import Progress

_SAMPLE_DIVISOR = 4  # the second size is this part of the first
_MIN_ROWS_TO_MEASURE = 4  # in the largest table, to measure with two sizes


@dataclass(frozen=True, slots=True)
class RehearsalRequest:
    """What to rehearse with.

    `sample` is how many rows of each table are copied, 0 for all. `at_rows` is how many rows a forecast is made for,
    0 for no forecast. `show_values` allows to show the keys of offending rows.
    """

    sample: int = 0
    at_rows: int = 0
    show_values: bool = False


def rehearse(
    project: Project,
    target: Target,
    request: RehearsalRequest,
    progress: Progress = ignore_progress,
    *,
    history: History | None = None,
) -> Rehearsal:
    """Rehearse what is pending on the target, without writing to it.

    Raises MissingDatabaseError, RevisionNotInCheckoutError, and the error of a copy that cannot be made.
    """
    history = history or History.read(project)
    history.refuse_branches()
    with backend_for(target).replica.open_replica_source(target) as source:
        with source.empty_database() as empty:
            scratch.create_roles(project, empty)
            tables = scratch.version_table_places(project, empty)
        asked = _Passes(project, target, history, source)
        parts = asked.parts(tables)
        if not any(part.pending for part in parts) and source.version_table_count() <= len(tables):
            return Rehearsal(str(target), _position(parts), (), source.verify_untouched())
        return _RehearsalRun(target, source, request, parts=parts, progress=progress).run(asked)


@dataclass(frozen=True, slots=True)
class _Passes:
    """The passes of env.py, each of which has a version table in the target."""

    project: Project
    target: Target
    history: History
    source: ReplicaSource

    def parts(self, tables: Sequence[str]) -> tuple[_Part, ...]:
        """Return what is pending for each version table; raises RevisionNotInCheckoutError."""
        return tuple(self._part(number, table) for number, table in enumerate(tables))

    def parts_on(self, replica: Target) -> tuple[_Part, ...]:
        """Return the same for the passes on a copy of the target: env.py may read from a table which there are."""
        return self.parts(scratch.version_table_places(self.project, replica))

    def _part(self, number: int, table: str) -> _Part:
        current = self.source.applied_revisions(table)
        if unknown := self.history.unknown(current):
            raise RevisionNotInCheckoutError(str(self.target), unknown)
        return _Part(replace(self.project, env_pass=number), table, current, self.history.pending(current))


def _position(parts: Sequence[_Part]) -> tuple[str, ...]:
    """Return the revisions that the target is at in the pass with most to do."""
    return max(parts, key=lambda part: len(part.pending)).current


@dataclass(frozen=True, slots=True)
class _Part:
    """What is pending in one pass of env.py, which `project` plays, with the version table of that pass."""

    project: Project
    version_table: str
    current: tuple[str, ...]
    pending: tuple[Revision, ...]

    @property
    def shown_table(self) -> str:
        """The version table; "" for the first pass, which most projects have alone."""
        return self.version_table if self.project.env_pass else ""


class _RehearsalRun:
    """A rehearsal in progress."""

    def __init__(
        self,
        target: Target,
        source: ReplicaSource,
        request: RehearsalRequest,
        *,
        parts: tuple[_Part, ...],
        progress: Progress,
    ) -> None:
        self._target, self._source, self._request = target, source, request
        self._version_table = parts[0].version_table
        self._keep_pending(parts)
        self._progress, self._done = progress, 0
        self._observations: list[RevisionObservations] = []
        self._not_checked: list[str] = []

    def run(self, passes: _Passes) -> Rehearsal:
        """Copy, play, and check the target."""
        self._begin_part("copying")
        with ExitStack() as stack:
            replica, info = stack.enter_context(self._source.create_replica(self._version_table, self._request.sample))
            parts = passes.parts_on(replica)
            self._keep_pending(parts)
            if not self._parts:
                return Rehearsal(str(self._target), _position(parts), (), self._check_target())
            smaller = self._create_sample(stack, replica, self._version_table) if self._request.at_rows else None
            recordings = []
            for part in self._parts:
                recordings.append(self._rehearse_part(part, replica, smaller))
                if recordings[-1].unreached or recordings[-1].steps[-1].after is None:
                    break
        self._not_checked += [
            f"{quantity(len(part.pending), 'pending revision')} with {part.version_table}"
            for part in self._parts[len(recordings) :]
        ]
        self._begin_part("checking the target")
        return Rehearsal(
            str(self._target),
            _position(parts),
            self._pending,
            self._check_target(),
            info,
            tuple(recordings),
            tuple(self._observations),
            tuple(self._not_checked),
        )

    def _keep_pending(self, parts: Sequence[_Part]) -> None:
        self._parts = tuple(part for part in parts if part.pending)
        self._pending = tuple(it for part in self._parts for it in part.pending)

    def _rehearse_part(self, part: _Part, replica: Target, smaller: Target | None) -> Recording:
        """Play what is pending in one pass of env.py on the replica, which is upgraded by it."""
        trials: list[Trial] = []
        routes: list[Route] = []
        for revision in part.pending:
            trial = self._try_revision(part, replica, revision.id)
            trials.append(trial)
            if trial.failure:
                routes.append(Route(RouteKind.UP, (revision.id,), 0.0, stopped=revision.id, failure=trial.failure))
            if trial.failure or trial.step.after is None:
                break
        else:
            routes += self._downgrade_and_upgrade_all(part, replica, [it.step for it in trials])
        if self._request.at_rows:
            self._add_forecasts(part, trials, smaller)
        return Recording(
            self._target.backend_name,
            trials[0].server,
            tuple(it.step for it in trials),
            tuple(routes),
            tuple(it.id for it in part.pending[len(trials) :]),
            version_table=part.shown_table,
        )

    def _check_target(self) -> str:
        """Return how it is known that the target is unchanged, or why not: the rehearsal is reported in either case."""
        try:
            return self._source.verify_untouched()
        except DatabaseFailedError as error:
            return f"could not be checked again: {error.what} ({error.why})"

    def _try_revision(self, part: _Part, replica: Target, revision: str) -> Trial:
        """Play a revision on a clone, then upgrade the replica."""
        self._begin_part(revision)
        with self._source.clone_replica(replica) as clone:
            trial = call_in_worker(
                part.project, run_trial, part.project, replica, clone, revision, self._request.show_values
            )
        self._observations.append(RevisionObservations(revision, trial.written_rows, trial.waits, trial.offending_rows))
        if trial.unprobed:
            tables = ", ".join(trial.unprobed)
            self._not_checked.append(f"readers and writers of tables that {revision} locks, too: {tables}")
        return trial

    def _downgrade_and_upgrade_all(self, part: _Part, replica: Target, steps: Sequence[Step]) -> tuple[Route, ...]:
        """Downgrade and upgrade all revisions, if there is more than one and each has a downgrade."""
        if len(steps) < 2:  # noqa: PLR2004  # its round trip has shown it
            return ()
        blocked = [
            step.revision
            for step in steps
            if not any(leg.direction is Direction.DOWNGRADE and leg.failure is None for leg in step.legs)
        ]
        if blocked:
            self._not_checked.append(f"a downgrade of all revisions: {', '.join(blocked)} cannot be downgraded")
            return ()
        self._begin_part("downgrading and upgrading all")
        ends = steps[0].before, steps[-1].after
        names = tuple(step.revision for step in steps)
        arguments = part.project, replica, names, ends, self._request.show_values
        return call_in_worker(part.project, downgrade_and_upgrade_all, *arguments)

    def _create_sample(self, stack: ExitStack, replica: Target, version_table: str) -> Target | None:
        """Create a replica with a part of the rows, None if there are too few."""
        self._begin_part("copying a part")
        with backend_for(replica).engine(replica, writing=False).connect() as connection:
            most = largest_table_rows(replica, read_snapshot(connection))
        if most < _MIN_ROWS_TO_MEASURE:
            return None
        return stack.enter_context(self._source.sample_replica(replica, version_table, most // _SAMPLE_DIVISOR))

    def _add_forecasts(self, part: _Part, trials: Sequence[Trial], smaller: Target | None) -> None:
        """Measure each revision on fewer rows, too, and add the forecast for more rows."""
        self._begin_part("measuring on fewer rows")
        first, ended = len(self._observations) - len(trials), [it for it in trials if it.step.after is not None]
        found: dict[str, Measurement] = {}
        if smaller and ended:
            plan = tuple((it.step.revision, it.step.before, it.affected_tables) for it in ended)
            found = dict(call_in_worker(part.project, time_upgrades, part.project, smaller, plan))
        for place, trial in enumerate(ended, start=first):
            here = Measurement(trial.largest_table_rows, trial.step.legs[0].seconds)
            measured = (*filter(None, [found.get(trial.step.revision)]), here)
            self._observations[place] = replace(
                self._observations[place], forecast=forecast(measured, self._request.at_rows)
            )

    def _begin_part(self, what: str) -> None:
        total = len(self._pending) + 2 + len(self._parts) + (1 + len(self._parts)) * bool(self._request.at_rows)
        self._progress(RehearsalPartStarted(what, self._done, total))
        self._done += 1
