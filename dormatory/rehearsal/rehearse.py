"""The course of a rehearsal: copy, play each pending revision, go all the way back and up again, look at the target."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dormatory.backends.introspection import snapshot
from dormatory.backends.registry import backend_for
from dormatory.backends.replica import bench
from dormatory.errors import DatabaseFailedError, ForeignRevisionError
from dormatory.project.history import History
from dormatory.recording.model import Course, Direction, Passage, Recording
from dormatory.rehearsal.forecast import Measurement, forecast
from dormatory.rehearsal.model import Findings, Rehearsal
from dormatory.rehearsal.row_counts import largest
from dormatory.rehearsal.trial import play, there_and_back, timed
from dormatory.runtime import scratch
from dormatory.runtime.worker import isolated

if TYPE_CHECKING:
    from collections.abc import Callable

    from dormatory.backends.replica import Bench
    from dormatory.backends.url import Target
    from dormatory.project.history import Revision
    from dormatory.project.project import Project
    from dormatory.rehearsal.trial import Played

    Tell = Callable[[str, int, int], None]

_SMALLER = 4  # the second size is this part of the first
_FEWEST = 4  # rows that can be had in two sizes


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants to know.

    `sample` rows of each table are copied, 0 for all; `at_rows` asks for a forecast, 0 for none. `show_values` lets the
    keys of offending rows be told.
    """

    sample: int = 0
    at_rows: int = 0
    show_values: bool = False


def rehearse(project: Project, target: Target, request: Request, tell: Tell = lambda *_: None) -> Rehearsal:
    """Rehearse what is pending on the target, without writing to it.

    `tell` hears what is being done, how much is done and of how much. Raises MissingDatabaseError,
    ForeignRevisionError, and what keeps a copy from being made.
    """
    history = History.read(project)
    history.refuse_branches()
    with bench(target) as room:
        with room.empty() as empty:
            version_table = scratch.version_table(project, empty)
        current = room.applied(version_table)
        if unknown := history.missing(current):
            raise ForeignRevisionError(str(target), unknown)
        pending = history.pending(current)
        if not pending:
            return Rehearsal(str(target), current, (), room.untouched())
        return _Course(project, target, room, (version_table, pending, request), tell).run(current)


class _Course:
    """A rehearsal under way."""

    def __init__(
        self, project: Project, target: Target, room: Bench, plan: tuple[str, tuple[Revision, ...], Request], tell: Tell
    ) -> None:
        self._project, self._target, self._room = project, target, room
        self._version_table, self._pending, self._request = plan
        self._tell, self._done = tell, 0
        self._trips: list[Played] = []
        self._seen: list[Findings] = []
        self._passages: list[Passage] = []
        self._loose_ends: list[str] = []

    def run(self, current: tuple[str, ...]) -> Rehearsal:
        """Copy, play, and look at the target again."""
        self._next("copying")
        with ExitStack() as stack:
            copy, copied = stack.enter_context(self._room.copied(self._version_table, self._request.sample))
            smaller = self._reduced(stack, copy) if self._request.at_rows else None
            for revision in self._pending:
                if not self._play(copy, revision.id):
                    break
            else:
                self._whole_way(copy)
            if self._request.at_rows:
                self._foresee(smaller)
        steps = tuple(it.step for it in self._trips)
        unreached = tuple(it.id for it in self._pending[len(steps) :])
        passages = tuple(self._passages)
        recording = Recording(self._target.backend_name, self._trips[0].server, steps, passages, unreached)
        self._next("looking at the target")
        return Rehearsal(
            str(self._target),
            current,
            self._pending,
            self._looked_at_again(),
            copied,
            recording,
            tuple(self._seen),
            tuple(self._loose_ends),
        )

    def _looked_at_again(self) -> str:
        """Say whether the target is as before; what was found out on its copy is told even if it is gone."""
        try:
            return self._room.untouched()
        except DatabaseFailedError as error:
            return f"could not be looked at again: {error.what} ({error.why})"

    def _play(self, copy: Target, revision: str) -> bool:
        """Make a revision's trip on a branch and upgrade the copy itself; tell whether there is a way on."""
        self._next(revision)
        with self._room.branched(copy) as branch:
            played = isolated(self._project, play, self._project, copy, branch, revision, self._request.show_values)
        self._trips.append(played)
        self._seen.append(Findings(revision, played.changed, played.stalls, played.offences))
        if played.untried:
            named = ", ".join(played.untried)
            self._loose_ends.append(f"readers and writers of tables that {revision} locks, too: {named}")
        if played.failure:
            self._passages.append(Passage(Course.UP, (revision,), 0.0, stopped=revision, failure=played.failure))
        return played.step.after is not None and played.failure is None

    def _whole_way(self, copy: Target) -> None:
        """Take all of it back and make it again, where there is more than one revision and each has a way back."""
        steps = [it.step for it in self._trips]
        if len(steps) < 2:  # noqa: PLR2004  # its trip was that way
            return
        blocked = [
            step.revision
            for step in steps
            if not any(leg.direction is Direction.DOWNGRADE and leg.failure is None for leg in step.legs)
        ]
        if blocked:
            self._loose_ends.append(f"not taken back as a whole: {', '.join(blocked)} cannot be")
            return
        self._next("all the way back and up again")
        ends = steps[0].before, steps[-1].after
        names = tuple(step.revision for step in steps)
        arguments = self._project, copy, names, ends, self._request.show_values
        self._passages += isolated(self._project, there_and_back, *arguments)

    def _reduced(self, stack: ExitStack, copy: Target) -> Target | None:
        """Make a copy with a part of the rows, None where there are too few."""
        self._next("copying a part")
        with backend_for(copy).engine(copy, writing=False).connect() as connection:
            most = largest(copy, snapshot(connection))
        if most < _FEWEST:
            return None
        return stack.enter_context(self._room.reduced(copy, self._version_table, most // _SMALLER))

    def _foresee(self, smaller: Target | None) -> None:
        """Measure each revision on fewer rows, too, and add what follows from that for more."""
        self._next("measuring on fewer rows")
        ended = [it for it in self._trips if it.step.after is not None]
        found: dict[str, Measurement] = {}
        if smaller and ended:
            plan = tuple((it.step.revision, it.step.before, it.touched) for it in ended)
            found = dict(isolated(self._project, timed, self._project, smaller, plan))
        for place, played in enumerate(ended):
            here = Measurement(played.rows, played.step.legs[0].seconds)
            measured = (*filter(None, [found.get(played.step.revision)]), here)
            self._seen[place] = replace(self._seen[place], forecast=forecast(measured, self._request.at_rows))

    def _next(self, what: str) -> None:
        total = len(self._pending) + 3 + 2 * bool(self._request.at_rows)
        self._tell(what, self._done, total)
        self._done += 1
