"""The position of a database in the history: current, pending and unknown revisions, and what was changed by hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dormatory.backends.driver import explained_connection
from dormatory.backends.missing_database import missing_directory
from dormatory.backends.queries import VERSION_TABLE
from dormatory.backends.registry import backend_for, dialect_by_name
from dormatory.errors import DatabaseFailedError, DormatoryError, RevisionNotInCheckoutError
from dormatory.project.history import History
from dormatory.recording.model import ChangesByHand
from dormatory.runtime import scratch
from dormatory.schema.alignment import Equivalence, align_spelling
from dormatory.schema.diff import diff

_WAIT_SECONDS = 0.5  # for a commit; status waits for no longer lock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.project.script import Revision
    from dormatory.schema.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Status:
    """The position of a database in the history.

    `target` hides secrets; `environment` is what the database is marked as, "" for a file. `unknown` are revisions that
    the checkout does not have; with one of them, `pending` is empty because it cannot be computed. `overlapping` are
    current revisions that another one builds on: the version table should not name them. `by_hand` is None if the
    database does not exist, and while a migration is `running`: who, since when, and what. `locked` says why `current`
    could not be read then. `missing_directory` is that of a file that does not exist, if it does not exist either.
    """

    target: str
    is_file: bool
    server: str
    environment: str
    exists: bool
    current: tuple[str, ...]
    heads: tuple[str, ...]
    unknown: tuple[str, ...]
    overlapping: tuple[str, ...]
    pending: tuple[Revision, ...]
    titles: Mapping[str, str]
    by_hand: ChangesByHand | None
    running: str = ""
    locked: str = ""
    missing_directory: str = ""


def read_status(project: Project, target: Target) -> Status:
    """Read the position of the target without changing it; in a missing database every revision is pending.

    It waits for nobody: while a migration runs, the structure is not compared, and what is locked is not read.
    """
    history = History.read(project)
    backend = backend_for(target)
    if not backend.exists(target):
        pending = history.pending(())
        place = missing_directory(target)
        return Status(
            str(target), backend.is_file, "", "", False, (), history.heads, (), (), pending, {}, None,
            missing_directory=place,
        )  # fmt: skip
    locked, server, environment = "", "", ""
    current, version_tables = tuple[str, ...](), tuple[str, ...]()
    running = backend.running_migration(target, VERSION_TABLE)
    try:
        version_tables = scratch.version_tables(project, target, wait_seconds=_WAIT_SECONDS)
        running = running or backend.running_migration(target, version_tables[0])
        current = scratch.current_revisions(project, target, wait_seconds=_WAIT_SECONDS)
        server, environment = _server_version(target)
    except DatabaseFailedError as error:
        if not running:
            raise
        locked = str(error)
    unknown = history.unknown(current)
    return Status(
        target=str(target),
        is_file=backend.is_file,
        server=server,
        environment=environment,
        exists=True,
        current=current,
        heads=history.heads,
        unknown=unknown,
        overlapping=history.overlapping(current),
        pending=() if unknown or locked else history.pending(current),
        titles={name: history.get(name).title for name in current if name not in unknown},
        by_hand=None if running else _changes_or_problem(project, target, history, current, version_tables),
        running=running,
        locked=locked,
    )


def _server_version(target: Target) -> tuple[str, str]:
    """Return the product with its version, and what the database is marked as."""
    backend = backend_for(target)
    engine = backend.engine(target, writing=False, wait_seconds=_WAIT_SECONDS)
    with explained_connection(engine, partial(backend.explain, target=target)) as connection:
        return backend.version(connection), backend.environment_mark(connection)


def _changes_or_problem(
    project: Project, target: Target, history: History, current: tuple[str, ...], version_tables: tuple[str, ...]
) -> ChangesByHand:
    try:
        return changes_by_hand(project, target, history, version_tables, wait_seconds=_WAIT_SECONDS)
    except DatabaseFailedError as error:  # a migration has just begun, or a table is locked
        return ChangesByHand(current, (), str(error))


def read_current(project: Project) -> tuple[History, tuple[str, ...]]:
    """Return the history and the revisions that the target is at; raises RevisionNotInCheckoutError."""
    target = project.target()
    history, current = History.read(project), scratch.current_revisions(project, target)
    if unknown := history.unknown(current):
        raise RevisionNotInCheckoutError(str(target), unknown)
    return history, current


def changes_by_hand(
    project: Project,
    target: Target,
    history: History | None = None,
    version_tables: tuple[str, ...] = (),
    *,
    wait_seconds: float | None = None,
) -> ChangesByHand:
    """Compare a database with the history at the database's own revision; pending revisions are no difference.

    It only reads, and holds the upgrade lock meanwhile, so that a running deployment is not reported; for that lock and
    for others it waits at most `wait_seconds`, by default as long as an upgrade does. A `history` and `version_tables`
    that were read before are not read again. Raises DatabaseFailedError if the target cannot be read; if the history
    cannot be replayed, `problem` says why.
    """
    wait = project.settings.lock_wait if wait_seconds is None else wait_seconds
    version_tables = version_tables or scratch.version_tables(project, target, wait_seconds=wait)
    with backend_for(target).upgrade_lock(target, version_tables[0], wait_seconds=wait):
        current = scratch.current_revisions(project, target, wait_seconds=wait)
        live = scratch.read_schema(target, *version_tables, wait_seconds=wait)
    if unknown := (history or History.read(project)).unknown(current):
        return ChangesByHand(current, (), f"revision {', '.join(unknown)} is not in this checkout")
    try:
        with scratch.databases(target.backend_name) as maker, maker() as expected:
            for revision in current:
                scratch.upgrade(project, expected, revision)
            planned = scratch.read_schema(expected, *version_tables)
            live = _in_spelling_of(planned, live, expected)
    except DormatoryError as error:
        return ChangesByHand(current, (), str(error))
    return ChangesByHand(current, diff(planned, live))


def _in_spelling_of(planned: Snapshot, live: Snapshot, expected: Target) -> Snapshot:
    """Return the live schema with the spelling of the history where both mean the same, as for models."""
    backend = backend_for(expected)
    with backend.engine(expected, writing=True).connect() as connection:
        is_same_value = partial(backend.is_same_value, connection)
        return align_spelling(
            live, planned, Equivalence(dialect_by_name(expected.backend_name), is_same_value=is_same_value)
        )
