"""The routes that remain after every step was played: the whole history in one run, and branches in another order."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from dormatory.project.branch_orders import branch_regions
from dormatory.recording.model import RouteKind
from dormatory.replay.routes import replay_other_order, upgrade_fresh_database
from dormatory.runtime.scratch import run_baseline
from dormatory.runtime.worker import call_in_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dormatory.backends.parts import ScratchMaker
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.project.script import Revision
    from dormatory.recording.model import Route, Step
    from dormatory.replay.schedule import Schedule

_MAX_BRANCH_ORDERS = 24  # each is a run of its own from the empty database


def play_remaining_routes(
    project: Project,
    maker: ScratchMaker,
    revisions: Sequence[Revision],
    played: Schedule,
    on_head: Callable[[Target], None],
) -> Iterator[Route]:
    """Yield one run to the head, unless a segment has recorded one, and then the other orders of branches."""

    def play(function: Callable[..., Route], *arguments: object) -> Route:
        with maker() as target:
            run_baseline(project, target)
            route = call_in_worker(project, function, project, target, *arguments)
            if route.kind is RouteKind.UP and not route.failure:
                on_head(target)
            return route

    if (head := played.head_schema) and not any(route.kind is RouteKind.UP for route in played.routes):
        yield play(upgrade_fresh_database, head)
    for arguments in islice(_other_orders(revisions, played.steps), _MAX_BRANCH_ORDERS):
        yield play(replay_other_order, *arguments)


def _other_orders(revisions: Sequence[Revision], steps: Mapping[str, Step]) -> Iterator[tuple[object, ...]]:
    """Yield arguments of `replay_other_order`: the revisions below a region, another order, the schemas around it."""
    for region in branch_regions(revisions):
        played = [steps[name] for name in region.usual_order if name in steps]
        if len(played) == len(region.usual_order) and all(step.after for step in played):
            lowest_schema = played[0].before if all(step.has_clean_downgrade for step in played) else None
            done = tuple(revision.id for revision in revisions[: region.start])
            for order in region.other_orders:
                yield done, order, (lowest_schema, played[-1].after)
