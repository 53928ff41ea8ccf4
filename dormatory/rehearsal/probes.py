"""Readers and writers that try some tables again and again while a revision runs, and measure how long they wait."""

from __future__ import annotations

import contextlib
import sqlite3
from threading import Event, Thread
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Protocol

import psycopg2
from psycopg2 import errors, sql

from dormatory.backends.registry import backend_for
from dormatory.backends.sqlite.connection import sqlite_connection
from dormatory.rehearsal.model import Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dormatory.backends.url import Target
    from dormatory.recording.model import Direction

_PAUSE_SECONDS = 0.002
_THREAD_TIMEOUT_SECONDS = 5.0
MAX_PROBED_TABLES = 20  # each takes two of the throwaway server's hundred connections
_READ = "SELECT 1 FROM {} LIMIT 1"
# What every INSERT, UPDATE and DELETE takes, and a row that the revision may be writing, too; nothing is written.
_WRITE = "LOCK TABLE {0} IN ROW EXCLUSIVE MODE; SELECT 1 FROM {0} LIMIT 1 FOR NO KEY UPDATE"
# A writer that waits for a row keeps the revision waiting for the table, and it must not be the revision that the
# server ends for that: so nobody waits longer than this at a time, and whoever did tries again at once.
_SET_LOCK_TIMEOUT = "SET lock_timeout = '100ms'"


class _Probe(Protocol):
    """Somebody who uses a table."""

    table: str
    user: str

    def open(self) -> contextlib.AbstractContextManager[Callable[[], bool | None]]:
        """Give what tries the table once: False when it is locked, None when there is nothing to try any more."""


@contextlib.contextmanager
def probe_tables(
    target: Target, tables: Sequence[str], direction: Direction, waits: list[Wait], *, writing: bool = True
) -> Iterator[None]:
    """Add to a list, when the block has ended, the longest wait of a reader and of a writer for each table.

    On SQLite the tables are one, for the file is locked as a whole; elsewhere the first MOST_TABLES of them are tried.
    Without `writing` nobody but readers try.
    """
    users = ("readers", "writers") if writing else ("readers",)
    probes: list[_Probe]
    if target.backend_name == "sqlite":
        probes = [_FileProbe(target, user) for user in users]
    else:
        probes = [_TableProbe(target, table, user) for table in tables[:MAX_PROBED_TABLES] for user in users]
    runs = [_ProbeThread(probe, direction) for probe in probes]
    try:
        for run in runs:
            run.start()
        for run in runs:
            run.ready.wait(_THREAD_TIMEOUT_SECONDS)
        yield
    finally:
        for run in runs:
            run.stop_requested.set()
        for run in runs:
            run.join(_THREAD_TIMEOUT_SECONDS)
        waits += [stall for run in runs if (stall := run.longest_wait) is not None]


class _ProbeThread(Thread):
    """A probe at work, from its start until `over` is set."""

    def __init__(self, probe: _Probe, direction: Direction) -> None:
        super().__init__(daemon=True)
        self._probe, self._direction = probe, direction
        self.ready, self.stop_requested = Event(), Event()
        self.longest_wait: Wait | None = None

    def run(self) -> None:
        """Try, wait a moment, try again; a table that has gone is left alone."""
        longest = 0.0
        try:
            with self._probe.open() as attempt:
                attempt()
                self.ready.set()
                outcome: bool | None = True
                while outcome is not None and not self.stop_requested.wait(_PAUSE_SECONDS):
                    began = perf_counter()
                    while (outcome := attempt()) is False and not self.stop_requested.is_set():
                        pass
                    longest = max(longest, perf_counter() - began)
        except Exception:  # noqa: BLE001  # a probe that cannot work leaves no figure, and breaks nothing
            return
        finally:
            self.ready.set()
        self.longest_wait = Wait(self._probe.table, self._probe.user, self._direction, longest)


class _TableProbe:
    """Somebody who reads or writes a table of a PostgreSQL database."""

    def __init__(self, target: Target, table: str, user: str) -> None:
        self._target, self.table, self.user = target, table, user

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[], bool | None]]:
        with (
            backend_for(self._target).driver_connection(self._target, writing=False) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(_SET_LOCK_TIMEOUT)
            connection.commit()
            namespace, _, name = self.table.rpartition(".")
            text = sql.SQL(_READ if self.user == "readers" else _WRITE).format(
                sql.Identifier(namespace or "public", name)
            )

            def attempt() -> bool | None:
                try:
                    cursor.execute(text)
                except (errors.LockNotAvailable, errors.DeadlockDetected):
                    return False
                except psycopg2.Error:
                    return None
                finally:
                    connection.rollback()
                return True

            yield attempt


class _FileProbe:
    """Somebody who reads or writes an SQLite file; to write, one takes the lock that lets in one writer at a time."""

    def __init__(self, target: Target, user: str) -> None:
        self._target, self.table, self.user = target, "", user

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[], bool | None]]:
        with contextlib.closing(sqlite_connection(self._target.path)) as connection:
            statements = (
                ["SELECT 1 FROM sqlite_schema LIMIT 1"] if self.user == "readers" else ["BEGIN IMMEDIATE", "ROLLBACK"]
            )

            def attempt() -> bool | None:
                # SQLite's own waiting would sleep for up to a tenth of a second at a time.
                try:
                    for statement in statements:
                        connection.execute(statement).fetchall()
                except sqlite3.OperationalError as error:
                    if "locked" not in str(error):
                        raise
                    sleep(_PAUSE_SECONDS)
                    return False
                return True

            yield attempt
