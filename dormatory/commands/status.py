"""Where a database stands against the history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from dormatory.backends.introspection import read_snapshot
from dormatory.backends.registry import backend_for
from dormatory.errors import DormatoryError
from dormatory.project.history import History
from dormatory.recording.model import LiveDrift
from dormatory.runtime import scratch
from dormatory.schema.diff import diff

if TYPE_CHECKING:
    from dormatory.backends.url import Target
    from dormatory.project.history import Revision
    from dormatory.project.project import Project
    from dormatory.schema.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Status:
    """A database and the history side by side.

    `target` hides secrets; `unknown` are revisions no file has, and with one of them nothing is known to be pending.
    There is no `drift` without a database.
    """

    target: str
    server: str
    exists: bool
    current: tuple[str, ...]
    heads: tuple[str, ...]
    unknown: tuple[str, ...]
    pending: tuple[Revision, ...]
    drift: LiveDrift | None


def status(project: Project, target: Target) -> Status:
    """Look at the target without changing it; a database that is not there yet has everything pending."""
    history = History.read(project)
    backend = backend_for(target)
    server = "-"
    drift: LiveDrift | None = None
    if exists := backend.exists(target):
        drift = live_drift(project, target)
        try:
            with backend.engine(target, writing=False).connect() as connection:
                server = backend.version(connection)
        except SQLAlchemyError as error:
            raise backend.explain(error, target) from error
    current = drift.revisions if drift else ()
    unknown = history.unknown(current)
    return Status(
        target=str(target),
        server=server,
        exists=exists,
        current=current,
        heads=history.heads,
        unknown=unknown,
        pending=() if unknown else history.pending(current),
        drift=drift,
    )


def live_drift(project: Project, target: Target) -> LiveDrift:
    """Compare a database with the history at the database's own revision; pending revisions are no drift.

    It only reads, and holds the upgrade lock meanwhile, so that a deploy in flight is not taken for drift.
    Raises DatabaseFailedError when the target cannot be read; where the other side cannot be built, says so.
    """
    version_table = scratch.version_table(project, target)
    with backend_for(target).upgrade_lock(target, version_table):
        current = scratch.current_revisions(project, target)
        live = _read_snapshot(target, version_table)
    if unknown := History.read(project).unknown(current):
        return LiveDrift(current, (), f"revision {', '.join(unknown)} is not in this checkout")
    try:
        with scratch.databases(target.backend_name) as maker, maker() as expected:
            for revision in current:
                scratch.upgrade(project, expected, revision)
            planned = _read_snapshot(expected, version_table)
    except DormatoryError as error:
        return LiveDrift(current, (), str(error))
    return LiveDrift(current, diff(planned, live))


def _read_snapshot(target: Target, version_table: str) -> Snapshot:
    backend = backend_for(target)
    try:
        with backend.engine(target, writing=False).connect() as connection:
            return read_snapshot(connection, ignore=(version_table,))
    except SQLAlchemyError as error:
        raise backend.explain(error, target) from error
