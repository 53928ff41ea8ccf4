"""Listens to a connection and keeps each SQL statement with the line of the revision that issued it."""

from __future__ import annotations

import sys
from time import perf_counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from dormatory.migrations.recording import Statement

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from dormatory.migrations.project import Project


class Observer:
    """Keeps the statements that pass through a connection while it is listening."""

    def __init__(self, connection: Connection, project: Project) -> None:
        self._homes = tuple(f"{location}/" for location in project.version_locations)
        self._root = f"{project.root}/"
        self._statements: list[Statement] = []
        self._listening = False
        self._began = 0.0
        event.listen(connection, "before_cursor_execute", self._before)
        event.listen(connection, "after_cursor_execute", self._after)

    def start(self) -> None:
        """Forget what was heard, and listen."""
        self._statements = []
        self._listening = True

    def stop(self) -> tuple[Statement, ...]:
        """Stop listening, and return what was heard since the start."""
        self._listening = False
        return tuple(self._statements)

    def _before(self, *_: object) -> None:
        self._began = perf_counter()

    def _after(self, _connection: object, cursor: Any, sql: str, parameters: Any, *_: object) -> None:
        if not self._listening:
            return
        seconds = perf_counter() - self._began
        file, line = self._issuer()
        self._statements.append(Statement(sql.strip(), _types(parameters), file, line, seconds, cursor.rowcount))

    def _issuer(self) -> tuple[str, int]:
        """Return the innermost line of a revision on the way to this call."""
        frame = sys._getframe(2)  # noqa: SLF001  # the documented way to look at callers cheaply
        while frame is not None:
            name = frame.f_code.co_filename
            if name.startswith(self._homes):
                return name.removeprefix(self._root), frame.f_lineno
            frame = frame.f_back  # type: ignore[assignment]
        return "", 0


def _types(parameters: Any) -> tuple[str, ...]:
    """Return the types of one set of parameters, in the order of their names or places."""
    first = parameters[0] if isinstance(parameters, list) and parameters else parameters  # a list holds many sets
    values = first.values() if hasattr(first, "values") else first or ()
    return tuple(type(value).__name__ for value in values)
