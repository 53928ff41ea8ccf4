"""Runs the segments of a history, in parallel if there are several, until each step has a final result."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING

from dormatory.replay.segment import Segment, play_segment
from dormatory.runtime.scratch import run_baseline
from dormatory.runtime.worker import call_in_parallel, call_in_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from dormatory.backends.parts import ScratchMaker
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.recording.model import Route, Step
    from dormatory.schema.snapshot import Snapshot

_SPLIT_FRACTION = 0.48  # of the history; the first part is the smaller one: it also makes the one run to the head


class Schedule:
    """The segments of a history, one for each maker of databases, and what they have recorded so far."""

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
        self.backend = ""
        middle = round(len(order) * _SPLIT_FRACTION)
        self._begin([0, middle, len(order)] if len(makers) > 1 else [0, len(order)])

    def _begin(self, bounds: Sequence[int]) -> None:
        """Forget all results, and begin with the segments between these indexes."""
        self._segments = [Segment(self._order, self._chosen, *each) for each in pairwise(bounds)]

    def run(self) -> None:
        """Play the segments until no further run would add a step."""
        while waiting := [at for at, segment in enumerate(self._segments) if segment.next_plan()]:
            self._play(waiting)
            # What cannot be applied to the empty tables in front of one segment may need the rows of the other.
            steps, is_split = self.steps, len(self._segments) > 1
            stopped = (segment.blocked.stopped for segment in self._segments if segment.blocked)
            if is_split and any(steps[name].after is not None for name in stopped if name in steps):
                self._begin([0, len(self._order)])

    @property
    def steps(self) -> dict[str, Step]:
        """The final result of each revision that was reached."""
        return {name: step for segment in self._segments for name, step in segment.steps.items()}

    @property
    def routes(self) -> list[Route]:
        """The routes at the end of the segments."""
        return [route for segment in self._segments for route in segment.routes]

    @property
    def blocked(self) -> list[Route]:
        """The routes of runs that failed before their first round trip, at a revision that has no result of its own."""
        steps = self.steps
        return [it.blocked for it in self._segments if it.blocked and it.blocked.stopped not in steps]

    @property
    def one_run_schema(self) -> Snapshot | None:
        """The structure after an upgrade of the whole history in one run, None if there was none."""
        return next((it.one_run_schema for it in self._segments if it.one_run_schema), None)

    @property
    def server(self) -> str:
        """The server's name and version."""
        return self._segments[-1].server

    @property
    def env_pass(self) -> tuple[str, int]:
        """The version table of the pass of env.py that was played, and how many passes there are."""
        return self._segments[-1].env_pass

    @property
    def most_passes(self) -> int:
        """How many passes env.py ever made in one run."""
        return max(segment.most_passes for segment in self._segments)

    @property
    def empty_tables_of_env(self) -> tuple[str, ...]:
        """The tables that env.py itself reads from, if they never had rows."""
        reads = [item for segment in self._segments for item in segment.env_reads.items()]
        return tuple(sorted({name for name, _ in reads} - {name for name, has_rows in reads if has_rows}))

    @property
    def unfilled(self) -> dict[str, str]:
        """The tables that could not be filled, each with the reason."""
        return {table: reason for segment in self._segments for table, reason in segment.unfilled.items()}

    @property
    def unreached_revisions(self) -> tuple[str, ...]:
        """The chosen revisions that no run has reached."""
        return tuple(name for segment in self._segments for name in segment.unreached_revisions())

    @property
    def head_schema(self) -> Snapshot | None:
        """The structure to which the steps lead, None if they do not reach the head."""
        last = self.steps.get(self._order[-1]) if self._order else None
        return last.after if last else None

    def _play(self, waiting: Sequence[int]) -> None:
        """Play segments on fresh databases, in parallel if there are several, each as far as its process gets."""
        with ExitStack() as stack:
            targets: dict[int, Target] = {}

            def worker_arguments(at: int) -> tuple[Project, Target, Segment]:
                targets[at] = stack.enter_context(self._makers[at]())
                run_baseline(self._project, targets[at])
                self.backend = targets[at].backend_name
                return self._project, targets[at], self._segments[at]

            if len(waiting) == 1:
                (at,) = waiting
                arguments = worker_arguments(at)
                results = {at: call_in_worker(self._project, play_segment, *arguments, on_message=self._report)}
            else:
                results = call_in_parallel(
                    self._project, waiting, worker_arguments, play_segment, lambda _, step: self._report(step)
                )
            for at, segment in results.items():
                self._segments[at] = segment
                if segment.one_run_schema:
                    self._on_head(targets[at])

    def _report(self, step: Step) -> None:
        if step.revision not in self._reported:
            self._reported.add(step.revision)
            self._on_step(step)
