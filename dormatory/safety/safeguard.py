"""What comes before a command that destroys: the guard, a word on what is at stake, and a backup."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_for
from dormatory.errors import NotABackupError
from dormatory.safety import backups, protection
from dormatory.system.text import quantity

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dormatory.backends.base import DatabaseSummary
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.runtime.runner import Move, ProgressListener

# Set among Alembic's attributes by whoever has secured the database before env.py runs.
SECURED_ATTRIBUTE = "dormatory.secured"

_ACTION_LABELS = {
    "reset": "destroying",
    "downgrade": "downgrading",
    "restore": "replacing",
    "undo": "replacing",
    "create --from-dump": "filling",
}


def authorize(target: Target, *, action: str, confirmed: str | None) -> DatabaseSummary:
    """Return what a destructive action would destroy; raises ProductionError where the call must name the database."""
    stock = backend_for(target).summary(target)
    protection.refuse_production(target, action=action, confirmed=confirmed, stock=stock)
    return stock


def secure(
    action: str,
    project: Project,
    target: Target,
    stock: DatabaseSummary,
    *,
    revision: str = "",
    protected: Path | None = None,
) -> None:
    """Tell what is at stake, and back it up; a database without tables needs no backup.

    Raises BackupFailedError and what else keeps a backup from being made: then nothing may be destroyed.
    """
    announce_action(action, target, stock)
    if stock.tables:
        back_up(project, target, revision, protected=protected)


def announce_action(action: str, target: Target, stock: DatabaseSummary) -> None:
    """Tell what is at stake."""
    _print_message(destruction_warning(_ACTION_LABELS[action], target, stock))


def back_up_and_restore(project: Project, target: Target, file: Path, *, action: str, confirmed: str | None) -> None:
    """Put a backup in the database's place, after one of what is there has been made.

    Raises NotABackupError, and what keeps either from being done.
    """
    if not file.is_file():
        raise NotABackupError(str(file), "there is no such file")
    backend = backend_for(target)
    if backend.exists(target):
        secure(action, project, target, authorize(target, action=action, confirmed=confirmed), protected=file)
    backend.backup.restore_backup(target, file)


def back_up(project: Project, target: Target, revision: str = "", *, protected: Path | None = None) -> None:
    """Make a backup and tell where it is."""
    _print_message(backup_message(target, backups.create_backup(project, target, revision, protected=protected)))


class PreparingListener:
    """Listens to a run in another listener's place, and does something before the first move."""

    def __init__(self, listener: ProgressListener, prepare: Callable[[tuple[Move, ...]], None]) -> None:
        self._listener, self._prepare = listener, prepare

    def on_plan(self, moves: tuple[Move, ...]) -> None:
        """Pass it on, and act when there is anything to do."""
        self._listener.on_plan(moves)
        if moves:
            self._prepare(moves)

    def on_start(self, move: Move) -> None:
        """Pass it on."""
        self._listener.on_start(move)

    def on_finish(self, move: Move, seconds: float) -> None:
        """Pass it on."""
        self._listener.on_finish(move, seconds)


def _print_message(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def destruction_warning(action: str, target: Target, stock: DatabaseSummary) -> str:
    """Say what a destructive command is about to destroy."""
    holds = (
        f"{quantity(stock.tables, 'table')}, {quantity(stock.rows, 'row')}, {quantity(stock.sessions, 'open session')}"
    )
    return f"{action} {target}: {stock.environment} database on {stock.server}, user {stock.user}; {holds}"


def backup_message(target: Target, file: Path) -> str:
    """Say where a backup of a database is."""
    return f"backup of {target}: {file}"
