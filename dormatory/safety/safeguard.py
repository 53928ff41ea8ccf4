"""What comes before a command that destroys: permission, a notice of what is at stake, and a backup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_for
from dormatory.errors import DormatoryError, HalfDroppedDatabaseError
from dormatory.runtime.progress import Notice
from dormatory.safety import backups, protection
from dormatory.system.signals import interruption_note, stop_if_interrupted
from dormatory.system.text import quantity

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dormatory.backends.base import DatabaseSummary
    from dormatory.backends.parts import Replacement
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
    """Return what a destructive action would destroy.

    Raises ProtectedDatabaseError without permission, and ReadOnlyURLError where nothing can be changed.
    """
    backend = backend_for(target)
    backend.refuse_read_only(target)
    summary = backend.summary(target)
    protection.refuse_production(target, action=action, confirmed=confirmed, summary=summary)
    return summary


def secure(
    action: str, project: Project, target: Target, summary: DatabaseSummary, progress: Progress, *, revision: str = ""
) -> Path | None:
    """Announce what is at stake, back it up, and return the file; a database without tables needs no backup.

    The caller settles the backup once it knows whether something was changed. Raises BackupFailedError, or what the
    backend raises: then nothing may be destroyed.
    """
    announce_action(action, target, summary, progress)
    return back_up(project, target, progress, revision=revision) if summary.tables else None


def announce_action(action: str, target: Target, summary: DatabaseSummary, progress: Progress) -> None:
    """Announce what a destructive action is about to destroy."""
    rows = [quantity(summary.rows, "row")] if summary.rows or not summary.uncounted_tables else []
    if summary.uncounted_tables:
        rows.append(f"{quantity(summary.uncounted_tables, 'table')} whose rows were not counted")
    content = ", ".join((quantity(summary.tables, "table"), *rows, quantity(summary.sessions, "open session")))
    database = f"{summary.environment} database on {summary.server}, user {summary.user}"
    progress(Notice(f"{_ACTION_LABELS[action]} {target}: {database}; {content}"))


def back_up(project: Project, target: Target, progress: Progress, *, revision: str = "") -> Path:
    """Make a backup that removes no older one yet, announce its file, and return it."""
    stop_if_interrupted()
    file = backups.store_backup(project, target, revision)
    _announce_backup(target, file, progress)
    return file


def replace(
    action: str,
    project: Project,
    target: Target,
    progress: Progress,
    act: Callable[[Replacement], None],
    *,
    confirmed: str,
    protected: Path | None = None,
) -> Path | None:
    """Let `act` replace the database after a backup, and return that; None where there was nothing to back up.

    Raises ProtectedDatabaseError, BackupFailedError, and the backend's error; then the database is as it was, unless
    the error names its backup.
    """
    summary = _replaced_content(action, target, progress, confirmed=confirmed)
    made: list[tuple[str, Path]] = []  # the database that the backup is of, and the backup
    with (
        interruption_note(lambda: _interrupted_state(target, *made)),
        backend_for(target).backup.replacement(target, wait_seconds=project.settings.lock_wait) as replacement,
    ):
        if summary:
            announce_action(action, target, summary, progress)
        for loss in replacement.losses:
            progress(Notice(loss))
        stop_if_interrupted()
        if not summary or not summary.tables:
            act(replacement)
            return None
        with backups.backup_before_replacement(project, target, protected=protected) as file:
            _announce_backup(target, file, progress)
            made.append((backend_for(target).incarnation(target), file))
            stop_if_interrupted()
            act(replacement)
        return file


def _interrupted_state(target: Target, *made: tuple[str, Path]) -> str:
    """Return whether an interrupted replacement has happened, and what to do next; `made` is empty before a backup."""
    for before, backup in made:
        try:
            if backend_for(target).incarnation(target) != before:
                return f"{target} was replaced, the backup of the old one is {backup}; put that back with: inv db.undo"
        except DormatoryError:
            return f"{target} cannot be read now; see inv db.status; its backup is {backup}"
    return f"{target} is as it was; run the command again"


def _replaced_content(action: str, target: Target, progress: Progress, *, confirmed: str) -> DatabaseSummary | None:
    """Return what a replacement would destroy, None for nothing; raises ProtectedDatabaseError without permission."""
    try:
        exists = backend_for(target).exists(target)
    except HalfDroppedDatabaseError:
        progress(Notice(f"{target} is half dropped: nothing of it is left that could be backed up"))
        return None
    return authorize(target, action=action, confirmed=confirmed) if exists else None


def _announce_backup(target: Target, file: Path, progress: Progress) -> None:
    progress(Notice(f"backup of {target}: {file}"))
