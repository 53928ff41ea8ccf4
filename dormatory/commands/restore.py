"""Replace the database by one of its backups, after a backup of it was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.errors import DormatoryError, NotABackupError
from dormatory.runtime import scratch
from dormatory.safety import safeguard
from dormatory.safety.backups import latest_backup, resolve_backup
from dormatory.system.signals import interruption_note

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.project.project import Project
    from dormatory.runtime.progress import Progress


@dataclass(frozen=True, slots=True)
class Restored:
    """A database that a backup replaced, and its revisions, or why they are unknown; `target` hides secrets."""

    target: str
    file: Path
    revisions: tuple[str, ...]
    problem: str = ""


def restore_database(project: Project, name: str, progress: Progress, *, confirmed: str) -> Restored:
    """Replace the database by a backup, given as a path or as the name of one of the project's backups."""
    return _restore(project, resolve_backup(project, name), progress, action="restore", confirmed=confirmed)


def restore_latest(project: Project, progress: Progress, *, confirmed: str) -> Restored:
    """Replace the database by its latest backup; raises MissingBackupError."""
    file = latest_backup(project, project.target()).file
    return _restore(project, file, progress, action="undo", confirmed=confirmed)


def _restore(project: Project, file: Path, progress: Progress, *, action: str, confirmed: str) -> Restored:
    if not file.is_file():
        raise NotABackupError(str(file), "there is no such file")
    target = project.target()
    safeguard.replace(
        action, project, target, progress, lambda it: it.restore(file), confirmed=confirmed, protected=file
    )
    try:
        with interruption_note(lambda: f"{target} was restored from {file}; see inv db.status"):
            return Restored(str(target), file, scratch.current_revisions(project, target))
    except DormatoryError as error:  # the database has been replaced all the same
        return Restored(str(target), file, (), f"its revision cannot be read: {error}")
