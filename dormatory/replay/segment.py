"""A segment of a history: revisions in a row, played by as many runs as it takes until each has a final result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.recording.model import Route, RouteKind
from dormatory.replay.fill_mode import FillMode, merge_steps, plainer_mode
from dormatory.replay.run import RunPlan

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dormatory.recording.model import Step
    from dormatory.replay.run import RunResult


class Segment:
    """The progress of the runs of a segment, and what the next one has to do.

    `order` is the whole history, `chosen` are the revisions that make round trips. The segment holds the revisions
    from index `first` up to, but not including, index `end`.
    """

    def __init__(self, order: Sequence[str], chosen: Collection[str], first: int, end: int) -> None:
        self._order, self._chosen = order, chosen
        self._first, self._end = first, end
        self._next_index = first  # after the last final step
        self._fill_mode = FillMode.ALL  # for the next revision
        self._suspect: Step | None = None  # to be replayed with plainer rows
        self._is_finished = False

    def next_plan(self, steps: Mapping[str, Step]) -> RunPlan | None:
        """Return the next run: all chosen revisions in a row, from the first one without a final result."""
        waiting = [index for index in range(self._next_index, self._end) if self._order[index] in self._chosen]
        if not waiting or self._is_finished:
            return None
        start = end = waiting[0]
        while end < self._end and self._order[end] in self._chosen:
            end += 1
        kept = start
        while kept > self._first and (step := steps.get(self._order[kept - 1])) and step.has_clean_downgrade:
            kept -= 1
        return RunPlan(
            done=tuple(self._order[:start]),
            played=tuple(self._order[start:end]),
            fill_mode=self._fill_mode,
            reaches_end=end == self._end,
            kept_count=kept,
            lowest_schema=steps[self._order[kept]].before if kept < start else None,
        )

    def accept(self, step: Step) -> Step | None:
        """Return the final result of a step, None if it must be replayed with plainer rows."""
        if mode := plainer_mode(self._fill_mode, step):
            self._suspect, self._fill_mode = step, mode
            return None
        final = merge_steps(self._suspect, step) if self._suspect else step
        self._suspect, self._fill_mode = None, FillMode.ALL
        self._next_index = self._order.index(step.revision) + 1
        return final

    def finish_run(self, plan: RunPlan, result: RunResult) -> Route | None:
        """Record that a run has ended; return where it was blocked if it got no further than the run before it."""
        self._is_finished = self._next_index <= len(plan.done) and self._fill_mode is plan.fill_mode
        if not self._is_finished or result.blocked_at is None:
            return None
        revision, failure = result.blocked_at
        return Route(RouteKind.UP, plan.done, 0.0, stopped=revision, failure=failure)

    def take_suspect(self) -> Step | None:
        """Return the step that its replay with plainer rows did not reach: its first result is the final one."""
        suspect, self._suspect = self._suspect, None
        if suspect:
            self._next_index = self._order.index(suspect.revision) + 1
        return suspect

    def unreached_revisions(self) -> Iterator[str]:
        """Yield the chosen revisions that no run has reached."""
        yield from (name for name in self._order[self._next_index : self._end] if name in self._chosen)
