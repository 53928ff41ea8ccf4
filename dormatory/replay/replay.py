"""Plays a whole history on scratch databases: each revision up, down and up again, then every other way through it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial
from itertools import islice
from typing import TYPE_CHECKING

from dormatory.project.branch_orders import branch_regions
from dormatory.project.history import History
from dormatory.recording.model import Recording, Route, RouteKind, Step
from dormatory.replay.routes import replay_other_order, upgrade_fresh_database
from dormatory.replay.run import run_segment
from dormatory.replay.segment import Segment
from dormatory.runtime.scratch import run_baseline
from dormatory.runtime.worker import call_in_parallel, call_in_worker
from dormatory.schema.diff import diff

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from contextlib import AbstractContextManager

    from dormatory.backends.base import ScratchMaker
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.project.script import Revision
    from dormatory.replay.run import RunPlan, RunResult
    from dormatory.schema.snapshot import Snapshot

_MAX_BRANCH_ORDERS = 24  # each is a walk of its own from the empty database
_MIN_REVISIONS_TO_SPLIT = 100  # revisions, from which on to begin in the middle costs less than it saves
_SPLIT_FRACTION = 0.48  # of the history; its first part is also the one that makes the one run, behind its way down


def replay_history(
    project: Project,
    maker: ScratchMaker,
    on_step: Callable[[Step], None] = lambda _: None,
    *,
    history: History | None = None,
    only: Collection[str] | None = None,
    on_head: Callable[[Target], None] = lambda _: None,
    second_databases: Callable[[], AbstractContextManager[ScratchMaker]] | None = None,
) -> Recording:
    """Play the history from an empty database and return what happened; `on_step` hears of each step at once.

    A `history` that was read before is not read again. `on_head` may look at the database that one run of the whole
    history has just brought to its head; a play may not come to that. `only` names the revisions to make a round
    trip of; what they build on is applied straight. A revision that fails does not hide the rest: the walk goes on
    behind it on a fresh database, where it is applied to empty tables. Only what fails on those, too, leaves the
    revisions behind it unreached.

    With `beside`, a second place for databases that shares nothing with the first, the halves of a long history are
    walked at the same time; the second one is reached with empty tables, but for the rows that the project brings.
    """
    with ExitStack() as stack:
        replay = _Replay(project, history or History.read(project), maker, on_step=on_step, only=only, on_head=on_head)
        return replay.run(second_databases, stack)


class _Replay:
    """A play under way: how far it came, and what it has seen."""

    def __init__(
        self,
        project: Project,
        history: History,
        maker: ScratchMaker,
        *,
        on_step: Callable[[Step], None],
        only: Collection[str] | None,
        on_head: Callable[[Target], None],
    ) -> None:
        self.project, self.makers, self.on_step, self.on_head = project, [maker], on_step, on_head
        self._chosen = {item.id for item in history.revisions} if only is None else set(only)
        self._revisions = _chosen_last(history, self._chosen)
        self._order = [item.id for item in self._revisions]
        self._segments = [Segment(self._order, self._chosen, 0, len(self._order))]
        self._steps: dict[str, Step] = {}
        self._reported: set[str] = set()
        self._routes: list[Route] = []
        self._one_run_schema: Snapshot | None = None  # where one run came
        self._unfilled: dict[str, str] = {}
        self._server = self._backend = ""

    def run(
        self, second_databases: Callable[[], AbstractContextManager[ScratchMaker]] | None, stack: ExitStack
    ) -> Recording:
        """Play, and return the recording."""
        if second_databases and len(self._order) >= _MIN_REVISIONS_TO_SPLIT and self._chosen.issuperset(self._order):
            open_second = cache(lambda: stack.enter_context(second_databases()))

            def second_maker() -> AbstractContextManager[Target]:  # a server starts while the processes load
                return open_second()()

            self.makers.append(second_maker)
            middle = round(len(self._order) * _SPLIT_FRACTION)
            bounds = ((0, middle), (middle, len(self._order)))
            self._segments = [Segment(self._order, self._chosen, *each) for each in bounds]
        stuck: list[Route] = []
        while plans := {
            at: plan for at, section in enumerate(self._segments) if (plan := section.next_plan(self._steps))
        }:
            results = self._run_segments(plans)
            stuck += filter(None, [self._segments[at].finish_run(plan, results[at]) for at, plan in plans.items()])
            if any(self._is_applied_elsewhere(route.stopped) for route in stuck):  # with rows, as it is not without
                self._restart_as_one_segment()
                stuck = []
        for step in filter(None, [section.take_suspect() for section in self._segments]):  # not to be had again
            self._accept(step)
        unreached = tuple(name for section in self._segments for name in section.unreached())
        routes = [*self._compared_routes(), *(it for it in stuck if it.stopped not in self._steps)]
        if self._steps and not unreached:
            routes += self._other_routes()
        steps = tuple(self._steps[name] for name in self._order if name in self._steps)
        unfilled = tuple(sorted(self._unfilled.items()))
        return Recording(self._backend, self._server, steps, tuple(routes), unreached, unfilled)

    def _is_applied_elsewhere(self, revision: str) -> bool:
        return len(self._segments) > 1 and revision in self._steps and self._steps[revision].after is not None

    def _restart_as_one_segment(self) -> None:
        """Forget everything, and walk through the history as a whole: its other half was out of reach."""
        self._segments = [Segment(self._order, self._chosen, 0, len(self._order))]
        self._steps, self._routes, self._one_run_schema, self._unfilled = {}, [], None, {}

    def _run_segments(self, plans: dict[int, RunPlan]) -> dict[int, RunResult]:
        """Walk on fresh databases, at the same time where there are several."""
        with ExitStack() as stack:
            targets: dict[int, Target] = {}

            def worker_arguments(at: int) -> tuple[Project, Target, RunPlan]:
                targets[at] = stack.enter_context(self.makers[at]())
                run_baseline(self.project, targets[at])
                self._backend = targets[at].backend_name
                return self.project, targets[at], plans[at]

            if len(plans) == 1:
                (at,) = plans
                results = {
                    at: call_in_worker(
                        self.project, run_segment, *worker_arguments(at), on_message=partial(self._receive_step, at)
                    )
                }
            else:
                results = call_in_parallel(self.project, plans, worker_arguments, run_segment, self._receive_step)
            for at, walked in results.items():
                self._collect_result(walked, targets[at])
        return results

    def _collect_result(self, result: RunResult, target: Target) -> None:
        """Keep what a walk saw besides its steps, while its database is still there."""
        self._server = result.server
        self._unfilled |= dict(result.unfilled)
        self._routes += result.routes
        self._one_run_schema = result.one_run_schema or self._one_run_schema
        if result.one_run_schema:
            self.on_head(target)

    def _receive_step(self, at: int, step: Step) -> None:
        if found := self._segments[at].accept(step):
            self._accept(found)

    def _accept(self, step: Step) -> None:
        self._steps[step.revision] = step
        if step.revision not in self._reported:
            self._reported.add(step.revision)
            self.on_step(step)

    def _head_schema(self) -> Snapshot | None:
        """Return the structure to which the steps lead, None where they do not get there."""
        last = self._steps.get(self._order[-1]) if self._order else None
        return last.after if last else None

    def _compared_routes(self) -> Iterator[Route]:
        """Yield the ways that walks went besides their steps, and what differs where one run to the head came."""
        head = self._head_schema()
        for route in self._routes:
            if route.kind is not RouteKind.UP:
                yield route
            elif head:  # else the steps say what is wrong
                yield replace(route, trace=diff(head, self._one_run_schema)) if self._one_run_schema else route

    def _other_routes(self) -> Iterator[Route]:
        """Yield one run to the head, unless a walk has made it, and the other orders of branches."""
        if (head := self._head_schema()) and not any(route.kind is RouteKind.UP for route in self._routes):
            yield self._run_route(upgrade_fresh_database, head)
        yield from islice(self._branch_order_routes(), _MAX_BRANCH_ORDERS)

    def _branch_order_routes(self) -> Iterator[Route]:
        for region in branch_regions(self._revisions):
            played = [self._steps[name] for name in region.usual_order if name in self._steps]
            if len(played) == len(region.usual_order) and all(step.after for step in played):
                lowest_schema = played[0].before if all(step.has_clean_downgrade for step in played) else None
                ends = lowest_schema, played[-1].after
                done = tuple(self._order[: region.start])
                for order in region.other_orders:
                    yield self._run_route(replay_other_order, done, order, ends)

    def _run_route(self, function: Callable[..., Route], *arguments: object) -> Route:
        with self.makers[0]() as target:
            run_baseline(self.project, target)
            route = call_in_worker(self.project, function, self.project, target, *arguments)
            if route.kind is RouteKind.UP and not route.failure:
                self.on_head(target)
            return route


def _chosen_last(history: History, chosen: set[str]) -> tuple[Revision, ...]:
    """Return the revisions with the chosen ones last, where nothing else builds on those; otherwise as they stand."""
    first = [item for item in history.revisions if item.id not in chosen]
    if any(chosen & {*item.parents, *item.depends_on} for item in first):
        return history.revisions
    return (*first, *(item for item in history.revisions if item.id in chosen))
