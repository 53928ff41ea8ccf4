"""A section of a history: revisions in a row that are walked through for themselves, by as many walks as that takes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.recording.model import Route, RouteKind
from dormatory.replay.run import FillMode, RunPlan, is_doubtful, validation_failure

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dormatory.recording.model import Step
    from dormatory.replay.run import RunResult


class Segment:
    """How far the walks came, and what is to be believed of what they saw.

    `order` holds the whole history, `chosen` what of it is to make round trips; the section is what stands there from
    `first` to before `end`.
    """

    def __init__(self, order: Sequence[str], chosen: Collection[str], first: int, end: int) -> None:
        self._order, self._chosen = order, chosen
        self._first, self._end = first, end
        self._next_index = first  # behind the last step
        self._fill_mode = FillMode.ALL  # what the next revision meets
        self._suspect: Step | None = None
        self._is_finished = False

    def next_plan(self, steps: Mapping[str, Step]) -> RunPlan | None:
        """Return the next walk: all that stands in a row from the first revision that is still to be played."""
        waiting = [place for place in range(self._next_index, self._end) if self._order[place] in self._chosen]
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
        """Return what is to be believed of a step; None for a doubtful one, whose trip on milder rows has its say."""
        if self._fill_mode is FillMode.ALL and is_doubtful(step):
            self._suspect, self._fill_mode = step, FillMode.PLAUSIBLE
            return None
        if self._fill_mode is FillMode.PLAUSIBLE and validation_failure(step):
            self._suspect, self._fill_mode = step, FillMode.NONE
            return None
        found = self._merged_step(step)
        self._suspect, self._fill_mode = None, FillMode.ALL
        self._next_index = self._order.index(step.revision) + 1
        return found

    def finish_run(self, plan: RunPlan, result: RunResult) -> Route | None:
        """Take note that a walk has ended; return where it was stuck if it came no further than the one before."""
        self._is_finished = self._next_index <= len(plan.done) and self._fill_mode is plan.fill_mode
        if not self._is_finished or result.blocked_at is None:
            return None
        revision, failure = result.blocked_at
        return Route(RouteKind.UP, plan.done, 0.0, stopped=revision, failure=failure)

    def take_suspect(self) -> Step | None:
        """Return a doubtful step that no other trip could be made of."""
        suspect, self._suspect = self._suspect, None
        if suspect:
            self._next_index = self._order.index(suspect.revision) + 1
        return suspect

    def unreached(self) -> Iterator[str]:
        """Yield the revisions that no walk came to."""
        yield from (name for name in self._order[self._next_index : self._end] if name in self._chosen)

    def _merged_step(self, step: Step) -> Step:
        """Return what is to be believed of a trip that was made more than once."""
        if self._suspect is None or not step.is_clean:
            return step
        if refused := validation_failure(self._suspect):
            return replace(step, refused=refused)
        return replace(self._suspect, after=step.after, is_extreme=True)
