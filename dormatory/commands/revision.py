"""Write the next revision from the models, and preview the SQL that it runs on each backend."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self

from sqlalchemy.event import listen

from dormatory.backends.names import BACKEND_NAMES
from dormatory.backends.registry import backend_for
from dormatory.errors import DormatoryError, ProgramMissingError
from dormatory.project.checksum_update import add_checksums
from dormatory.project.history import History
from dormatory.runtime import numbering, scratch
from dormatory.runtime.progress import MoveStarted
from dormatory.runtime.runner import Runner
from dormatory.system.process import run_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.backends.parts import ScratchMaker
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.runtime.progress import Event


@dataclass(frozen=True, slots=True)
class Preview:
    """The SQL that a revision ran on a scratch database of one backend, or the `problem` that prevented it."""

    backend: str
    statements: tuple[str, ...]
    problem: str = ""


class RevisionWriter:
    """Writes revisions; starts each scratch server that it needs once, and stops it at the end of the block."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._servers = contextlib.ExitStack()
        self._makers: dict[str, ScratchMaker | DormatoryError] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._servers.close()

    def write(self, message: str, *, empty: bool) -> Path | None:
        """Write the next revision and return its file, or None when the models match the history.

        Autogenerate compares with PostgreSQL if it is installed: on SQLite it writes forms that PostgreSQL refuses,
        such as a boolean default of 0. Raises MessageTooShortError, MultipleHeadsError.
        """
        title = numbering.checked_title(message)
        History.read(self.project).refuse_branches()
        file = Runner(self.project).write_revision(title, autogenerate=False) if empty else self._autogenerate(title)
        if file is not None:
            _format(file)
            add_checksums(self.project)
        return file

    def _autogenerate(self, title: str) -> Path | None:
        """Write what autogenerate finds, or return None if it finds nothing."""
        try:
            maker = self._maker("postgresql")
        except ProgramMissingError:
            maker = self._maker("sqlite")
        with (
            scratch.at_revision(self.project, maker) as target,
            backend_for(target).engine(target, writing=False).connect() as connection,
        ):
            return Runner(self.project, target=target, connection=connection).write_revision(title, autogenerate=True)

    def previews(self, file: Path) -> Iterator[Preview]:
        """Yield for each backend the SQL that the upgrade of a revision executes."""
        revision = next(item for item in History.read(self.project).revisions if item.path == file)
        for backend in BACKEND_NAMES:
            try:
                with self._maker(backend)() as target:
                    for parent in revision.parents:
                        scratch.upgrade(self.project, target, parent)
                    yield Preview(backend, tuple(_executed_statements(self.project, target, revision.id)))
            except DormatoryError as error:
                yield Preview(backend, (), str(error))

    def _maker(self, backend: str) -> ScratchMaker:
        if backend not in self._makers:
            try:
                self._makers[backend] = self._servers.enter_context(scratch.databases(backend))
            except DormatoryError as error:
                self._makers[backend] = error
        found = self._makers[backend]
        if isinstance(found, DormatoryError):
            raise found
        return found


def _format(file: Path) -> None:
    """Format a generated file with Ruff, if Ruff is installed; Alembic's own layout would fail `nox -s lint`."""
    if find_spec("ruff"):
        run_program([sys.executable, "-m", "ruff", "format", "--quiet", str(file)], cwd=file.parent)


def _executed_statements(project: Project, target: Target, revision: str) -> list[str]:
    """Apply one revision and return its statements, without those of Alembic for the version table."""
    statements: list[str] = []
    is_moving = False

    def note_move(event: Event) -> None:
        nonlocal is_moving
        is_moving = isinstance(event, MoveStarted)

    def record(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        words = statement.split()
        if is_moving and words[0].upper() not in ("SELECT", "PRAGMA", "BEGIN") and "alembic_version" not in words:
            statements.append(statement.strip())

    engine = backend_for(target).engine(target, writing=True)
    listen(engine, "before_cursor_execute", record)
    with engine.connect() as connection:
        Runner(project, target=target, connection=connection).upgrade(revision, note_move)
    return statements
