"""Copies of an SQLite file: made while others use it, and put in its place in one step."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.backends.missing_database import missing_database
from dormatory.backends.sqlite.connection import (
    is_existing_file,
    refuse_read_only,
    side_files,
    sqlite_connection,
    target_connection,
)
from dormatory.backends.sqlite.explanations import explain_sqlite_error
from dormatory.backends.sqlite.integrity import find_damage_in_copy
from dormatory.backends.sqlite.write_lock import execute_unlocked
from dormatory.errors import (
    BackupFailedError,
    DatabaseInUseError,
    HardLinksError,
    LeftoverJournalError,
    NotABackupError,
)
from dormatory.system.atomic_file import mode_for, move_into_place, partial_file
from dormatory.system.open_files import processes_using
from dormatory.system.signals import stop_if_interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.url import Target

_HEADER = b"SQLite format 3\0"
_WAIT_SECONDS = 5.0  # for a writer that is just committing
_PAGES_PER_STEP = 4096  # copied at once; between two such portions Ctrl-C is noticed


def write_backup(target: Target, file: Path, *, wait_seconds: float = 60.0) -> None:
    """Copy the database into `file`, which appears when its pages have been read back and found whole.

    Raises MissingDatabaseError, BackupFailedError, DatabaseLockedError.
    """
    if not is_existing_file(target):
        raise missing_database(target)
    try:
        with partial_file(file) as part:
            with contextlib.closing(target_connection(target, wait_seconds=_WAIT_SECONDS)) as source:
                execute_unlocked(source, "SELECT count(*) FROM sqlite_schema", target, wait_seconds)
                _copy_database(source, part)
            if problem := find_damage_in_copy(part):
                fix = "move the file away, then run the command again"
                raise BackupFailedError(str(target), f"it is damaged: {problem}", fix=fix)
            move_into_place(part, file)
    except (sqlite3.Error, OSError) as error:
        reason = f"{file.parent}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise BackupFailedError(str(target), reason, fix=explain_sqlite_error(error, target).fix) from error


@contextlib.contextmanager
def replacement(target: Target, *, wait_seconds: float = 0) -> Iterator[SQLiteReplacement]:
    """Keep writers out of the file until the block ends, and let it be replaced in there.

    A program that opens the file meanwhile cannot lose a row in it: SQLite writes to no file that has lost its name.
    Raises DatabaseInUseError, HardLinksError, LeftoverJournalError, DatabaseLockedError, DatabaseFailedError.
    """
    refuse_read_only(target)
    path = Path(os.path.realpath(target.path))  # a link stays a link
    found = SQLiteReplacement(target, path)
    try:
        if not is_existing_file(target):
            if leftover := next(filter(os.path.exists, side_files(path)), None):
                raise LeftoverJournalError(leftover)
            yield found
            return
        found.refuse_users()
        connection = target_connection(target)
        with contextlib.closing(connection), _no_writers(connection, target, wait_seconds, found):
            yield found
    except (sqlite3.Error, OSError) as error:
        raise explain_sqlite_error(error, target) from error


class SQLiteReplacement:
    """A file that is about to be replaced; another one, built beside it, takes its name in one step."""

    losses = ()  # a backup holds all of a file

    def __init__(self, target: Target, path: Path) -> None:
        self._target, self._path = target, path
        self.is_replaced = False

    def restore(self, file: Path) -> None:
        """Put a copy of a backup in the file's place; raises NotABackupError, DatabaseInUseError."""
        if file.exists() and self._path.exists() and file.samefile(self._path):
            raise NotABackupError(str(file), "it is the database itself")
        with partial_file(self._path) as part:
            _copy_backup(file, part)
            self._move_into_place(part)

    def clear(self) -> None:
        """Put an empty file, which is an empty database, in the file's place; raises DatabaseInUseError."""
        with partial_file(self._path) as part:
            self._move_into_place(part)

    def refuse_users(self) -> None:
        """Raise DatabaseInUseError for programs that have the file open, HardLinksError for a file of several names."""
        if others := processes_using(self._path):
            raise DatabaseInUseError(str(self._target), others)
        if self._path.stat().st_nlink > 1:
            raise HardLinksError(str(self._target), _names_of(self._path))

    def _move_into_place(self, part: Path) -> None:
        _copy_mode_and_owner(part, self._path)
        if self._path.exists():
            self.refuse_users()
        stop_if_interrupted()
        self.is_replaced = True
        for leftover in side_files(self._path):  # of the old file; next to the new one they would be replayed into it
            leftover.unlink(missing_ok=True)
        move_into_place(part, self._path)


@contextlib.contextmanager
def _no_writers(
    connection: sqlite3.Connection, target: Target, wait_seconds: float, replacement: SQLiteReplacement
) -> Iterator[None]:
    """Hold the write lock; a file that was not replaced is left in its journal mode."""
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    # Out of WAL first: only the last connection may leave it, and readers of WAL hold no lock.
    execute_unlocked(connection, "PRAGMA journal_mode = DELETE", target, wait_seconds)
    try:
        execute_unlocked(connection, "BEGIN IMMEDIATE", target, wait_seconds)
        yield
    finally:
        if not replacement.is_replaced:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            connection.execute(f"PRAGMA journal_mode = {mode}")


def _names_of(path: Path) -> list[str]:
    """Return the names of a file in its directory; hard links may have others elsewhere."""
    status = path.stat()
    return sorted(entry.name for entry in os.scandir(path.parent) if entry.inode() == status.st_ino)


def _copy_backup(file: Path, part: Path) -> None:
    """Copy a backup; raises NotABackupError for a file that is none."""
    try:
        with file.open("rb") as opened:
            if opened.read(len(_HEADER)) != _HEADER:
                raise NotABackupError(str(file), "it is no SQLite file")
    except OSError as error:
        raise NotABackupError(str(file), error.strerror or str(error)) from error
    try:
        _copy_database(sqlite_connection(file, wait_seconds=_WAIT_SECONDS), part)
        problem = find_damage_in_copy(part)
    except sqlite3.OperationalError:  # the disk, or a lock
        raise
    except sqlite3.DatabaseError as error:
        raise NotABackupError(str(file), str(error)) from error
    if problem:
        raise NotABackupError(str(file), f"it is damaged: {problem}")


def _copy_database(source: sqlite3.Connection, part: Path) -> None:
    """Copy a database as it is at one moment into an empty file, and close the connection to it."""
    with contextlib.closing(source), contextlib.closing(sqlite_connection(part)) as new:
        # One transaction for the whole copy: a write between two portions would make SQLite start again each time.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        source.backup(new, pages=_PAGES_PER_STEP, progress=_refuse_locked, sleep=0)


def _refuse_locked(status: int, _remaining: int, _total: int) -> None:
    """Raise if SQLite is blocked by a lock: Python's driver would retry without end."""
    if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        raise sqlite3.OperationalError("database is locked")


def _copy_mode_and_owner(part: Path, path: Path) -> None:
    """Give the new file the old one's mode and owner, or those that a new file gets here."""
    part.chmod(mode_for(path))
    with contextlib.suppress(OSError):  # there is no old file, or we are not root, who alone may give a file away
        state = path.stat()
        os.chown(part, state.st_uid, state.st_gid)
