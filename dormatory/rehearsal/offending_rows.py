"""Which rows a revision fails on: its failing statement is met a second time, and the rows are looked for before it."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event

from dormatory.backends.postgresql import violations as offences_postgresql
from dormatory.backends.sqlite import violations as offences_sqlite
from dormatory.rehearsal.model import Offence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection
    from sqlalchemy.engine import ExceptionContext

    from dormatory.backends.violation import Violation

MOST_KEYS = 10


@dataclass(slots=True)
class Heard:
    """The statement that failed last, with the driver's own error, and which one of the same words it was."""

    counts: Counter[str] = field(default_factory=Counter)
    statement: str = ""
    place: int = 0
    error: BaseException | None = None
    act: Callable[[Connection], None] | None = None

    def reset(self) -> None:
        """Count anew: a leg begins."""
        self.counts.clear()
        self.error = None


class _SeenError(Exception):
    """What there was to see has been seen; the statement need not fail again."""


@contextmanager
def hearing() -> Iterator[Heard]:
    """Listen, for the length of the block, to every engine of this process: env.py may have made its own.

    It must begin before a connection is opened, which takes its listeners along.
    """
    heard = Heard()

    def before(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        heard.counts[statement] += 1
        if heard.act and statement == heard.statement and heard.counts[statement] == heard.place:
            heard.act(connection)
            raise _SeenError(statement)

    def failed(context: ExceptionContext) -> None:
        if not heard.act and context.original_exception is not None and context.statement:
            heard.statement, heard.error = context.statement, context.original_exception
            heard.place = heard.counts[context.statement]

    event.listen(Engine, "before_cursor_execute", before)
    event.listen(Engine, "handle_error", failed)
    try:
        yield heard
    finally:
        event.remove(Engine, "before_cursor_execute", before)
        event.remove(Engine, "handle_error", failed)


@contextmanager
def hearing_again(heard: Heard, backend: str, *, show_values: bool) -> Iterator[list[Offence]]:
    """Give a list that takes up the rows that a statement will fail on, when the block plays up to it once more.

    The block must find what the first try found, and ends with an error. The list stays empty for an error that is not
    about rows.
    """
    found: list[Offence] = []
    error, statement = heard.error, heard.statement
    if error is None:
        yield found
        return
    module = offences_postgresql if backend == "postgresql" else offences_sqlite

    def act(connection: Connection) -> None:
        raw: Any = connection.connection
        violation = module.violation(error, statement, raw)
        if violation:
            found.append(_looked(violation, raw, show_values=show_values))

    heard.counts.clear()
    heard.act = act
    yield found
    heard.act = None


def dangling(connection: Connection, *, show_values: bool) -> Iterator[Offence]:
    """Yield the rows of an SQLite database that refer to rows that are not there."""
    raw: Any = connection.connection
    for violation in offences_sqlite.orphans(raw):
        yield _looked(violation, raw, show_values=show_values)


def _looked(violation: Violation, raw: Any, *, show_values: bool) -> Offence:
    """Count the rows that violate something, and read the keys of the first ones if they may be shown."""
    rule, table, columns = violation.rule, violation.shown, violation.columns
    if not violation.condition:
        return Offence(rule, table, columns, 1)
    names = (*violation.keys, *(name for name in columns if name not in violation.keys and violation.has(name)))
    cursor = raw.cursor()
    try:
        cursor.execute(violation.count)
        count = int(cursor.fetchone()[0])
        keys: tuple[str, ...] = ()
        if show_values:
            cursor.execute(violation.query(names, MOST_KEYS))
            keys = tuple(
                ", ".join(f"{name}={value}" for name, value in zip(names, row, strict=True))
                for row in cursor.fetchall()
            )
    finally:
        cursor.close()
    return Offence(rule, table, columns, count, keys, violation.keys, violation.query(violation.keys))
