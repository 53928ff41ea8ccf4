"""Listens to a connection and keeps each SQL statement: its line in the revision, its time, and what it did."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import contextmanager
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from dormatory.backends.postgresql.tracer import NONE, Watch
from dormatory.recording.model import Lock, Statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection
    from sqlalchemy.engine import ExceptionContext

    from dormatory.backends.postgresql.tracer import Effects
    from dormatory.project.project import Project


class Observer:
    """Keeps the statements that pass through a connection while it is listening."""

    def __init__(self, connection: Connection, project: Project) -> None:
        self._connection = connection
        self._homes = tuple(f"{location}/" for location in project.version_locations)
        self._root = f"{project.root}/"
        self._watch = Watch(connection) if Watch.serves(connection) else None
        self._heard: list[tuple[Statement, float, Effects]] = []
        self._transactions = _Transactions()
        self._listening = False
        self._began, self._written = 0.0, 0
        event.listen(connection, "before_cursor_execute", self._before)
        event.listen(connection, "after_cursor_execute", self._after)
        event.listen(connection, "commit", lambda _: self._transactions.end())
        event.listen(connection, "rollback", self._rolled_back)
        event.listen(connection, "rollback_savepoint", self._rolled_back)
        event.listen(connection.dialect, "handle_error", self._failed)  # one connection alone does not have this event

    def prepare(self, connection: Connection) -> None:
        """Ask a PostgreSQL server already now what is there, on whichever connection to it.

        It is for the end of a transaction that is to be committed, and behind which nothing comes before `start`.
        """
        if self._watch:
            self._watch.prepare(connection)

    def start(self) -> None:
        """Forget what was heard, and listen. A PostgreSQL server is asked what is there."""
        self._heard, self._transactions = [], _Transactions()
        if self._watch:
            self._watch.start()
        self._listening = True

    def stop(self) -> tuple[Statement, ...]:
        """Stop listening, and return what was heard since the start; a lock still held was held until now."""
        self._listening = False
        now = perf_counter()
        return tuple(replace(each, locks=self._locks(each, began, done, now)) for each, began, done in self._heard)

    @contextmanager
    def looking_away(self) -> Iterator[None]:
        """Keep nothing of what we ask ourselves in the block."""
        before, self._listening = self._listening, False
        try:
            yield
        finally:
            self._listening = before

    def _locks(self, statement: Statement, began: float, effects: Effects, now: float) -> tuple[Lock, ...]:
        end = self._transactions.ends.get(statement.transaction, now) if statement.transaction else None
        seconds = statement.seconds if end is None else end - began
        return tuple(Lock(table, mode, seconds) for table, mode in effects.locks)

    def _before(self, _connection: object, cursor: Any, *_: object) -> None:
        self._written = _written_so_far(cursor)
        if self._listening:
            self._transactions.settle()
            if self._watch:
                self._watch.before()
        self._began = perf_counter()

    def _after(self, _connection: object, cursor: Any, sql: str, parameters: Any, *_: object) -> None:
        if self._listening:
            seconds, rows = perf_counter() - self._began, cursor.rowcount
            # Python's driver counts for SQLite what begins with the verb, and not what a WITH begins.
            self._keep(sql, parameters, seconds, rows if rows >= 0 else _written_so_far(cursor) - self._written or -1)

    def _failed(self, context: ExceptionContext) -> None:
        """Keep a statement that failed; with the error the server gave back what it had locked."""
        if self._listening and context.connection is self._connection and context.execution_context is not None:
            self._keep(context.statement or "", context.parameters, perf_counter() - self._began, None)

    def _keep(self, sql: str, parameters: Any, seconds: float, rows: int | None) -> None:
        file, line = self._issuer()
        is_open = _is_open(self._connection)
        effects = NONE
        if self._watch and line:
            effects = self._watch.unseen() if rows is None else self._watch.after(sql, is_open=is_open)
        statement = Statement(
            sql.strip(),
            _types(parameters),
            file,
            line,
            seconds,
            -1 if rows is None else rows,
            self._transactions.number_of(is_open=is_open),
            effects.lock_timeout,
            rewritten=effects.rewritten,
            scanned=effects.scanned,
        )
        self._heard.append((statement, self._began, effects))

    def _rolled_back(self, _connection: object, *savepoint: object) -> None:
        if not savepoint:
            self._transactions.end()
        if self._watch:
            self._watch.rolled_back()

    def _issuer(self) -> tuple[str, int]:
        """Return the innermost line of a revision on the way to this call."""
        frame = sys._getframe(3)  # noqa: SLF001  # the documented way to look at callers cheaply
        while frame is not None:
            name = frame.f_code.co_filename
            if name.startswith(self._homes):
                return name.removeprefix(self._root), frame.f_lineno
            frame = frame.f_back  # type: ignore[assignment]
        return "", 0


class _Transactions:
    """Numbers the transactions of a leg from 1, and keeps when each of them ended."""

    def __init__(self) -> None:
        self.ends: dict[int, float] = {}
        self._number = 1
        self._is_used = False
        self._end: float | None = None

    def number_of(self, *, is_open: bool) -> int:
        """Return the number of the statement that has just run; 0 where it was a transaction of its own."""
        if is_open:
            self._is_used = True
            return self._number
        if not self._is_used:
            return 0
        number = self._number  # of the COMMIT itself, sent as text
        self.end()
        self.settle()
        return number

    def end(self) -> None:
        """Take note that the transaction is about to end; the commit still takes its time."""
        self._end = perf_counter()

    def settle(self) -> None:
        """Count the next transaction, if one has ended; the last one of a leg ends with the leg."""
        if self._end is not None and self._is_used:
            self.ends[self._number] = self._end
            self._number, self._is_used = self._number + 1, False
        self._end = None


def _written_so_far(cursor: Any) -> int:
    """Return how many rows a connection has written since it was opened, where it is Python's own to SQLite."""
    connection = getattr(cursor, "connection", None)
    return connection.total_changes if isinstance(connection, sqlite3.Connection) else 0


def _is_open(connection: Connection) -> bool:
    """Tell from the driver, without asking the server, whether a transaction is open."""
    driver: Any = connection.connection.driver_connection
    if hasattr(driver, "info"):  # psycopg and psycopg2; 0 is libpq's PQTRANS_IDLE
        return bool(driver.info.transaction_status)
    if hasattr(driver, "is_in_transaction"):  # asyncpg
        return bool(driver.is_in_transaction())
    return bool(getattr(driver, "in_transaction", connection.in_transaction()))  # sqlite3 and aiosqlite


def _types(parameters: Any) -> tuple[str, ...]:
    """Return the types of one set of parameters, in the order of their names or places."""
    first = parameters[0] if isinstance(parameters, list) and parameters else parameters  # a list holds many sets
    values = first.values() if hasattr(first, "values") else first or ()
    return tuple(type(value).__name__ for value in values)
