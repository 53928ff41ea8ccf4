"""Empty SQLite files for one run, in memory where there is room."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

from dormatory.backends.database_url import DatabaseURL
from dormatory.backends.scratch_directory import scratch_directory
from dormatory.backends.sqlite.connection import is_existing_file, side_files, sqlite_connection
from dormatory.backends.sqlite.url import DRIVER_NAME
from dormatory.backends.url import Target
from dormatory.system import signals
from dormatory.system.open_files import is_open_here

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.backends.parts import Checkpoint, ScratchMaker


@contextlib.contextmanager
def scratch_databases() -> Iterator[ScratchMaker]:
    """Provide scratch_sqlite: files need no server."""
    yield scratch_sqlite


@contextlib.contextmanager
def scratch_sqlite() -> Iterator[Target]:
    """Provide the name of a new SQLite file in a private directory, which is removed at the end."""
    with signals.raise_on_termination(), scratch_directory() as home:
        yield Target(DatabaseURL(DRIVER_NAME, database=str(home / "scratch.db")), DRIVER_NAME)


def copy_file(source: Path, copy: Path, *, wait_seconds: float = 0) -> None:
    """Copy a file that nobody writes to, after its journal was emptied into it."""
    with contextlib.closing(sqlite_connection(source, wait_seconds=wait_seconds)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copyfile(source, copy)


def checkpoint(target: Target) -> Checkpoint:
    """Return a checkpoint of a scratch database."""
    return _FileCheckpoint(target)


class _FileCheckpoint:
    """A copy of the file, next to it."""

    def __init__(self, target: Target) -> None:
        self._target, self._copy = target, target.path.with_suffix(".copy")

    def save(self) -> bool:
        """Copy the file, after its journal was emptied into it."""
        path = self._target.path
        if is_open_here(path):
            return False
        self.discard()
        if is_existing_file(self._target):
            copy_file(path, self._copy)
        return True

    def restore(self) -> bool:
        """Remove the file with its side files, and copy the copy."""
        path = self._target.path
        if is_open_here(path):
            return False
        for file in (*side_files(path), path):
            file.unlink(missing_ok=True)
        if self._copy.exists():
            shutil.copyfile(self._copy, path)
        return True

    def discard(self) -> None:
        """Remove the copied file."""
        self._copy.unlink(missing_ok=True)
