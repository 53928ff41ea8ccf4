"""Write the next revision from the models."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING

from dormatory.backends.names import BACKEND_NAMES
from dormatory.commands.declared_losses import declare_losses
from dormatory.errors import ProgramMissingError
from dormatory.project.checksum_update import add_checksums
from dormatory.project.history import History
from dormatory.runtime import numbering, scratch
from dormatory.runtime.runner import Runner
from dormatory.system.file_lock import directory_lock
from dormatory.system.process import run_program

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.backends.parts import ScratchMaker
    from dormatory.project.project import Project


def write_revision(project: Project, message: str, *, empty: bool) -> Path | None:
    """Write the next revision and return its file, or None if autogenerate finds no difference of the models.

    Raises MessageTooShortError, MultipleHeadsError.
    """
    title = numbering.checked_title(message)
    History.read(project).refuse_branches()
    with directory_lock(project.script_location):  # another run would take the same number and the same parent
        file = Runner(project).write_revision(title, autogenerate=False) if empty else _autogenerate(project, title)
        if file is not None:
            declare_losses(file)
            _format(file)
            add_checksums(project)
    return file


def _autogenerate(project: Project, title: str) -> Path | None:
    """Write what autogenerate finds, or return None if it finds nothing."""
    with ExitStack() as servers:
        maker = _comparing_maker(project, servers)
        with (
            scratch.at_revision(project, maker) as target,
            scratch.reading_connection(target) as connection,
        ):
            return Runner(project, target=target, connection=connection).write_revision(title, autogenerate=True)


def _comparing_maker(project: Project, servers: ExitStack) -> ScratchMaker:
    """Return the maker of the database that autogenerate compares with: PostgreSQL if it can.

    On SQLite it writes forms that PostgreSQL refuses, such as a boolean default of 0.
    """
    *preferred, last = [name for name in reversed(BACKEND_NAMES) if name in project.settings.backends]
    for name in preferred:
        try:
            return servers.enter_context(scratch.databases(name))
        except ProgramMissingError:
            continue
    return servers.enter_context(scratch.databases(last))


def _format(file: Path) -> None:
    """Format a generated file with Ruff, if Ruff is installed; Alembic's own layout would fail `nox -s lint`."""
    if find_spec("ruff"):
        run_program([sys.executable, "-m", "ruff", "format", "--quiet", str(file)], cwd=file.parent)
