"""Records the SQL statements of a connection: the line in the revision, the time, the rows and the locks of each."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from dormatory.backends.driver import is_transaction_aborted
from dormatory.backends.registry import backend_by_name
from dormatory.backends.tracer import NO_EFFECTS
from dormatory.errors.location import Location
from dormatory.recording.leg import Lock, Statement, TransactionEnd
from dormatory.replay.offending_rows import StatementFailure, query_offending_rows
from dormatory.sql.masking import without_row_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection
    from sqlalchemy.engine import ExceptionContext

    from dormatory.backends.tracer import StatementEffects
    from dormatory.project.project import Project


class StatementRecorder:
    """Records the statements of one connection between `start` and `stop`; `failed` is the last failed one."""

    def __init__(self, connection: Connection, project: Project, *, is_scratch: bool = False) -> None:
        self._connection = connection
        self._version_directories = tuple(f"{location}/" for location in project.version_locations)
        self._root = f"{project.root}/"
        self._driver = backend_by_name(connection.dialect.name).tracer
        self._tracer = self._driver.statement_tracer(connection, is_scratch=is_scratch)
        self._records: list[tuple[Statement, float, StatementEffects]] = []
        self._transactions = _TransactionCounter()
        self._doubles_percent_signs = connection.dialect.paramstyle in {"format", "pyformat"}
        self._is_recording = False
        self.failed: StatementFailure | None = None
        self.transaction_ends: list[TransactionEnd] = []
        self._began, self._rows_written_before = 0.0, 0
        event.listen(connection, "before_cursor_execute", self._before_execute)
        event.listen(connection, "after_cursor_execute", self._after_execute)
        event.listen(connection, "commit", self._on_commit)
        event.listen(connection, "rollback", self._on_rollback)
        event.listen(connection, "rollback_savepoint", self._on_rollback)
        event.listen(connection.dialect, "handle_error", self._on_error)  # connections do not have this event

    def prepare(self, connection: Connection) -> None:
        """Read which relations exist ahead of `start`, on any connection to the same database.

        Call it at the end of a transaction that will be committed, if nothing else happens before `start`.
        """
        if self._tracer:
            self._tracer.prepare(connection)

    def start(self) -> None:
        """Forget the recorded statements, and record from now on."""
        self._records, self._transactions = [], _TransactionCounter()
        self.transaction_ends, self.failed = [], None
        if self._tracer:
            self._tracer.start()
        self._is_recording = True

    def stop(self) -> tuple[Statement, ...]:
        """Stop recording, and return the statements since the start; locks that are still held end now."""
        self._is_recording = False
        now = perf_counter()
        return tuple(replace(each, locks=self._locks(each, began, done, now)) for each, began, done in self._records)

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Do not record our own statements in the block."""
        before, self._is_recording = self._is_recording, False
        try:
            yield
        finally:
            self._is_recording = before

    def _locks(self, statement: Statement, began: float, effects: StatementEffects, now: float) -> tuple[Lock, ...]:
        end = self._transactions.end_times.get(statement.transaction, now) if statement.transaction else None
        seconds = statement.seconds if end is None else end - began
        return tuple(Lock(table, mode, seconds) for table, mode in effects.locks)

    def _before_execute(self, _connection: object, cursor: Any, sql: str, parameters: Any, *_: object) -> None:
        self._rows_written_before = self._driver.total_rows_written(cursor)
        if self._is_recording:
            self._transactions.count_ended()
            if self._tracer:
                self._tracer.before_statement(sql, _first_set(parameters))
        self._began = perf_counter()

    def _after_execute(self, _connection: object, cursor: Any, sql: str, parameters: Any, *_: object) -> None:
        if self._is_recording:
            seconds, rows = perf_counter() - self._began, cursor.rowcount
            # sqlite3 counts the rows of a statement that begins with its verb, but not of one that begins with WITH.
            self._record(
                sql,
                parameters,
                seconds,
                rows if rows >= 0 else self._driver.total_rows_written(cursor) - self._rows_written_before or -1,
            )

    def _on_error(self, context: ExceptionContext) -> None:
        """Record a statement that failed; after the error, the server has released its locks."""
        if self._is_recording and context.connection is self._connection and context.execution_context is not None:
            self._record(context.statement or "", context.parameters, perf_counter() - self._began, None)
            if not is_transaction_aborted(context.original_exception):
                self._record_failure(context)

    def _record_failure(self, context: ExceptionContext) -> None:
        error, sql = context.original_exception, context.statement or ""
        violation, rows = None, None
        find_violation = backend_by_name(self._connection.dialect.name).violations.find_violation
        # PostgreSQL reads nothing more until a rollback.
        with self.pause(), suppress(self._connection.dialect.loaded_dbapi.Error):
            violation = find_violation(error, sql, self._connection.connection)
            if violation:
                rows = query_offending_rows(violation, self._connection.connection, show_values=False)
        self.failed = StatementFailure(sql, error, Location(*self._issuing_line()), violation, rows)

    def _record(self, sql: str, parameters: Any, seconds: float, rows: int | None) -> None:
        file, line = self._issuing_line()
        is_open = self._driver.is_transaction_open(self._connection)
        effects = NO_EFFECTS
        if self._tracer and line:
            effects = (
                self._tracer.unknown_effects() if rows is None else self._tracer.after_statement(sql, is_open=is_open)
            )
        statement = Statement(
            (sql.replace("%%", "%") if self._doubles_percent_signs else sql).strip(),
            _parameter_types(parameters),
            file,
            line,
            seconds,
            -1 if rows is None else rows,
            self._transactions.number_of(is_open=is_open),
            effects.lock_timeout,
            rewritten=effects.rewritten,
            scanned=effects.scanned,
            owner_refusal=without_row_values(effects.owner_refusal),
            owner_rows=effects.owner_rows,
            foreign_keys=effects.foreign_keys,
        )
        self._records.append((statement, self._began, effects))

    def _on_commit(self, _connection: object) -> None:
        self._record_transaction_end("COMMIT")
        self._transactions.end()

    def _on_rollback(self, _connection: object, *savepoint: object) -> None:
        if not savepoint:
            self._record_transaction_end("ROLLBACK")
            self._transactions.end()
        if self._tracer:
            self._tracer.forget_transaction()

    def _record_transaction_end(self, verb: str) -> None:
        """Record where the revision itself ends an open transaction, unless it enters or leaves an autocommit block."""
        if self._connection.invalidated:  # a revision has closed it
            return
        if self._is_recording and self._driver.is_transaction_open(self._connection):
            file, line = self._issuing_line(is_autocommit_counted=False)
            if line:
                self.transaction_ends.append(TransactionEnd(verb, Location(file, line)))

    def _issuing_line(self, *, is_autocommit_counted: bool = True) -> tuple[str, int]:
        """Return the innermost line of a revision in the call stack, "" and 0 if there is none."""
        frame = sys._getframe(3)  # noqa: SLF001  # documented, and cheaper than inspect.stack()
        while frame is not None:
            name = frame.f_code.co_filename
            if name.startswith(self._version_directories):
                return name.removeprefix(self._root), frame.f_lineno
            if frame.f_code.co_name == "autocommit_block" and not is_autocommit_counted:
                break
            frame = frame.f_back  # type: ignore[assignment]
        return "", 0


class _TransactionCounter:
    """Numbers the transactions of a leg from 1, and records when each of them ended."""

    def __init__(self) -> None:
        self.end_times: dict[int, float] = {}
        self._number = 1
        self._is_used = False
        self._ended_at: float | None = None

    def number_of(self, *, is_open: bool) -> int:
        """Return the transaction number of the last statement; 0 if it was a transaction of its own."""
        if is_open:
            self._is_used = True
            return self._number
        if not self._is_used:
            return 0
        number = self._number  # the statement is a COMMIT, sent as text
        self.end()
        self.count_ended()
        return number

    def end(self) -> None:
        """Note that the transaction is about to end; the commit itself still takes time."""
        self._ended_at = perf_counter()

    def count_ended(self) -> None:
        """Begin the next transaction if one has ended; the last one of a leg ends with the leg."""
        if self._ended_at is not None and self._is_used:
            self.end_times[self._number] = self._ended_at
            self._number, self._is_used = self._number + 1, False
        self._ended_at = None


def _first_set(parameters: Any) -> Any:
    """Return one set of parameters; a list holds many."""
    return parameters[0] if isinstance(parameters, list) and parameters else parameters


def _parameter_types(parameters: Any) -> tuple[str, ...]:
    """Return the types of one set of parameters, in the order of their names or places."""
    first = _first_set(parameters)
    values = first.values() if hasattr(first, "values") else first or ()
    return tuple(type(value).__name__ for value in values)
