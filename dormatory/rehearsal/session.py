"""Plays steps on a replica, in one run of env.py: alone, or while readers and writers probe its tables."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_for
from dormatory.errors import DanglingRowsError
from dormatory.rehearsal.probes import probe_tables
from dormatory.rehearsal.redaction import redacted_failure
from dormatory.replay.session import ReplaySession
from dormatory.sql.lock_modes import LOCK_MODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from alembic.runtime.migration import RevisionStep

    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.recording.leg import Direction, Failure, Leg
    from dormatory.rehearsal.model import Wait

_WEAKEST_BLOCKING_RANK = LOCK_MODES.index("ROW EXCLUSIVE")  # weaker locks let readers and writers work


def new_session(project: Project, target: Target, *, show_values: bool) -> ReplaySession:
    """Return a session whose failures repeat values from rows only if `show_values`."""
    return ReplaySession(project, target) if show_values else ReplaySession(project, target, redacted_failure)


def run_steps(session: ReplaySession, steps: Callable[[], Iterator[RevisionStep]]) -> Failure | None:
    """Play steps; on SQLite, dangling rows that are found at the end of the run are a failure of the steps, too."""
    try:
        return session.run(steps)
    except DanglingRowsError as error:
        return session.failure_of(error)


def run_with_probes(
    session: ReplaySession, tables: Sequence[str], direction: Direction, steps: Callable[[], Iterator[RevisionStep]]
) -> tuple[Failure | None, tuple[Wait, ...]]:
    """Play steps while readers and writers try the tables, from the beginning of the run to its end."""
    # If a transaction that began by reading cannot wait for another writer, a probe that writes would make the revision
    # fail, unless our env.py begins the transaction by writing.
    probe = backend_for(session.target).probe
    is_safe = probe.READERS_CAN_WAIT_TO_WRITE or session.project.has_our_environment
    waits: list[Wait] = []
    with ExitStack() as stack:

        def probed_steps() -> Iterator[RevisionStep]:
            # Not before the run has its transaction: on SQLite it would have to wait for a probe that writes.
            stack.enter_context(probe_tables(session.target, tables, direction, waits, writing=is_safe))
            yield from steps()

        failure = run_steps(session, probed_steps)
    return failure, tuple(waits)


def blocking_tables(legs: Sequence[Leg]) -> tuple[str, ...]:
    """Return the tables whose locks on these legs may have blocked readers or writers, the strongest locks first."""
    found = dict[str, int]()
    for lock in (lock for leg in legs for lock in leg.locks):
        found[lock.table] = max(found.get(lock.table, 0), LOCK_MODES.index(lock.mode))
    strong = (table for table, mode in found.items() if mode >= _WEAKEST_BLOCKING_RANK)
    return tuple(sorted(strong, key=lambda table: (-found[table], table)))
