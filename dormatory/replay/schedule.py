"""Runs the segments of a history, in parallel if there are several, until each step has a final result."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from dormatory.replay.run import run_segment
from dormatory.replay.segment import Segment
from dormatory.runtime.scratch import run_baseline
from dormatory.runtime.worker import call_in_parallel, call_in_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from dormatory.backends.parts import ScratchMaker
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.recording.model import Route, Step
    from dormatory.replay.run import RunPlan, RunResult
    from dormatory.schema.snapshot import Snapshot

_SPLIT_FRACTION = 0.48  # of the history; the first part is the smaller one: it also makes the one run to the head


class Schedule:
    """The segments of a history, one for each maker of databases, and what their runs have recorded so far.

    `blocked` are the routes of runs that failed before their first round trip. `one_run_schema` is the structure
    after an upgrade of the whole history in one run, None if there was none.
    """

    def __init__(
        self,
        project: Project,
        makers: Sequence[ScratchMaker],
        order: Sequence[str],
        chosen: Collection[str],
        *,
        on_step: Callable[[Step], None],
        on_head: Callable[[Target], None],
    ) -> None:
        self._project, self._makers, self._order, self._chosen = project, makers, order, chosen
        self._on_step, self._on_head = on_step, on_head
        self._reported: set[str] = set()
        self.backend = self.server = ""
        middle = round(len(order) * _SPLIT_FRACTION)
        self._begin([0, middle, len(order)] if len(makers) > 1 else [0, len(order)])

    def _begin(self, bounds: Sequence[int]) -> None:
        """Forget all results, and begin with the segments between these indexes."""
        self._segments = [Segment(self._order, self._chosen, *each) for each in pairwise(bounds)]
        self.steps: dict[str, Step] = {}
        self.routes: list[Route] = []
        self.blocked: list[Route] = []
        self.one_run_schema: Snapshot | None = None
        self.unfilled: dict[str, str] = {}

    def run(self) -> None:
        """Run the segments until no further run would add a step."""
        while plans := self._next_plans():
            results = self._run(plans)
            blocked = (self._segments[at].finish_run(plan, results[at]) for at, plan in plans.items())
            self.blocked += filter(None, blocked)
            # What cannot be applied to the empty tables in front of one segment may need the rows of the other.
            if any(self._is_applied_elsewhere(route.stopped) for route in self.blocked):
                self._begin([0, len(self._order)])
        for step in filter(None, [segment.take_suspect() for segment in self._segments]):
            self._accept(step)
        self.blocked = [route for route in self.blocked if route.stopped not in self.steps]

    @property
    def unreached_revisions(self) -> tuple[str, ...]:
        """The chosen revisions that no run has reached."""
        return tuple(name for segment in self._segments for name in segment.unreached_revisions())

    @property
    def head_schema(self) -> Snapshot | None:
        """The structure to which the steps lead, None if they do not reach the head."""
        last = self.steps.get(self._order[-1]) if self._order else None
        return last.after if last else None

    def _next_plans(self) -> dict[int, RunPlan]:
        plans = ((at, segment.next_plan(self.steps)) for at, segment in enumerate(self._segments))
        return {at: plan for at, plan in plans if plan}

    def _is_applied_elsewhere(self, revision: str) -> bool:
        return len(self._segments) > 1 and revision in self.steps and self.steps[revision].after is not None

    def _run(self, plans: dict[int, RunPlan]) -> dict[int, RunResult]:
        """Run segments on fresh databases, in parallel if there are several."""
        with ExitStack() as stack:
            targets: dict[int, Target] = {}

            def worker_arguments(at: int) -> tuple[Project, Target, RunPlan]:
                targets[at] = stack.enter_context(self._makers[at]())
                run_baseline(self._project, targets[at])
                self.backend = targets[at].backend_name
                return self._project, targets[at], plans[at]

            if len(plans) == 1:
                (at,) = plans
                on_message = partial(self._receive_step, at)
                results = {at: call_in_worker(self._project, run_segment, *worker_arguments(at), on_message=on_message)}
            else:
                results = call_in_parallel(self._project, plans, worker_arguments, run_segment, self._receive_step)
            for at, result in results.items():
                self._collect(result, targets[at])
        return results

    def _receive_step(self, at: int, step: Step) -> None:
        if final := self._segments[at].accept(step):
            self._accept(final)

    def _accept(self, step: Step) -> None:
        self.steps[step.revision] = step
        if step.revision not in self._reported:
            self._reported.add(step.revision)
            self._on_step(step)

    def _collect(self, result: RunResult, target: Target) -> None:
        """Keep what a run recorded apart from its steps, and call `on_head` while its database at the head exists."""
        self.server = result.server
        self.unfilled |= dict(result.unfilled)
        self.routes += result.routes
        if result.one_run_schema:
            self.one_run_schema = result.one_run_schema
            self._on_head(target)
