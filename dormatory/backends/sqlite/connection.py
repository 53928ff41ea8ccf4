"""Connections to an SQLite file, and the files that SQLite keeps next to it."""

from __future__ import annotations

import sqlite3
import sys
from typing import TYPE_CHECKING

from dormatory.backends.sqlite.explanations import explain_sqlite_error, kind_problem
from dormatory.backends.sqlite.url import file_uri, read_only_option
from dormatory.errors import ReadOnlyURLError

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.backends.url import Target

USER_TABLES_QUERY = r"SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'"
_SIDE_FILE_SUFFIXES = ("-journal", "-wal", "-shm")


def is_existing_file(target: Target) -> bool:
    """Return whether the file exists.

    Raises DatabaseFailedError for a directory or a device, and when its directory may not be read.
    """
    try:
        mode = target.path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise explain_sqlite_error(error, target) from error
    if problem := kind_problem(mode):
        raise explain_sqlite_error(OSError(problem), target)
    return True


def refuse_read_only(target: Target) -> None:
    """Raise ReadOnlyURLError for a URL with an option such as mode=ro."""
    if option := read_only_option(target.url):
        raise ReadOnlyURLError(str(target), option)


def disable_driver_transactions(driver: sqlite3.Connection) -> None:
    """Stop Python's driver from beginning or committing anything by itself.

    From 3.12 on the driver has an `autocommit` mode of its own next to the legacy one, and the default is going
    to change (https://docs.python.org/3/library/sqlite3.html#sqlite3-controlling-transactions), so the mode is
    set, not assumed: legacy control, in which `isolation_level = None` leaves every BEGIN to us.
    """
    if sys.version_info >= (3, 12):
        driver.autocommit = sqlite3.LEGACY_TRANSACTION_CONTROL
    driver.isolation_level = None


def side_files(path: Path) -> list[Path]:
    """Return the names of the files that SQLite puts next to its own."""
    return [path.with_name(path.name + suffix) for suffix in _SIDE_FILE_SUFFIXES]


def target_connection(target: Target, *, wait_seconds: float = 0) -> sqlite3.Connection:
    """Open the file of a target as its URL says, by default without waiting for a lock; it is never created."""
    connection = sqlite3.connect(file_uri(target.url), uri=True, timeout=wait_seconds)
    disable_driver_transactions(connection)
    return connection


def sqlite_connection(path: Path, *, wait_seconds: float = 0) -> sqlite3.Connection:
    """Open an existing file, by default without waiting for a lock."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=wait_seconds)
    disable_driver_transactions(connection)
    return connection
