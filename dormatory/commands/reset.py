"""Destroy the database and create it again, empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_for
from dormatory.runtime.runner import Runner
from dormatory.safety import safeguard

if TYPE_CHECKING:
    from dormatory.project.project import Project
    from dormatory.runtime.progress import Progress


def recreate_database(project: Project, progress: Progress, *, confirmed: str) -> None:
    """Back the database up, drop it and create it; nothing happens if it could not be upgraded afterwards.

    Raises ProtectedDatabaseError without permission.
    """
    target = project.target()
    backend = backend_for(target)
    Runner(project, target=target).check_upgrade_path()
    if not backend.exists(target):
        backend.create(target)
        return
    summary = safeguard.authorize(target, action="reset", confirmed=confirmed)
    with backend.backup.replacement(target, wait_seconds=project.settings.lock_wait) as replacement:
        safeguard.secure("reset", project, target, summary, progress)
        replacement.clear()
