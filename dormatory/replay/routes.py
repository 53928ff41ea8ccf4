"""Ways through many revisions in a row, which must end where the round trips say: down, up in one run, other orders."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

from dormatory.backends.introspection import read_snapshot
from dormatory.errors import DormatoryError
from dormatory.recording.model import Failure, Route, RouteKind
from dormatory.replay.session import ReplaySession
from dormatory.runtime.progress import MoveStarted
from dormatory.schema.diff import diff

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.runtime.migration import RevisionStep

    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.runtime.progress import Event
    from dormatory.schema.changes import Change
    from dormatory.schema.snapshot import Snapshot


def downgrade_all(session: ReplaySession, revisions: tuple[str, ...], expected: Snapshot) -> Route:
    """Downgrade through revisions, with whatever rows there are, to a structure that should be `floor`."""
    began = perf_counter()
    trace: list[Change] = []

    def steps() -> Iterator[RevisionStep]:
        yield from session.plain_steps(revisions, up=False)
        trace.extend(diff(expected, session.read_schema()))

    failure = session.run(steps)
    return Route(RouteKind.DOWN, revisions, perf_counter() - began, tuple(trace), session.revision, failure)


def upgrade_all_and_compare(session: ReplaySession, expected: Snapshot) -> Route:
    """Upgrade an empty database as `alembic upgrade heads` does, to a structure that should be `head`."""
    route, schema = upgrade_all(session)
    return replace(route, trace=diff(expected, schema)) if schema else route


def upgrade_all(session: ReplaySession) -> tuple[Route, Snapshot | None]:
    """Make that one run, and return where it came, None where it failed; nothing is compared.

    Alembic remembers the types that it created for as long as a run lasts, and env.py decides how many revisions share
    a transaction: some histories work step by step only, others in one run only.
    """
    began, begun = perf_counter(), list[str]()
    failure, schema = None, None

    def record_start(event: Event) -> None:
        if isinstance(event, MoveStarted):
            begun.append(event.move.revision)

    session.connection.rollback()
    try:
        session.runner.upgrade("heads", record_start)
        schema = read_snapshot(session.connection, ignore=(session.version_table,))
        session.connection.commit()  # env.py files of other projects may leave this to whoever gave the connection
    except DormatoryError as error:
        failure = Failure.from_error(error)
    stopped = begun[-1] if failure and begun else ""
    route = Route(RouteKind.UP, tuple(begun), perf_counter() - began, stopped=stopped, failure=failure)
    return route, schema


def upgrade_fresh_database(project: Project, target: Target, expected: Snapshot) -> Route:
    """Make that one run on a database of its own."""
    session = ReplaySession(project, target)
    with session.connect():
        session.run(lambda: iter(()))  # env.py says how it names its version table
        return upgrade_all_and_compare(session, expected)


def replay_other_order(
    project: Project,
    target: Target,
    done: tuple[str, ...],
    order: tuple[str, ...],
    ends: tuple[Snapshot | None, Snapshot],
) -> Route:
    """Apply the revisions of branches in another order, and take them back in its reverse.

    `ends` are the structures that should be there before and behind them; without the first nothing is taken back.
    """
    began = perf_counter()
    trace: list[Change] = []
    session = ReplaySession(project, target)

    def steps() -> Iterator[RevisionStep]:
        yield from session.plain_steps((*done, *order))
        trace.extend(diff(ends[1], session.read_schema()))
        if ends[0]:
            yield from session.plain_steps(reversed(order), up=False)
            trace.extend(diff(ends[0], session.read_schema()))

    with session.connect():
        failure = session.run(steps)
    return Route(RouteKind.OTHER_ORDER, order, perf_counter() - began, tuple(trace), session.revision, failure)
