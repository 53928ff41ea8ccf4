"""Replace the database by one of its backups, after a backup of it was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.runtime import scratch
from dormatory.safety.backups import latest_backup, resolve_backup
from dormatory.safety.safeguard import back_up_and_restore

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.project.project import Project
    from dormatory.runtime.progress import Progress


@dataclass(frozen=True, slots=True)
class Restored:
    """A database that a backup replaced, and the revisions it is at; `target` hides secrets."""

    target: str
    file: Path
    revisions: tuple[str, ...]


def restore_database(project: Project, name: str, progress: Progress, *, confirmed: str) -> Restored:
    """Replace the database by a backup, given as a path or as the name of one of the project's backups."""
    return _restore(project, resolve_backup(project, name), progress, action="restore", confirmed=confirmed)


def restore_latest(project: Project, progress: Progress, *, confirmed: str) -> Restored:
    """Replace the database by its latest backup; raises MissingBackupError."""
    file = latest_backup(project, project.target()).file
    return _restore(project, file, progress, action="undo", confirmed=confirmed)


def _restore(project: Project, file: Path, progress: Progress, *, action: str, confirmed: str) -> Restored:
    target = project.target()
    back_up_and_restore(project, target, file, progress, action=action, confirmed=confirmed)
    return Restored(str(target), file, scratch.current_revisions(project, target))
