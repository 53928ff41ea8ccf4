"""Which rows a revision fails on: its failing statement is met a second time, and the rows are looked for before it."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event

from dormatory.backends.postgresql.violations import find_postgresql_violation
from dormatory.backends.sqlite.violations import find_sqlite_violation, foreign_key_violations
from dormatory.rehearsal.model import OffendingRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection
    from sqlalchemy.engine import ExceptionContext

    from dormatory.backends.violation import Violation

MAX_SHOWN_KEYS = 10


@dataclass(slots=True)
class FailedStatement:
    """The statement that failed last, with the driver's own error, and which one of the same words it was."""

    counts: Counter[str] = field(default_factory=Counter)
    statement: str = ""
    occurrence: int = 0
    error: BaseException | None = None
    on_repeat: Callable[[Connection], None] | None = None

    def reset(self) -> None:
        """Count anew: a leg begins."""
        self.counts.clear()
        self.error = None


class _StopReplayError(Exception):
    """What there was to see has been seen; the statement need not fail again."""


@contextmanager
def record_failed_statement() -> Iterator[FailedStatement]:
    """Listen, for the length of the block, to every engine of this process: env.py may have made its own.

    It must begin before a connection is opened, which takes its listeners along.
    """
    failed_statement = FailedStatement()

    def before(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        failed_statement.counts[statement] += 1
        if (
            failed_statement.on_repeat
            and statement == failed_statement.statement
            and failed_statement.counts[statement] == failed_statement.occurrence
        ):
            failed_statement.on_repeat(connection)
            raise _StopReplayError(statement)

    def failed(context: ExceptionContext) -> None:
        if not failed_statement.on_repeat and context.original_exception is not None and context.statement:
            failed_statement.statement, failed_statement.error = context.statement, context.original_exception
            failed_statement.occurrence = failed_statement.counts[context.statement]

    event.listen(Engine, "before_cursor_execute", before)
    event.listen(Engine, "handle_error", failed)
    try:
        yield failed_statement
    finally:
        event.remove(Engine, "before_cursor_execute", before)
        event.remove(Engine, "handle_error", failed)


@contextmanager
def find_offending_rows(
    failed_statement: FailedStatement, backend: str, *, show_values: bool
) -> Iterator[list[OffendingRows]]:
    """Give a list that takes up the rows that a statement will fail on, when the block plays up to it once more.

    The block must find what the first try found, and ends with an error. The list stays empty for an error that is not
    about rows.
    """
    found: list[OffendingRows] = []
    error, statement = failed_statement.error, failed_statement.statement
    if error is None:
        yield found
        return
    find_violation = find_postgresql_violation if backend == "postgresql" else find_sqlite_violation

    def collect(connection: Connection) -> None:
        raw: Any = connection.connection
        violation = find_violation(error, statement, raw)
        if violation:
            found.append(_query_offending_rows(violation, raw, show_values=show_values))

    failed_statement.counts.clear()
    failed_statement.on_repeat = collect
    yield found
    failed_statement.on_repeat = None


def dangling_rows(connection: Connection, *, show_values: bool) -> Iterator[OffendingRows]:
    """Yield the rows of an SQLite database that refer to rows that are not there."""
    raw: Any = connection.connection
    for violation in foreign_key_violations(raw):
        yield _query_offending_rows(violation, raw, show_values=show_values)


def _query_offending_rows(violation: Violation, raw: Any, *, show_values: bool) -> OffendingRows:
    """Count the rows that violate something, and read the keys of the first ones if they may be shown."""
    rule, table, columns = violation.rule, violation.display_name, violation.columns
    if not violation.condition:
        return OffendingRows(rule, table, columns, 1)
    names = (
        *violation.key_columns,
        *(name for name in columns if name not in violation.key_columns and violation.has_column(name)),
    )
    cursor = raw.cursor()
    try:
        cursor.execute(violation.count_query)
        count = int(cursor.fetchone()[0])
        keys: tuple[str, ...] = ()
        if show_values:
            cursor.execute(violation.keys_query(names, MAX_SHOWN_KEYS))
            keys = tuple(
                ", ".join(f"{name}={value}" for name, value in zip(names, row, strict=True))
                for row in cursor.fetchall()
            )
    finally:
        cursor.close()
    return OffendingRows(
        rule, table, columns, count, keys, violation.key_columns, violation.keys_query(violation.key_columns)
    )
