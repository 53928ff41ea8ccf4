"""Try an SQLite file as a reader or a writer does, once per call; the file is locked as a whole."""

from __future__ import annotations

import contextlib
import sqlite3
from time import sleep
from typing import TYPE_CHECKING

from dormatory.backends.sqlite.connection import target_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dormatory.backends.url import Target

# A transaction that began by reading cannot wait for another writer: SQLite refuses its first write at once.
READERS_CAN_WAIT_TO_WRITE = False
_PAUSE_SECONDS = 0.002
_READ = ("SELECT 1 FROM sqlite_schema LIMIT 1",)
_WRITE = ("BEGIN IMMEDIATE", "ROLLBACK")  # takes the lock that admits one writer at a time


def split_by_limit(_tables: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return what to probe, "" for the file, and the tables that are left out, of which there are none."""
    return ("",), ()


@contextlib.contextmanager
def open_probe(target: Target, _table: str, *, writes: bool) -> Iterator[Callable[[], bool | None]]:
    """Provide a function that tries the file once and returns False when it is locked."""
    with contextlib.closing(target_connection(target)) as connection:

        def attempt() -> bool | None:
            # SQLite's own waiting would sleep for up to a tenth of a second at a time.
            try:
                for statement in _WRITE if writes else _READ:
                    connection.execute(statement).fetchall()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
                sleep(_PAUSE_SECONDS)
                return False
            return True

        yield attempt
