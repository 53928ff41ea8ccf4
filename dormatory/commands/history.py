"""The history of a project with the place of the database in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.errors import DormatoryError

if TYPE_CHECKING:
    from dormatory.project.history import History
    from dormatory.project.project import Project

_WAIT_SECONDS = 0.5  # for a commit; the history is shown without the database rather than late


@dataclass(frozen=True, slots=True)
class DatabasePlace:
    """Where a database is in a history: the revisions that it is at, and those that it lacks.

    A `problem` says why that is not known, "" if it is.
    """

    current: frozenset[str] = frozenset()
    pending: frozenset[str] = frozenset()
    problem: str = ""


def find_place(project: Project, history: History) -> DatabasePlace:
    """Return where the project's database is in a history; a database that is missing is nowhere, and lacks nothing."""
    from dormatory.backends.registry import backend_for  # noqa: PLC0415

    try:
        target = project.target()
        return DatabasePlace() if not backend_for(target).exists(target) else _place_of(project, history)
    except DormatoryError as error:
        return DatabasePlace(problem=str(error))


def _place_of(project: Project, history: History) -> DatabasePlace:
    from dormatory.runtime.fast_path import reached_head  # noqa: PLC0415

    target = project.target()
    if head := reached_head(project, target):
        return DatabasePlace(frozenset({head}))
    from dormatory.runtime import scratch  # noqa: PLC0415

    current = scratch.current_revisions(project, target, wait_seconds=_WAIT_SECONDS)
    if unknown := history.unknown(current):
        return DatabasePlace(problem=f"{target} is at {', '.join(unknown)}, which this checkout does not have")
    return DatabasePlace(frozenset(current), frozenset(revision.id for revision in history.pending(current)))
