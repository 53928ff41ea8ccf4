"""Destroy the database and create it again, empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.runtime.runner import Runner
from dormatory.safety import safeguard

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.project.project import Project
    from dormatory.runtime.progress import Progress


def recreate_database(project: Project, progress: Progress, *, confirmed: str) -> Path | None:
    """Replace the database by an empty one, and return its backup; nothing happens if that could not be upgraded.

    None where there was no database, or no table in it. Raises ProtectedDatabaseError without permission.
    """
    target = project.target()
    Runner(project, target=target).check_upgrade_path()
    return safeguard.replace("reset", project, target, progress, lambda it: it.clear(), confirmed=confirmed)
