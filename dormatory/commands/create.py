"""Create the database, and fill it from the committed schema file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_for
from dormatory.commands.schema_dump import load_committed_dump
from dormatory.safety.safeguard import announce_action, authorize
from dormatory.system.signals import interruption_note

if TYPE_CHECKING:
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.runtime.progress import Progress


def create_database(target: Target) -> bool:
    """Create the database if it is missing, and return whether it is new."""
    backend = backend_for(target)
    with interruption_note(lambda: f"{target} was created completely or not at all; run the command again"):
        if backend.exists(target):
            return False
        backend.create(target)
    return True


def fill_from_dump(project: Project, target: Target, progress: Progress, *, is_new: bool, confirmed: str) -> None:
    """Load the committed schema file; a database that existed before needs permission."""
    action = "create --from-dump"
    if not is_new:
        summary = authorize(target, action=action, confirmed=confirmed)
        announce_action(action, target, summary, progress)
    with interruption_note(lambda: f"{target} exists, and was filled completely or not at all; run the command again"):
        load_committed_dump(project, target)
