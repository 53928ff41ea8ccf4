"""Plays a whole history on scratch databases: each revision up, down and up again, then every other way through it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial
from itertools import islice
from typing import TYPE_CHECKING

from dormatory.project.branch_orders import regions
from dormatory.project.history import History
from dormatory.recording.model import Course, Passage, Recording, Step
from dormatory.replay.routes import fresh_run, other_order
from dormatory.replay.run import walk
from dormatory.replay.segment import Section
from dormatory.runtime.scratch import prepare
from dormatory.runtime.worker import isolated, side_by_side
from dormatory.schema.diff import diff

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from contextlib import AbstractContextManager

    from dormatory.backends.url import Target
    from dormatory.project.history import Revision
    from dormatory.project.project import Project
    from dormatory.replay.run import Plan, Walked
    from dormatory.runtime.scratch import Scratch
    from dormatory.schema.snapshot import Snapshot

_MOST_ORDERS = 24  # each is a walk of its own from the empty database
_LONG = 100  # revisions, from which on to begin in the middle costs less than it saves
_MIDDLE = 0.48  # of the history; its first part is also the one that makes the one run, behind its way down


def play(
    project: Project,
    maker: Scratch,
    on_step: Callable[[Step], None] = lambda _: None,
    *,
    only: Collection[str] | None = None,
    on_head: Callable[[Target], None] = lambda _: None,
    beside: Callable[[], AbstractContextManager[Scratch]] | None = None,
) -> Recording:
    """Play the history from an empty database and return what happened; `on_step` hears of each step at once.

    `on_head` may look at the database that one run of the whole history has just brought to its head; a play may not
    come to that. `only` names the revisions to make a round trip of; what they build on is applied straight. A revision
    that fails does not hide the rest: the walk goes on behind it on a fresh database, where it is applied to empty
    tables. Only what fails on those, too, leaves the revisions behind it unreached.

    With `beside`, a second place for databases that shares nothing with the first, the halves of a long history are
    walked at the same time; the second one is reached with empty tables, but for the rows that the project brings.
    """
    with ExitStack() as stack:
        return _Play(project, maker, on_step, only, on_head).recording(beside, stack)


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
        self.project, self.makers, self.on_step, self.on_head = project, [maker], on_step, on_head
        history = History.read(project)
        self._chosen = {item.id for item in history.revisions} if only is None else set(only)
        self._revisions = _chosen_last(history, self._chosen)
        self._order = [item.id for item in self._revisions]
        self._sections = [Section(self._order, self._chosen, 0, len(self._order))]
        self._steps: dict[str, Step] = {}
        self._told: set[str] = set()
        self._passages: list[Passage] = []
        self._arrived: Snapshot | None = None  # where one run came
        self._unfilled: dict[str, str] = {}
        self._server = self._backend = ""

    def recording(self, beside: Callable[[], AbstractContextManager[Scratch]] | None, stack: ExitStack) -> Recording:
        """Play, and return the recording."""
        if beside and len(self._order) >= _LONG and self._chosen.issuperset(self._order):
            other = cache(lambda: stack.enter_context(beside()))

            def late() -> AbstractContextManager[Target]:  # a server starts while the processes load
                return other()()

            self.makers.append(late)
            middle = round(len(self._order) * _MIDDLE)
            bounds = ((0, middle), (middle, len(self._order)))
            self._sections = [Section(self._order, self._chosen, *each) for each in bounds]
        stuck: list[Passage] = []
        while plans := {at: plan for at, section in enumerate(self._sections) if (plan := section.plan(self._steps))}:
            walks = self._walks(plans)
            stuck += filter(None, [self._sections[at].ended(plan, walks[at]) for at, plan in plans.items()])
            if any(self._is_passed(passage.stopped) for passage in stuck):  # with rows, as it is not without
                self._begin_again()
                stuck = []
        for step in filter(None, [section.last() for section in self._sections]):  # not to be had again
            self._accept(step)
        unreached = tuple(name for section in self._sections for name in section.unreached())
        passages = [*self._compared(), *(it for it in stuck if it.stopped not in self._steps)]
        if self._steps and not unreached:
            passages += self._other_ways()
        steps = tuple(self._steps[name] for name in self._order if name in self._steps)
        unfilled = tuple(sorted(self._unfilled.items()))
        return Recording(self._backend, self._server, steps, tuple(passages), unreached, unfilled)

    def _is_passed(self, revision: str) -> bool:
        return len(self._sections) > 1 and revision in self._steps and self._steps[revision].after is not None

    def _begin_again(self) -> None:
        """Forget everything, and walk through the history as a whole: its other half was out of reach."""
        self._sections = [Section(self._order, self._chosen, 0, len(self._order))]
        self._steps, self._passages, self._arrived, self._unfilled = {}, [], None, {}

    def _walks(self, plans: dict[int, Plan]) -> dict[int, Walked]:
        """Walk on fresh databases, at the same time where there are several."""
        with ExitStack() as stack:
            targets: dict[int, Target] = {}

            def ready(at: int) -> tuple[Project, Target, Plan]:
                targets[at] = stack.enter_context(self.makers[at]())
                prepare(self.project, targets[at])
                self._backend = targets[at].backend_name
                return self.project, targets[at], plans[at]

            if len(plans) == 1:
                (at,) = plans
                walks = {at: isolated(self.project, walk, *ready(at), hear=partial(self._keep, at))}
            else:
                walks = side_by_side(self.project, plans, ready, walk, self._keep)
            for at, walked in walks.items():
                self._take(walked, targets[at])
        return walks

    def _take(self, walked: Walked, target: Target) -> None:
        """Keep what a walk saw besides its steps, while its database is still there."""
        self._server = walked.server
        self._unfilled |= dict(walked.unfilled)
        self._passages += walked.passages
        self._arrived = walked.arrived or self._arrived
        if walked.arrived:
            self.on_head(target)

    def _keep(self, at: int, step: Step) -> None:
        if found := self._sections[at].believed(step):
            self._accept(found)

    def _accept(self, step: Step) -> None:
        self._steps[step.revision] = step
        if step.revision not in self._told:
            self._told.add(step.revision)
            self.on_step(step)

    def _head(self) -> Snapshot | None:
        """Return the structure to which the steps lead, None where they do not get there."""
        last = self._steps.get(self._order[-1]) if self._order else None
        return last.after if last else None

    def _compared(self) -> Iterator[Passage]:
        """Yield the ways that walks went besides their steps, and what differs where one run to the head came."""
        head = self._head()
        for passage in self._passages:
            if passage.course is not Course.UP:
                yield passage
            elif head:  # else the steps say what is wrong
                yield replace(passage, trace=diff(head, self._arrived)) if self._arrived else passage

    def _other_ways(self) -> Iterator[Passage]:
        """Yield one run to the head, unless a walk has made it, and the other orders of branches."""
        if (head := self._head()) and not any(passage.course is Course.UP for passage in self._passages):
            yield self._passage(fresh_run, head)
        yield from islice(self._reordered(), _MOST_ORDERS)

    def _reordered(self) -> Iterator[Passage]:
        for region in regions(self._revisions):
            played = [self._steps[name] for name in region.usual if name in self._steps]
            if len(played) == len(region.usual) and all(step.after for step in played):
                floor = played[0].before if all(step.has_way_back for step in played) else None
                ends = floor, played[-1].after
                done = tuple(self._order[: region.start])
                for order in region.others:
                    yield self._passage(other_order, done, order, ends)

    def _passage(self, function: Callable[..., Passage], *arguments: object) -> Passage:
        with self.makers[0]() as target:
            prepare(self.project, target)
            passage = isolated(self.project, function, self.project, target, *arguments)
            if passage.course is Course.UP and not passage.failure:
                self.on_head(target)
            return passage


def _chosen_last(history: History, chosen: set[str]) -> tuple[Revision, ...]:
    """Return the revisions with the chosen ones last, where nothing else builds on those; otherwise as they stand."""
    first = [item for item in history.revisions if item.id not in chosen]
    if any(chosen & {*item.parents, *item.depends_on} for item in first):
        return history.revisions
    return (*first, *(item for item in history.revisions if item.id in chosen))
