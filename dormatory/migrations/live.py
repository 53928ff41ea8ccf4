"""Whether somebody changed a database by hand: it is compared with what the history gives at its own revision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from dormatory.backends.introspection import snapshot
from dormatory.backends.registry import backend_for
from dormatory.errors import DormatoryError
from dormatory.project.history import History
from dormatory.runtime import scratch
from dormatory.schema.diff import diff

if TYPE_CHECKING:
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.schema.changes import Change
    from dormatory.schema.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class LiveDrift:
    """What turns the schema of the history into the one that is there; `problem` is why they were not compared."""

    at: tuple[str, ...]
    changes: tuple[Change, ...]
    problem: str = ""


def live_drift(project: Project, target: Target) -> LiveDrift:
    """Compare a database with the history at the database's own revision; pending revisions are no drift.

    It only reads, and holds the upgrade lock meanwhile, so that a deploy in flight is not taken for drift.
    Raises DatabaseFailedError when the target cannot be read; where the other side cannot be built, says so.
    """
    version_table = scratch.version_table(project, target)
    with backend_for(target).exclusive(target, version_table):
        current = scratch.current(project, target)
        live = _structure(target, version_table)
    if unknown := History.read(project).missing(current):
        return LiveDrift(current, (), f"revision {', '.join(unknown)} is not in this checkout")
    try:
        with scratch.databases(target.backend_name) as maker, maker() as expected:
            for revision in current:
                scratch.upgrade(project, expected, revision)
            planned = _structure(expected, version_table)
    except DormatoryError as error:
        return LiveDrift(current, (), str(error))
    return LiveDrift(current, diff(planned, live))


def _structure(target: Target, version_table: str) -> Snapshot:
    backend = backend_for(target)
    try:
        with backend.engine(target, writing=False).connect() as connection:
            return snapshot(connection, ignore=(version_table,))
    except SQLAlchemyError as error:
        raise backend.explain(error, target) from error
