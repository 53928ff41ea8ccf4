"""Find the rows a revision fails on: replay up to the failing statement, then query for the violating rows."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event

from dormatory.backends.registry import backend_by_name
from dormatory.replay.offending_rows import query_offending_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection
    from sqlalchemy.engine import ExceptionContext

    from dormatory.recording.offending_rows import OffendingRows


@dataclass(slots=True)
class FailedStatement:
    """The statement that failed last, its driver's error, and how often the same text had been sent by then."""

    counts: Counter[str] = field(default_factory=Counter)
    statement: str = ""
    occurrence: int = 0
    error: BaseException | None = None
    on_repeat: Callable[[Connection], None] | None = None

    def reset(self) -> None:
        """Start counting for a new leg."""
        self.counts.clear()
        self.error = None


class _StopReplayError(Exception):
    """The offending rows have been read; the statement need not fail again."""


@contextmanager
def record_failed_statement() -> Iterator[FailedStatement]:
    """Record the statement that fails on any engine of this process: env.py may have made its own.

    Enter the block before a connection is opened: a connection keeps the listeners that its engine had by then.
    """
    failed_statement = FailedStatement()

    def stop_on_repeat(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        failed_statement.counts[statement] += 1
        if (
            failed_statement.on_repeat
            and statement == failed_statement.statement
            and failed_statement.counts[statement] == failed_statement.occurrence
        ):
            failed_statement.on_repeat(connection)
            raise _StopReplayError(statement)

    def note_failure(context: ExceptionContext) -> None:
        if not failed_statement.on_repeat and context.original_exception is not None and context.statement:
            failed_statement.statement, failed_statement.error = context.statement, context.original_exception
            failed_statement.occurrence = failed_statement.counts[context.statement]

    event.listen(Engine, "before_cursor_execute", stop_on_repeat)
    event.listen(Engine, "handle_error", note_failure)
    try:
        yield failed_statement
    finally:
        event.remove(Engine, "before_cursor_execute", stop_on_repeat)
        event.remove(Engine, "handle_error", note_failure)


@contextmanager
def find_offending_rows(
    failed_statement: FailedStatement, backend: str, *, show_values: bool
) -> Iterator[list[OffendingRows]]:
    """Provide a list that collects the rows a statement fails on, while the block replays up to that statement.

    The block must start from the same database as the first attempt, and ends with an error. The list stays empty for
    an error that is not about rows.
    """
    found: list[OffendingRows] = []
    error, statement = failed_statement.error, failed_statement.statement
    if error is None:
        yield found
        return
    find_violation = backend_by_name(backend).violations.find_violation

    def collect(connection: Connection) -> None:
        raw: Any = connection.connection
        violation = find_violation(error, statement, raw)
        if violation:
            found.append(query_offending_rows(violation, raw, show_values=show_values))

    failed_statement.counts.clear()
    failed_statement.on_repeat = collect
    yield found
    failed_statement.on_repeat = None


def dangling_rows(connection: Connection, *, show_values: bool) -> Iterator[OffendingRows]:
    """Yield the rows that refer to missing rows, on a backend that does not check that itself."""
    raw: Any = connection.connection
    for violation in backend_by_name(connection.dialect.name).violations.find_dangling_rows(raw):
        yield query_offending_rows(violation, raw, show_values=show_values)
