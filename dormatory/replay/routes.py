"""Routes through many revisions, compared with the structures of the round trips: down, up at once, other orders."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

from dormatory.backends.introspection import read_snapshot
from dormatory.errors import DormatoryError
from dormatory.recording.model import Route, RouteKind
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
    """Downgrade through revisions, with the rows that are there, and compare the structure with the expected one."""
    began = perf_counter()
    trace: list[Change] = []

    def steps() -> Iterator[RevisionStep]:
        yield from session.plain_steps(revisions, up=False)
        trace.extend(diff(expected, session.spelled_as(expected, session.read_schema())))

    failure = session.run(steps)
    return Route(RouteKind.DOWN, revisions, perf_counter() - began, tuple(trace), session.revision, failure)


def upgrade_all_and_compare(session: ReplaySession, expected: Snapshot) -> Route:
    """Upgrade an empty database as `alembic upgrade heads` does, and compare the structure with the expected one."""
    route, schema = upgrade_all(session)
    return replace(route, trace=diff(expected, schema)) if schema else route


def upgrade_all(session: ReplaySession) -> tuple[Route, Snapshot | None]:
    """Upgrade an empty database in one run; return the route, not compared, and the structure, None if it failed.

    Alembic remembers the types that it created for as long as a run lasts, and env.py decides how many revisions share
    a transaction: some histories work only step by step, others only in one run.
    """
    began, begun = perf_counter(), list[str]()
    failure, schema = None, None

    def record_start(event: Event) -> None:
        if isinstance(event, MoveStarted):
            begun.append(event.move.revision)

    session.connection.rollback()
    try:
        session.runner.upgrade("heads", record_start, only_pass=session.project.env_pass)
        schema = read_snapshot(session.connection, ignore=session.version_tables)
        session.connection.commit()  # env.py files of other projects may leave the commit to the caller
    except DormatoryError as error:
        failure = session.failure_of(error)
    stopped = begun[-1] if failure and begun else ""
    route = Route(RouteKind.UP, tuple(begun), perf_counter() - began, stopped=stopped, failure=failure)
    return route, schema


def upgrade_fresh_database(project: Project, target: Target, expected: Snapshot) -> Route:
    """Upgrade an empty database in one run, in a session of its own, and compare the structure."""
    session = ReplaySession(project, target)
    with session.connect():
        session.run(lambda: iter(()))  # reads the name of the version table from env.py
        return upgrade_all_and_compare(session, expected)


def replay_other_order(
    project: Project,
    target: Target,
    done: tuple[str, ...],
    order: tuple[str, ...],
    ends: tuple[Snapshot | None, Snapshot],
) -> Route:
    """Apply the revisions of branches in another order, and downgrade them in its reverse.

    `ends` are the expected structures before and after these revisions; without the first, nothing is downgraded.
    """
    began = perf_counter()
    trace: list[Change] = []
    session = ReplaySession(project, target)

    def steps() -> Iterator[RevisionStep]:
        yield from session.plain_steps((*done, *order))
        trace.extend(diff(ends[1], session.read_schema()))
        if ends[0]:
            yield from session.plain_steps(reversed(order), up=False)
            trace.extend(diff(ends[0], session.spelled_as(ends[0], session.read_schema())))

    with session.connect():
        failure = session.run(steps)
    return Route(RouteKind.OTHER_ORDER, order, perf_counter() - began, tuple(trace), session.revision, failure)
