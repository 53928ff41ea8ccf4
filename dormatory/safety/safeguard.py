"""What comes before a command that destroys: permission, a notice of what is at stake, and a backup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_for
from dormatory.errors import NotABackupError
from dormatory.runtime.progress import Notice
from dormatory.safety import backups, protection
from dormatory.system.text import quantity

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.backends.base import DatabaseSummary
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.runtime.progress import Progress

# An attribute of Alembic's configuration: the command has secured the database, and env.py need not do it again.
SECURED_ATTRIBUTE = "dormatory.secured"

_ACTION_LABELS = {
    "reset": "destroying",
    "downgrade": "downgrading",
    "restore": "replacing",
    "undo": "replacing",
    "create --from-dump": "filling",
}


def authorize(target: Target, *, action: str, confirmed: str | None) -> DatabaseSummary:
    """Return what a destructive action would destroy; raises ProtectedDatabaseError without permission."""
    summary = backend_for(target).summary(target)
    protection.refuse_production(target, action=action, confirmed=confirmed, summary=summary)
    return summary


def secure(
    action: str,
    project: Project,
    target: Target,
    summary: DatabaseSummary,
    progress: Progress,
    *,
    revision: str = "",
    protected: Path | None = None,
) -> None:
    """Announce what is at stake, and back it up; a database without tables needs no backup.

    Raises BackupFailedError, or the backend's error: then nothing may be destroyed.
    """
    announce_action(action, target, summary, progress)
    if summary.tables:
        back_up(project, target, progress, revision=revision, protected=protected)


def announce_action(action: str, target: Target, summary: DatabaseSummary, progress: Progress) -> None:
    """Announce what a destructive action is about to destroy."""
    sizes = ((summary.tables, "table"), (summary.rows, "row"), (summary.sessions, "open session"))
    content = ", ".join(quantity(count, noun) for count, noun in sizes)
    database = f"{summary.environment} database on {summary.server}, user {summary.user}"
    progress(Notice(f"{_ACTION_LABELS[action]} {target}: {database}; {content}"))


def back_up(
    project: Project, target: Target, progress: Progress, *, revision: str = "", protected: Path | None = None
) -> None:
    """Make a backup and announce its file; `protected` is a backup that is not removed to make room."""
    file = backups.create_backup(project, target, revision, protected=protected)
    progress(Notice(f"backup of {target}: {file}"))


def back_up_and_restore(
    project: Project, target: Target, file: Path, progress: Progress, *, action: str, confirmed: str | None
) -> None:
    """Back the database up, then replace it by an earlier backup.

    Raises NotABackupError, ProtectedDatabaseError, BackupFailedError, or the backend's error.
    """
    if not file.is_file():
        raise NotABackupError(str(file), "there is no such file")
    backend = backend_for(target)
    summary = authorize(target, action=action, confirmed=confirmed) if backend.exists(target) else None
    with backend.backup.replacement(target, wait_seconds=project.settings.lock_wait) as replacement:
        if summary:
            secure(action, project, target, summary, progress, protected=file)
        replacement.restore(file)
