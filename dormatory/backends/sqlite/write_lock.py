"""One migration at a time on SQLite: BEGIN IMMEDIATE, with a limit for the wait and a warning while waiting."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from dormatory.backends.sqlite.connection import side_files
from dormatory.errors import DatabaseLockedError

if TYPE_CHECKING:
    from dormatory.backends.url import Target

WRITE_LOCK_WAIT_SECONDS = 60.0
_PAUSE_SECONDS = 0.05
_SILENT_SECONDS = 2.0  # a reader waits for a commit only, which is usually short
_PRIMARY_CODE_MASK = 0xFF  # the other bits of an error code are its details
_LOCKS_FILE = Path("/proc/locks")
_LOCK_WORDS = 8
_WAL_WRITE_BYTE = "120"  # of the file that ends in -shm: https://www.sqlite.org/walformat.html#wal_locks
_UNKNOWN_HOLDER = "the file does not say by whom"
_LOG = logging.getLogger("dormatory")


def begin_immediate(driver: Any, target: Target, wait_seconds: float) -> None:
    """Begin the transaction that keeps other writers out, waiting for them at most `wait_seconds`.

    Raises DatabaseLockedError when another writer holds the file too long.
    """
    try:
        execute_unlocked(driver, "BEGIN IMMEDIATE", target, wait_seconds)
    except sqlite3.Error as error:
        from sqlalchemy.exc import DBAPIError  # noqa: PLC0415  # an engine is there, so SQLAlchemy is loaded

        raise DBAPIError("BEGIN IMMEDIATE", None, error) from error  # as SQLAlchemy would raise it


def wait_until_readable(driver: Any, target: Target) -> None:
    """Wait while another connection is committing, as long as the connection's busy_timeout says.

    Raises DatabaseLockedError. What else is wrong with the file is left to the first statement of the caller.
    """
    (milliseconds,) = driver.execute("PRAGMA busy_timeout").fetchone()
    with contextlib.suppress(sqlite3.Error):
        statement = "SELECT 1 FROM sqlite_schema"
        execute_unlocked(driver, statement, target, milliseconds / 1000, silent_seconds=_SILENT_SECONDS)


def execute_unlocked(
    driver: sqlite3.Connection, statement: str, target: Target, wait_seconds: float, *, silent_seconds: float = 0
) -> None:
    """Execute a statement as soon as no other connection locks the file, waiting at most `wait_seconds`.

    SQLite's own wait shows no message; here one appears after `silent_seconds`. Raises DatabaseLockedError.
    """
    began, has_warned = monotonic(), False
    driver.execute("PRAGMA busy_timeout = 0")
    while not _try(driver, statement):
        if monotonic() - began >= wait_seconds:
            raise DatabaseLockedError(
                str(target), _holder_description(target.path), wait_seconds, fix="wait for it to end, or end it"
            )
        if not has_warned and monotonic() - began >= silent_seconds:
            _LOG.warning(
                "%s is being written to (%s); waiting at most %g s",
                target,
                _holder_description(target.path),
                wait_seconds,
            )
            has_warned = True
        sleep(_PAUSE_SECONDS)
    driver.execute(f"PRAGMA busy_timeout = {wait_seconds * 1000:.0f}")  # for the commit, which readers may delay


def _try(driver: sqlite3.Connection, statement: str) -> bool:
    try:
        driver.execute(statement).close()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE_MASK != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def running_writer(path: Path) -> str:
    """Return which other process has locked the file for writing, what it is and since when it runs; "" if unknown."""
    import psutil  # noqa: PLC0415  # only a lock that is held needs it

    try:
        pid = _writer_pid(path)
        if pid in (None, os.getpid()):
            return ""
        process = psutil.Process(pid)
        started = datetime.fromtimestamp(process.create_time(), UTC)
        # Not the whole command line, which may hold a password.
        words = [os.path.basename(word) for word in process.cmdline()[:4] if not re.search("[:=@]", word)]  # noqa: PTH119  # a word
        return f"pid {pid}, {' '.join(words) or process.name()}, since {started:%Y-%m-%d %H:%M:%S} UTC"
    except (OSError, psutil.Error):
        return ""


def _holder_description(path: Path) -> str:
    """Return which process has locked the file for writing."""
    import psutil  # noqa: PLC0415  # only a lock that is held needs it

    try:
        pid = _writer_pid(path)
        return f"pid {pid}, {psutil.Process(pid).name()}" if pid else _UNKNOWN_HOLDER
    except (OSError, psutil.Error):
        return _UNKNOWN_HOLDER


def _writer_pid(path: Path) -> int | None:
    """Return the process that holds a write lock on a file, or on its index in WAL mode; only Linux lists the locks."""
    path = path.resolve()
    files = {
        _lock_key(file): is_index for file, is_index in ((path, False), (side_files(path)[-1], True)) if file.exists()
    }
    for line in _LOCKS_FILE.read_text().splitlines():
        words = line.split()
        if len(words) < _LOCK_WORDS or words[3] != "WRITE" or words[5] not in files:
            continue
        if not files[words[5]] or words[6] == _WAL_WRITE_BYTE:
            return int(words[4])
    return None


def _lock_key(file: Path) -> str:
    found = file.stat()
    return f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
