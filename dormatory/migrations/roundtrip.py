"""Plays a whole history on scratch databases: each revision up, down and up again, then every other way through it."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from dormatory.migrations.history import History
from dormatory.migrations.isolation import isolated
from dormatory.migrations.orders import regions
from dormatory.migrations.passages import fresh_run, other_order
from dormatory.migrations.recording import Course, Direction, Passage, Recording, Step
from dormatory.migrations.scratch import prepare
from dormatory.migrations.walk import Plan, Rows, is_doubtful, validates, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from dormatory.database.url import Target
    from dormatory.migrations.history import Revision
    from dormatory.migrations.project import Project
    from dormatory.migrations.scratch import Scratch

_MOST_ORDERS = 24  # each is a walk of its own from the empty database


def play(
    project: Project,
    maker: Scratch,
    on_step: Callable[[Step], None] = lambda _: None,
    *,
    only: Collection[str] | None = None,
    on_head: Callable[[Target], None] = lambda _: None,
) -> Recording:
    """Play the history from an empty database and return what happened; `on_step` hears of each step at once.

    `on_head` may look at the database that one run of the whole history has just brought to its head; a play may not
    come to that. `only` names the revisions to make a round trip of; what they build on is applied straight. A revision
    that fails does not hide the rest: the walk goes on behind it on a fresh database, where it is applied to empty
    tables. Only what fails on those, too, leaves the revisions behind it unreached.
    """
    return _Play(project, maker, on_step, only, on_head).recording()


class _Play:
    """A play under way: how far it came, and what it has seen."""

    def __init__(
        self,
        project: Project,
        maker: Scratch,
        on_step: Callable[[Step], None],
        only: Collection[str] | None,
        on_head: Callable[[Target], None],
    ) -> None:
        self.project, self.maker, self.on_step, self.on_head = project, maker, on_step, on_head
        history = History.read(project)
        self._chosen = {item.id for item in history.revisions} if only is None else set(only)
        self._revisions = _chosen_last(history, self._chosen)
        self._order = [item.id for item in self._revisions]
        self._place = 0  # in the order, behind the last step
        self._steps: dict[str, Step] = {}
        self._passages: list[Passage] = []
        self._suspect: Step | None = None
        self._rows = Rows.ALL  # what the next revision meets
        self._unfilled: dict[str, str] = {}
        self._server = self._backend = ""

    def recording(self) -> Recording:
        """Play, and return the recording."""
        while plan := self._plan():
            before = self._place, self._rows
            stuck = self._walk(plan)
            if (self._place, self._rows) == before:
                if stuck and stuck.stopped not in self._steps:
                    self._passages.append(stuck)
                break
        if self._suspect:  # not to be had again
            self._accept(self._suspect)
        unreached = tuple(name for name in self._order[self._place :] if name in self._chosen)
        if self._steps and not unreached:
            self._passages += self._other_ways()
        steps, unfilled = tuple(self._steps.values()), tuple(sorted(self._unfilled.items()))
        return Recording(self._backend, self._server, steps, tuple(self._passages), unreached, unfilled)

    def _plan(self) -> Plan | None:
        """Return the next walk: all that stands in a row from the first revision that is still to be played."""
        waiting = [place for place in range(self._place, len(self._order)) if self._order[place] in self._chosen]
        if not waiting:
            return None
        start = end = waiting[0]
        while end < len(self._order) and self._order[end] in self._chosen:
            end += 1
        kept = start
        while kept and (step := self._steps.get(self._order[kept - 1])) and _has_way_back(step):
            kept -= 1
        return Plan(
            done=tuple(self._order[:start]),
            played=tuple(self._order[start:end]),
            rows=self._rows,
            to_head=end == len(self._order),
            kept=kept,
            floor=self._steps[self._order[kept]].before if kept < start else None,
        )

    def _walk(self, plan: Plan) -> Passage | None:
        """Walk on a fresh database; return where it was stuck, if it was, before its first trip."""
        with self.maker() as target:
            prepare(self.project, target)
            self._backend = target.backend_name
            walked = isolated(self.project, walk, self.project, target, plan, hear=self._keep)
            self._arrived(target, *walked.passages[-1:])
        self._server = walked.server
        self._unfilled |= dict(walked.unfilled)
        self._passages += walked.passages
        if walked.stuck is None:
            return None
        revision, failure = walked.stuck
        return Passage(Course.UP, plan.done, 0.0, stopped=revision, failure=failure)

    def _keep(self, step: Step) -> None:
        """Keep a step; one that is doubtful only when the same trip on milder rows has had its say."""
        if self._rows is Rows.ALL and is_doubtful(step):
            self._suspect, self._rows = step, Rows.PLAUSIBLE
        elif self._rows is Rows.PLAUSIBLE and validates(step):
            self._suspect, self._rows = step, Rows.NONE
        else:
            self._accept(self._settled(step))

    def _settled(self, step: Step) -> Step:
        """Return what is to be believed of a trip that was made more than once."""
        if self._suspect is None or not step.is_clean:
            return step
        if self._rows is Rows.NONE:
            return replace(step, refused=validates(self._suspect))
        return replace(self._suspect, after=step.after, is_extreme=True)

    def _accept(self, step: Step) -> None:
        self._suspect, self._rows = None, Rows.ALL
        self._steps[step.revision] = step
        self._place = self._order.index(step.revision) + 1
        self.on_step(step)

    def _other_ways(self) -> Iterator[Passage]:
        """Yield one run to the head, unless a walk has made it, and the other orders of branches."""
        if self._place == len(self._order) and not any(passage.course is Course.UP for passage in self._passages):
            head = self._steps[self._order[-1]].after
            if head is not None:
                yield self._passage(fresh_run, head)
        yield from islice(self._reordered(), _MOST_ORDERS)

    def _reordered(self) -> Iterator[Passage]:
        for region in regions(self._revisions):
            played = [self._steps[name] for name in region.usual if name in self._steps]
            if len(played) == len(region.usual) and all(step.after for step in played):
                floor = played[0].before if all(_has_way_back(step) for step in played) else None
                ends = floor, played[-1].after
                done = tuple(self._order[: region.start])
                for order in region.others:
                    yield self._passage(other_order, done, order, ends)

    def _passage(self, function: Callable[..., Passage], *arguments: object) -> Passage:
        with self.maker() as target:
            prepare(self.project, target)
            passage = isolated(self.project, function, self.project, target, *arguments)
            self._arrived(target, passage)
            return passage

    def _arrived(self, target: Target, *passages: Passage) -> None:
        """Show a database to which the whole history was applied in one run."""
        if any(passage.course is Course.UP and passage.is_clean for passage in passages):
            self.on_head(target)


def _has_way_back(step: Step) -> bool:
    return any(leg.direction is Direction.DOWNGRADE and leg.is_clean for leg in step.legs)


def _chosen_last(history: History, chosen: set[str]) -> tuple[Revision, ...]:
    """Return the revisions with the chosen ones last, where nothing else builds on those; otherwise as they stand."""
    first = [item for item in history.revisions if item.id not in chosen]
    if any(chosen & {*item.parents, *item.depends_on} for item in first):
        return history.revisions
    return (*first, *(item for item in history.revisions if item.id in chosen))
