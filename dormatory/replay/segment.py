"""A segment of a history: revisions in a row, played by as many runs as it takes until each has a final result."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from dormatory.recording.model import Route, RouteKind
from dormatory.replay.attempt import FIRST_ATTEMPT, merge_attempts, next_attempt
from dormatory.replay.run import RunPlan, run_segment
from dormatory.replay.straight import StraightDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.recording.leg import Failure
    from dormatory.recording.model import Step
    from dormatory.replay.attempt import Attempt
    from dormatory.replay.run import RunResult
    from dormatory.replay.seed_rows import SeedRows
    from dormatory.schema.snapshot import Snapshot


def play_segment(project: Project, target: Target, segment: Segment, on_step: Callable[[Step], None]) -> Segment:
    """Play a segment on one database, and return it as far as it got; `on_step` receives each final step.

    It is not finished if its env.py leaves connections open: then the next run needs a new process.
    """
    database = StraightDatabase(project, target)
    while (plan := segment.next_plan()) and database.begin_again():
        if blocked := database.apply(plan.done):
            segment.block(plan, *blocked)
            continue
        if segment.lacks_seed_rows(plan):
            segment.add_seed_rows(plan, database.read_seed_rows(plan.played))
            continue
        result = run_segment(project, target, plan, lambda step: segment.accept(step, on_step))
        segment.finish_run(plan, result)
    return segment


class Segment:
    """The progress of the runs of a segment, what they recorded, and what the next one has to do.

    `order` is the whole history, `chosen` are the revisions that make round trips. The segment holds the revisions
    from index `first` up to, but not including, index `end`. `blocked` is the route of a run that failed before its
    first round trip. `one_run_schema` is the structure after an upgrade of the whole history in one run, None if there
    was none.
    """

    def __init__(self, order: Sequence[str], chosen: Collection[str], first: int, end: int) -> None:
        self.steps: dict[str, Step] = {}
        self.routes: list[Route] = []
        self.unfilled: dict[str, str] = {}
        self.blocked: Route | None = None
        self.one_run_schema: Snapshot | None = None
        self.server = ""
        self.env_pass = "", 1
        self.most_passes = 1
        self.env_reads: dict[str, bool] = {}
        self._order, self._chosen = order, chosen
        self._first, self._end = first, end
        self._next_index = first  # after the last final step
        self._attempt = FIRST_ATTEMPT  # at the next revision
        self._results: list[tuple[Attempt, Step]] = []  # of the attempts at it so far
        self._seed_rows: dict[int, SeedRows] = {}  # with so many revisions applied
        self._seeded: set[str] = set()
        self._is_finished = False

    def next_plan(self) -> RunPlan | None:
        """Return the next run: all chosen revisions in a row, from the first one without a final result."""
        waiting = [index for index in range(self._next_index, self._end) if self._order[index] in self._chosen]
        if not waiting or self._is_finished:
            return None
        start = end = waiting[0]
        while end < self._end and self._order[end] in self._chosen:
            end += 1
        kept = start
        while kept > self._first and (step := self.steps.get(self._order[kept - 1])) and step.has_clean_downgrade:
            kept -= 1
        known = takewhile(self._seed_rows.__contains__, range(start, end + 1))
        return RunPlan(
            done=tuple(self._order[:start]),
            played=tuple(self._order[start:end]),
            attempt=self._attempt,
            reaches_end=end == self._end,
            kept_count=kept,
            lowest_schema=self.steps[self._order[kept]].before if kept < start else None,
            seed_rows=tuple(self._seed_rows[number] for number in known),
        )

    def lacks_seed_rows(self, plan: RunPlan) -> bool:
        """Return whether a plan needs the seed rows of later revisions, and nobody has looked for them."""
        return len(plan.played) > 1 and plan.played[0] not in self._seeded

    def add_seed_rows(self, plan: RunPlan, rows: Sequence[SeedRows]) -> None:
        """Keep the seed rows before the first revision of a plan and after each, as far as they are known."""
        self._seeded.update(plan.played)
        self._seed_rows |= enumerate(rows, start=len(plan.done))

    def accept(self, step: Step, on_step: Callable[[Step], None]) -> None:
        """Take the result of an attempt; `on_step` receives that of all attempts at the revision after the last one."""
        self._results.append((self._attempt, step))
        if attempt := next_attempt(self._attempt, step):
            self._attempt = attempt
        else:
            on_step(self._finish())

    def finish_run(self, plan: RunPlan, result: RunResult) -> None:
        """Record that a run has ended; the segment is finished if it got no further than the run before it."""
        self.server = result.server
        self.env_pass = result.env_pass
        self.most_passes = max(self.most_passes, result.most_passes)
        self.env_reads |= {name: rows or self.env_reads.get(name, False) for name, rows in result.env_reads}
        self.unfilled |= dict(result.unfilled)
        self.routes += result.routes
        self.one_run_schema = result.one_run_schema or self.one_run_schema
        self._is_finished = self._next_index <= len(plan.done) and self._attempt is plan.attempt

    def block(self, plan: RunPlan, revision: str, failure: Failure) -> None:
        """Finish the segment: one of the plan's revisions to be applied first failed on empty tables."""
        self._is_finished = True
        self.blocked = Route(RouteKind.UP, plan.done, 0.0, stopped=revision, failure=failure)
        if self._results:
            self._finish()

    def unreached_revisions(self) -> Iterator[str]:
        """Yield the chosen revisions that no run has reached."""
        yield from (name for name in self._order[self._next_index : self._end] if name in self._chosen)

    def _finish(self) -> Step:
        """Merge the attempts at a revision, and go on to the next one."""
        step = merge_attempts(self._results)
        self._attempt, self._results = FIRST_ATTEMPT, []
        self._next_index = self._order.index(step.revision) + 1
        self.steps[step.revision] = step
        return step
