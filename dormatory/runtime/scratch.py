"""Scratch databases to which the history is applied: autogenerate, dumps and checks compare with them."""

from __future__ import annotations

from contextlib import chdir, contextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from dormatory.backends.driver import explained_connection
from dormatory.backends.introspection import read_snapshot
from dormatory.backends.missing_database import missing_database
from dormatory.backends.registry import backend_by_name, backend_for
from dormatory.errors import BaselineFailedError
from dormatory.runtime.runner import Runner
from dormatory.runtime.worker import call_in_worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from dormatory.backends.parts import ScratchMaker
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.schema.snapshot import Snapshot


def databases(backend: str) -> AbstractContextManager[ScratchMaker]:
    """Provide a function that creates empty databases on a backend; their server runs until the block ends.

    Raises UnsupportedBackendError for an unknown backend, ProgramMissingError if no server is installed.
    """
    return backend_by_name(backend).scratch.scratch_databases()


@contextmanager
def at_revision(project: Project, maker: ScratchMaker, revision: str = "heads") -> Iterator[Target]:
    """Provide a scratch database to which the history is applied up to a revision."""
    with maker() as target:
        upgrade(project, target, revision)
        yield target


def upgrade(project: Project, target: Target, revision: str) -> None:
    """Apply the history to a scratch database up to a revision."""
    run_baseline(project, target)
    call_in_worker(project, _upgrade, project, target, revision)


def run_baseline(project: Project, target: Target) -> None:
    """Run the project's baseline if it has one and the database is still empty; raises BaselineFailedError.

    Before that, the roles that the settings name are created.
    """
    create_roles(project, target)
    if project.settings.baseline:
        call_in_worker(project, _run_baseline, project, target)


def create_roles(project: Project, target: Target) -> None:
    """Create the roles that the settings name on the server of a scratch database."""
    if project.settings.roles:
        backend = backend_for(target)
        with backend.engine(target, writing=True).begin() as connection:
            backend.create_roles(connection, project.settings.roles)


def version_table_places(project: Project, target: Target) -> tuple[str, ...]:
    """Return where each pass of the project's env.py has its version table: with the namespace that it works in."""
    return call_in_worker(project, _version_table_places, project, target)


def version_tables(project: Project, target: Target, *, wait_seconds: float | None = None) -> tuple[str, ...]:
    """Return the version table of each pass of the project's env.py, with its namespace if it has one."""
    return call_in_worker(project, _version_tables, project, target, wait_seconds)


def current_revisions(project: Project, target: Target, *, wait_seconds: float | None = None) -> tuple[str, ...]:
    """Return the revisions that a database is at; with `wait_seconds`, wait no longer for what others have locked.

    Raises MissingDatabaseError, or another DatabaseFailedError if it cannot be read.
    """
    return call_in_worker(project, _current_revisions, project, target, wait_seconds)


def read_schema(target: Target, *version_tables: str, wait_seconds: float | None = None) -> Snapshot:
    """Return the structure of a database without its version tables; raises DatabaseFailedError."""
    with reading_connection(target, wait_seconds) as connection:
        return read_snapshot(connection, ignore=version_tables)


@contextmanager
def reading_connection(target: Target, wait_seconds: float | None = None) -> Iterator[Connection]:
    """Connect to a database for the length of the block; raises what an error of its server or its file means."""
    backend = backend_for(target)
    engine = backend.engine(target, writing=False)
    with explained_connection(engine, partial(backend.explain, target=target)) as connection:
        if wait_seconds is not None:
            backend.limit_reading_waits(connection, wait_seconds)
        yield connection


def _upgrade(project: Project, target: Target, revision: str) -> None:
    with backend_for(target).engine(target, writing=True).connect() as connection:
        Runner(project, target=target, connection=connection).upgrade(revision)
        connection.commit()  # another project's env.py may leave this to the owner of the connection


def _reading_limit(project: Project, wait_seconds: float | None) -> float:
    return project.settings.lock_wait if wait_seconds is None else wait_seconds


def _version_tables(project: Project, target: Target, wait_seconds: float | None) -> tuple[str, ...]:
    with reading_connection(target, _reading_limit(project, wait_seconds)) as connection:
        return Runner(project, target=target, connection=connection).version_tables()


def _version_table_places(project: Project, target: Target) -> tuple[str, ...]:
    with reading_connection(target) as connection:
        runner = Runner(project, target=target, connection=connection)
        tables = runner.version_tables()
        return tuple(".".join(reversed(it.place)) for it in runner.passes.begun) if runner.passes else tables


def _current_revisions(project: Project, target: Target, wait_seconds: float | None) -> tuple[str, ...]:
    if not backend_for(target).exists(target):
        raise missing_database(target)
    with reading_connection(target, _reading_limit(project, wait_seconds)) as connection:
        return Runner(project, target=target, connection=connection).current()


def _run_baseline(project: Project, target: Target) -> None:
    name = project.settings.baseline.replace("{backend}", target.backend_name)
    backend = backend_for(target)
    with backend.engine(target, writing=True).connect() as connection:
        is_empty = not read_snapshot(connection).tables
        connection.rollback()
        if not is_empty:
            return
        try:
            if name.endswith(".sql"):
                backend.execute_script(connection, (project.root / name).read_text(encoding="utf-8"))
            else:
                _call(project, name, connection)
            connection.commit()
        except Exception as error:
            first, *rest = [*target.mask(str(error)).splitlines(), ""]
            reason = " ".join([first, *(line for line in rest[:1] if line.startswith("LINE "))])  # of the file
            raise BaselineFailedError(name, f"{type(error).__name__}: {reason}") from error


def _call(project: Project, name: str, connection: Connection) -> None:
    """Call `module:function` with the connection; it is imported as env.py imports its modules."""
    module, _, function = name.partition(":")
    with chdir(project.root):
        Runner(project).script  # noqa: B018  # loading it puts prepend_sys_path before sys.path
        getattr(import_module(module), function)(connection)
