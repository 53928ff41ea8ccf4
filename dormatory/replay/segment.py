"""A section of a history: revisions in a row that are walked through for themselves, by as many walks as that takes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.recording.model import Course, Passage
from dormatory.replay.run import Plan, Rows, is_doubtful, validates

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dormatory.recording.model import Step
    from dormatory.replay.run import Walked


class Section:
    """How far the walks came, and what is to be believed of what they saw.

    `order` holds the whole history, `chosen` what of it is to make round trips; the section is what stands there from
    `first` to before `end`.
    """

    def __init__(self, order: Sequence[str], chosen: Collection[str], first: int, end: int) -> None:
        self._order, self._chosen = order, chosen
        self._first, self._end = first, end
        self._place = first  # behind the last step
        self._rows = Rows.ALL  # what the next revision meets
        self._suspect: Step | None = None
        self._is_over = False

    def plan(self, steps: Mapping[str, Step]) -> Plan | None:
        """Return the next walk: all that stands in a row from the first revision that is still to be played."""
        waiting = [place for place in range(self._place, self._end) if self._order[place] in self._chosen]
        if not waiting or self._is_over:
            return None
        start = end = waiting[0]
        while end < self._end and self._order[end] in self._chosen:
            end += 1
        kept = start
        while kept > self._first and (step := steps.get(self._order[kept - 1])) and step.has_way_back:
            kept -= 1
        return Plan(
            done=tuple(self._order[:start]),
            played=tuple(self._order[start:end]),
            rows=self._rows,
            to_end=end == self._end,
            kept=kept,
            floor=steps[self._order[kept]].before if kept < start else None,
        )

    def believed(self, step: Step) -> Step | None:
        """Return what is to be believed of a step; None for a doubtful one, whose trip on milder rows has its say."""
        if self._rows is Rows.ALL and is_doubtful(step):
            self._suspect, self._rows = step, Rows.PLAUSIBLE
            return None
        if self._rows is Rows.PLAUSIBLE and validates(step):
            self._suspect, self._rows = step, Rows.NONE
            return None
        found = self._settled(step)
        self._suspect, self._rows = None, Rows.ALL
        self._place = self._order.index(step.revision) + 1
        return found

    def ended(self, plan: Plan, walked: Walked) -> Passage | None:
        """Take note that a walk has ended; return where it was stuck if it came no further than the one before."""
        self._is_over = self._place <= len(plan.done) and self._rows is plan.rows
        if not self._is_over or walked.stuck is None:
            return None
        revision, failure = walked.stuck
        return Passage(Course.UP, plan.done, 0.0, stopped=revision, failure=failure)

    def last(self) -> Step | None:
        """Return a doubtful step that no other trip could be made of."""
        suspect, self._suspect = self._suspect, None
        if suspect:
            self._place = self._order.index(suspect.revision) + 1
        return suspect

    def unreached(self) -> Iterator[str]:
        """Yield the revisions that no walk came to."""
        yield from (name for name in self._order[self._place : self._end] if name in self._chosen)

    def _settled(self, step: Step) -> Step:
        """Return what is to be believed of a trip that was made more than once."""
        if self._suspect is None or not step.is_clean:
            return step
        if refused := validates(self._suspect):
            return replace(step, refused=refused)
        return replace(self._suspect, after=step.after, is_extreme=True)
