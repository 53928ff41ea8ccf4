"""Writing the next revision: generated against a scratch database at head, and shown as the SQL it will run."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import event

from dormatory.database.backend import NAMES, backend_for
from dormatory.errors import DormatoryError, ProgramMissingError
from dormatory.migrations import numbering, scratch
from dormatory.migrations.history import History
from dormatory.migrations.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.database.url import Target
    from dormatory.migrations.project import Project
    from dormatory.migrations.runner import Move


@dataclass(frozen=True, slots=True)
class Preview:
    """The SQL that a revision ran on a scratch database of one backend, or why it could not be seen."""

    backend: str
    statements: tuple[str, ...]
    problem: str = ""


def write_revision(project: Project, message: str, *, empty: bool) -> Path | None:
    """Write the next revision and return its file, or None when the models match the history.

    PostgreSQL is preferred to generate against: SQLite writes its own forms, such as a boolean default of 0,
    which PostgreSQL refuses. Raises PoorTitleError for a message that says too little, MultipleHeadsError
    when there is no single place to put a revision.
    """
    title = numbering.checked_title(message)
    History.read(project).refuse_branches()
    if empty:
        return Runner(project).revision(title, autogenerate=False)
    with contextlib.ExitStack() as stack:
        try:
            maker = stack.enter_context(scratch.databases("postgresql"))
        except ProgramMissingError:
            maker = stack.enter_context(scratch.databases("sqlite"))
        target = stack.enter_context(scratch.at_revision(project, maker))
        connection = stack.enter_context(backend_for(target).engine(target, writing=False).connect())
        return Runner(project, target=target, connection=connection).revision(title, autogenerate=True)


def previews(project: Project, file: Path) -> Iterator[Preview]:
    """Yield, backend by backend, the SQL that a revision's upgrade really executes."""
    revision = next(item for item in History.read(project).revisions if item.path == file)
    for backend in NAMES:
        try:
            with scratch.databases(backend) as maker, maker() as target:
                for parent in revision.parents:
                    scratch.upgrade(project, target, parent)
                yield Preview(backend, tuple(_executed(project, target, revision.id)))
        except DormatoryError as error:
            yield Preview(backend, (), str(error))


def _executed(project: Project, target: Target, revision: str) -> list[str]:
    """Apply one revision and return its statements, without Alembic's own book-keeping."""
    listener = _Statements()
    engine = backend_for(target).engine(target, writing=True)
    event.listen(engine, "before_cursor_execute", listener.note)
    with engine.connect() as connection:
        Runner(project, target=target, connection=connection).upgrade(revision, listener)
    return listener.statements


class _Statements:
    """Listens to a run and keeps the statements between a move's start and its entry in the version table."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self._moving = False

    def planned(self, moves: tuple[Move, ...]) -> None: ...

    def started(self, move: Move) -> None:  # noqa: ARG002
        self._moving = True

    def finished(self, move: Move, seconds: float) -> None:  # noqa: ARG002
        self._moving = False

    def note(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        words = statement.split()
        if self._moving and words[0].upper() not in ("SELECT", "PRAGMA", "BEGIN") and "alembic_version" not in words:
            self.statements.append(statement.strip())
