"""Where a database stands against the history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from dormatory.backends.registry import backend_for
from dormatory.migrations.live import live_drift
from dormatory.project.history import History

if TYPE_CHECKING:
    from dormatory.backends.url import Target
    from dormatory.migrations.live import LiveDrift
    from dormatory.project.history import Revision
    from dormatory.project.project import Project


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
    current = drift.at if drift else ()
    unknown = history.missing(current)
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
