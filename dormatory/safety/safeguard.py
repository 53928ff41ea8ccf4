"""What comes before a command that destroys: the guard, a word on what is at stake, and a backup."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_for
from dormatory.errors import NotABackupError
from dormatory.safety import backups, protection
from dormatory.system.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dormatory.backends.base import Stock
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.runtime.runner import Listener, Move

# Set among Alembic's attributes by whoever has secured the database before env.py runs.
SECURED = "dormatory.secured"

_DOING = {
    "reset": "destroying",
    "downgrade": "downgrading",
    "restore": "replacing",
    "undo": "replacing",
    "create --from-dump": "filling",
}


def looked(target: Target, *, action: str, confirmed: str | None) -> Stock:
    """Return what a destructive action would destroy; raises ProductionError where the call must name the database."""
    stock = backend_for(target).stock(target)
    protection.refuse_production(target, action=action, confirmed=confirmed, stock=stock)
    return stock


def secure(
    action: str, project: Project, target: Target, stock: Stock, *, revision: str = "", spared: Path | None = None
) -> None:
    """Tell what is at stake, and back it up; a database without tables needs no backup.

    Raises BackupFailedError and what else keeps a backup from being made: then nothing may be destroyed.
    """
    tell_stakes(action, target, stock)
    if stock.tables:
        back_up(project, target, revision, spared=spared)


def tell_stakes(action: str, target: Target, stock: Stock) -> None:
    """Tell what is at stake."""
    _tell(stakes(_DOING[action], target, stock))


def put_back(project: Project, target: Target, file: Path, *, action: str, confirmed: str | None) -> None:
    """Put a backup in the database's place, after one of what is there has been made.

    Raises NotABackupError, and what keeps either from being done.
    """
    if not file.is_file():
        raise NotABackupError(str(file), "there is no such file")
    backend = backend_for(target)
    if backend.exists(target):
        secure(action, project, target, looked(target, action=action, confirmed=confirmed), spared=file)
    backend.restore(target, file)


def back_up(project: Project, target: Target, revision: str = "", *, spared: Path | None = None) -> None:
    """Make a backup and tell where it is."""
    _tell(kept(target, backups.keep(project, target, revision, spared=spared)))


class Beforehand:
    """Listens to a run in another listener's place, and does something before the first move."""

    def __init__(self, listener: Listener, act: Callable[[tuple[Move, ...]], None]) -> None:
        self._listener, self._act = listener, act

    def planned(self, moves: tuple[Move, ...]) -> None:
        """Pass it on, and act when there is anything to do."""
        self._listener.planned(moves)
        if moves:
            self._act(moves)

    def started(self, move: Move) -> None:
        """Pass it on."""
        self._listener.started(move)

    def finished(self, move: Move, seconds: float) -> None:
        """Pass it on."""
        self._listener.finished(move, seconds)


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def stakes(action: str, target: Target, stock: Stock) -> str:
    """Say what a destructive command is about to destroy."""
    holds = f"{counted(stock.tables, 'table')}, {counted(stock.rows, 'row')}, {counted(stock.sessions, 'open session')}"
    return f"{action} {target}: {stock.environment} database on {stock.server}, user {stock.user}; {holds}"


def kept(target: Target, file: Path) -> str:
    """Say where a backup of a database is."""
    return f"backup of {target}: {file}"
