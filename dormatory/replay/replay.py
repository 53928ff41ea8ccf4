"""Plays a whole history on scratch databases: each revision up, down and up again, then all other routes."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from dormatory.project.history import History
from dormatory.recording.model import Recording, RouteKind, Step
from dormatory.replay.remaining_routes import play_remaining_routes
from dormatory.replay.schedule import Schedule
from dormatory.schema.diff import diff

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from contextlib import AbstractContextManager

    from dormatory.backends.parts import ScratchMaker
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.project.script import Revision
    from dormatory.recording.model import Route

_MIN_REVISIONS_TO_SPLIT = 100  # in shorter histories, starting in the middle costs more time than it saves


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
    """Play the history from an empty database and return what happened; `on_step` receives each step at once.

    `history` is not read again if it is given. `on_head` receives a database that one run of the whole history has
    just upgraded to its head; some replays have no such run. `only` names the revisions to make a round trip of; the
    revisions below them are only applied. A revision that fails does not hide the rest: the replay goes on after it on
    a fresh database, where it is applied to empty tables. Only if it fails on those, too, the revisions after it are
    unreached.

    `second_databases` opens another maker of databases that shares nothing with the first. With it, the halves of a
    long history are played at the same time; the second half begins with empty tables, except for the project's own
    rows.
    """
    history = history or History.read(project)
    chosen = {item.id for item in history.revisions} if only is None else set(only)
    revisions = _chosen_last(history, chosen)
    order = [item.id for item in revisions]
    makers = [maker]
    with ExitStack() as stack:
        if second_databases and len(order) >= _MIN_REVISIONS_TO_SPLIT and chosen.issuperset(order):
            makers.append(_open_when_used(second_databases, stack))
        played = Schedule(project, makers, order, chosen, on_step=on_step, on_head=on_head)
        played.run()
        routes = [*_compared_routes(played), *played.blocked]
        if played.steps and not played.unreached_revisions:
            routes += play_remaining_routes(project, maker, revisions, played, on_head)
    steps = tuple(played.steps[name] for name in order if name in played.steps)
    unfilled = tuple(sorted(played.unfilled.items()))
    return Recording(
        played.backend,
        played.server,
        steps,
        tuple(routes),
        played.unreached_revisions,
        unfilled,
        *played.env_pass,
        most_passes=played.most_passes,
        empty_tables_of_env=played.empty_tables_of_env,
    )


def _chosen_last(history: History, chosen: set[str]) -> tuple[Revision, ...]:
    """Return the revisions with the chosen ones last if no other revision builds on those, else in their own order."""
    others = [item for item in history.revisions if item.id not in chosen]
    if any(chosen & {*item.parents, *item.depends_on} for item in others):
        return history.revisions
    return (*others, *(item for item in history.revisions if item.id in chosen))


def _open_when_used(
    second_databases: Callable[[], AbstractContextManager[ScratchMaker]], stack: ExitStack
) -> ScratchMaker:
    """Return a maker that is opened on first use: its server starts while the workers load."""
    open_once = cache(lambda: stack.enter_context(second_databases()))

    def make() -> AbstractContextManager[Target]:
        return open_once()()

    return make


def _compared_routes(played: Schedule) -> Iterator[Route]:
    """Yield the routes of the segments; the one to the head has its differences from the last step as its trace."""
    head = played.head_schema
    for route in played.routes:
        if route.kind is not RouteKind.UP:
            yield route
        elif head:  # else the steps show what is wrong
            schema = played.one_run_schema
            yield replace(route, trace=diff(head, schema)) if schema else route
