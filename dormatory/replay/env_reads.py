"""Notes which tables env.py itself reads from in a replay: it may make a pass for each row of one, such as a tenant."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event

from dormatory.backends.registry import dialect_by_name
from dormatory.sql.clauses import source_tables
from dormatory.sql.lexer import tokenize_statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection


class EnvReads:
    """The tables that env.py has read from, in small letters, each with whether it ever had a row then."""

    def __init__(self) -> None:
        self.has_rows: dict[str, bool] = {}
        self._is_paused = False

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Note what is read in the block, on any connection, unless it is paused."""
        event.listen(Engine, "after_cursor_execute", self._after_execute)
        try:
            yield
        finally:
            event.remove(Engine, "after_cursor_execute", self._after_execute)

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Note nothing in the block: it belongs to a revision, or to us."""
        self._is_paused = True
        try:
            yield
        finally:
            self._is_paused = False

    def _after_execute(self, connection: Connection, cursor: Any, sql: str, parameters: Any, *_: Any) -> None:
        if self._is_paused:
            return
        tokens = tokenize_statement(sql, dialect_by_name(connection.dialect.name))
        if tokens and tokens[0].word in {"select", "with"} and (tables := source_tables(tokens)):
            has_rows = _has_rows(connection, cursor, sql, parameters)
            self.has_rows |= {name: self.has_rows.get(name, False) or has_rows for name in tables if name}


def _has_rows(connection: Connection, cursor: Any, sql: str, parameters: Any) -> bool:
    """Return whether a query that was just executed has any rows, which stay there for who sent it."""
    if cursor.rowcount >= 0:
        return bool(cursor.rowcount)
    again = connection.connection.cursor()  # below SQLAlchemy, where nobody else hears of it
    try:
        again.execute(sql, parameters)
        return again.fetchone() is not None
    finally:
        again.close()
