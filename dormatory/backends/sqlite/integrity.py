"""Whether the pages of an SQLite file agree: a damaged file may still answer, with wrong rows or without some."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from dormatory.backends.sqlite.connection import target_connection
from dormatory.backends.sqlite.explanations import explain_sqlite_error
from dormatory.backends.sqlite.write_lock import execute_unlocked
from dormatory.errors import DamagedDatabaseError

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.backends.url import Target


def refuse_damaged_file(target: Target, *, wait_seconds: float = 0) -> None:
    """Raise DamagedDatabaseError for a damaged file, DatabaseLockedError for one that cannot be read in time."""
    try:
        with contextlib.closing(target_connection(target)) as connection:
            execute_unlocked(connection, "SELECT 1 FROM sqlite_schema", target, wait_seconds)
            problem = find_damage(connection, "quick_check")
    except sqlite3.OperationalError as error:
        raise explain_sqlite_error(error, target) from error
    except sqlite3.DatabaseError as error:
        raise DamagedDatabaseError(str(target), str(error)) from error
    if problem:
        raise DamagedDatabaseError(str(target), problem)


def refuse_damaged_copy(target: Target, copy: Path) -> None:
    """Raise DamagedDatabaseError for a target whose copy, which nobody writes to, is damaged."""
    try:
        problem = find_damage_in_copy(copy)
    except sqlite3.DatabaseError as error:
        problem = str(error)
    if problem:
        raise DamagedDatabaseError(str(target), problem)


def find_damage(connection: sqlite3.Connection, check: str = "integrity_check") -> str:
    """Return the first problem that a check of SQLite finds, or ""; quick_check leaves the entries of indexes out."""
    (result,) = connection.execute(f"PRAGMA {check}(1)").fetchone()
    return "" if result == "ok" else " ".join(result.split()).removeprefix("*** in database main *** ")


def find_damage_in_copy(file: Path) -> str:
    """Return the first problem in a file that nobody writes to, read without a lock and without a journal, or ""."""
    uri = f"{file.absolute().as_uri()}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
        return find_damage(connection)
