"""Check the target itself: whether its structure is what the history gives at the target's own revision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.missing_database import missing_database
from dormatory.backends.registry import backend_for
from dormatory.checks.drift import check_changes_by_hand
from dormatory.checks.outcome import CheckedServer, Outcome
from dormatory.commands.status import changes_by_hand
from dormatory.errors import ComparisonFailedError
from dormatory.runtime import scratch

if TYPE_CHECKING:
    from dormatory.project.project import Project


def check_live_database(project: Project) -> Outcome:
    """Compare the target with the history.

    Raises MissingDatabaseError, or ComparisonFailedError where they cannot be compared.
    """
    target = project.target()
    backend = backend_for(target)
    if not backend.exists(target):
        raise missing_database(target)
    backend.refuse_damage(target, wait_seconds=project.settings.lock_wait)
    found = changes_by_hand(project, target)
    if found.problem:
        raise ComparisonFailedError(str(target), found.problem)
    with scratch.reading_connection(target) as connection:
        server = CheckedServer(target.backend_name, backend.version(connection))
    return Outcome(tuple(check_changes_by_hand(found, target.backend_name)), (server,), configuration=project.ini)
