"""Scratch databases with the history played on them: what autogenerate, dumps and checks compare against."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from dormatory.database import throwaway
from dormatory.database.backend import NAMES, backend_for
from dormatory.errors import UnsupportedBackendError
from dormatory.migrations.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dormatory.database.url import Target
    from dormatory.migrations.project import Project

    Scratch = Callable[[], contextlib.AbstractContextManager[Target]]


@contextlib.contextmanager
def databases(backend: str) -> Iterator[Scratch]:
    """Give a maker of empty databases of one kind, whose server, if it needs one, lives as long as the block.

    Raises UnsupportedBackendError for a kind we do not know, ProgramMissingError where no server is found.
    """
    if backend == "sqlite":
        yield throwaway.scratch_sqlite
    elif backend == "postgresql":
        with throwaway.server() as server:
            yield lambda: throwaway.scratch_postgresql(server)
    else:
        raise UnsupportedBackendError(backend, known=NAMES)


@contextlib.contextmanager
def at_revision(project: Project, scratch: Scratch, revision: str = "heads") -> Iterator[Target]:
    """Give a scratch database to which the history was applied, up to a revision."""
    with scratch() as target:
        upgrade(project, target, revision)
        yield target


def upgrade(project: Project, target: Target, revision: str) -> None:
    """Apply the history to a scratch database, up to a revision."""
    with backend_for(target).engine(target, writing=True).connect() as connection:
        Runner(project, target=target, connection=connection).upgrade(revision)
        connection.commit()  # env.py files of other projects may leave this to whoever gave the connection


def version_table(project: Project, target: Target) -> str:
    """Return the table in which the project's env.py keeps the revision, with its namespace if it names one."""
    with backend_for(target).engine(target, writing=False).connect() as connection:
        return Runner(project, target=target, connection=connection).environment().version_table
