"""Copies of an SQLite file: made while others use it, and put in its place in one step."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING

from dormatory.backends.sqlite.connection import is_existing_file, side_files, sqlite_connection
from dormatory.backends.sqlite.explanations import explain_sqlite_error
from dormatory.errors import (
    BackupFailedError,
    DatabaseInUseError,
    LeftoverJournalError,
    MissingDatabaseError,
    NotABackupError,
)
from dormatory.system.atomic_file import mode_for, move_into_place, partial_file
from dormatory.system.open_files import processes_using

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.backends.url import Target

_HEADER = b"SQLite format 3\0"
_WAIT_SECONDS = 5.0  # for a writer that is just committing
_PAGES_PER_STEP = 4096  # copied at once; between two such portions Ctrl-C is noticed


def write_backup(target: Target, file: Path) -> None:
    """Copy the database into `file`, which appears when its pages have been read back and found whole.

    Raises MissingDatabaseError, BackupFailedError.
    """
    if not is_existing_file(target):
        raise MissingDatabaseError(str(target))
    try:
        with partial_file(file) as part:
            _copy_database(target.path, part)
            if problem := _integrity_error(part):
                raise BackupFailedError(str(target), problem, fix="move the damaged file away by hand")
            move_into_place(part, file)
    except (sqlite3.Error, OSError) as error:
        reason = f"{file.parent}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise BackupFailedError(str(target), reason, fix=explain_sqlite_error(error, target).fix) from error


def restore_backup(target: Target, file: Path) -> None:
    """Put a copy of `file` in the database's place, at once and whole, unless another program is using it.

    A program that opens the database while it is exchanged cannot harm it: SQLite writes to no file that has lost its
    name. Raises NotABackupError, DatabaseInUseError, LeftoverJournalError, DatabaseFailedError.
    """
    path = target.path.resolve()  # a link stays a link
    if file.exists() and path.exists() and file.samefile(path):
        raise NotABackupError(str(file), "it is the database itself")
    try:
        with partial_file(path) as part:
            _copy_backup(file, part)
            _copy_mode_and_owner(part, path)
            if is_existing_file(target):
                _replace_database_file(target, path, part)
            elif leftover := next(filter(os.path.exists, side_files(path)), None):
                raise LeftoverJournalError(leftover)
            else:
                move_into_place(part, path)
    except (sqlite3.Error, OSError) as error:
        raise explain_sqlite_error(error, target) from error


def _replace_database_file(target: Target, path: Path, part: Path) -> None:
    """Replace a file that no other process uses, and that none can begin to use meanwhile."""
    if others := processes_using(path):
        raise DatabaseInUseError(str(target), others)
    with contextlib.closing(sqlite_connection(path)) as connection:
        # Out of WAL first: only the last connection may leave it, and readers of WAL hold no lock.
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("BEGIN EXCLUSIVE")
        for leftover in side_files(path):  # of the old file; next to the new one they would be replayed into it
            leftover.unlink(missing_ok=True)
        move_into_place(part, path)


def _copy_backup(file: Path, part: Path) -> None:
    """Copy a backup; raises NotABackupError for a file that is none."""
    try:
        with file.open("rb") as opened:
            if opened.read(len(_HEADER)) != _HEADER:
                raise NotABackupError(str(file), "it is no SQLite file")
    except OSError as error:
        raise NotABackupError(str(file), error.strerror or str(error)) from error
    try:
        _copy_database(file, part)
        problem = _integrity_error(part)
    except sqlite3.OperationalError:  # the disk, or a lock
        raise
    except sqlite3.DatabaseError as error:
        raise NotABackupError(str(file), str(error)) from error
    if problem:
        raise NotABackupError(str(file), problem)


def _copy_database(source: Path, part: Path) -> None:
    """Copy a database as it is at one moment into an empty file."""
    with (
        contextlib.closing(sqlite_connection(source, wait_seconds=_WAIT_SECONDS)) as old,
        contextlib.closing(sqlite_connection(part)) as new,
    ):
        # One transaction for the whole copy: a write between two portions would make SQLite start again each time.
        old.execute("BEGIN")
        old.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        old.backup(new, pages=_PAGES_PER_STEP, progress=_refuse_locked, sleep=0)


def _refuse_locked(status: int, _remaining: int, _total: int) -> None:
    """Raise if SQLite is blocked by a lock: Python's driver would retry without end."""
    if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        raise sqlite3.OperationalError("database is locked")


def _integrity_error(file: Path) -> str:
    """Return the first error in a file, or ""; the file is read without a lock and without a journal."""
    uri = f"{file.absolute().as_uri()}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
        (result,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    return "" if result == "ok" else f"it is damaged: {' '.join(result.split())}"


def _copy_mode_and_owner(part: Path, path: Path) -> None:
    """Give the new file the old one's mode and owner, or those that a new file gets here."""
    part.chmod(mode_for(path))
    with contextlib.suppress(OSError):  # there is no old file, or we are not root, who alone may give a file away
        state = path.stat()
        os.chown(part, state.st_uid, state.st_gid)
