"""Databases for interrupted commands: created at some revision, filled with rows, and inspected afterwards."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.backends.introspection import read_snapshot
from dormatory.backends.postgresql.server import installation, postmaster, throwaway
from dormatory.backends.registry import backend_for
from dormatory.backends.url import Target
from dormatory.dataloss import contents
from dormatory.project.history import History
from dormatory.project.project import Project
from dormatory.rows.generator import fill
from dormatory.runtime import scratch
from dormatory.runtime.runner import Runner
from dormatory.safety import backups

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack

    from dormatory.dataloss.values import CellValue
    from dormatory.schema.snapshot import Snapshot

REPOSITORY = Path(__file__).resolve().parents[2]
_VERSION_TABLE = "alembic_version"
_DISCONNECT_SECONDS = 20.0
_EARLIEST_NOW = datetime.now(UTC) - timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class State:
    """The state of a database at one moment: its revision, "" for none, its structure, and all its rows."""

    revision: str
    schema: Snapshot
    rows: contents.Contents

    @property
    def is_populated(self) -> bool:
        """Whether any table has a row."""
        return any(table.rows for table in self.rows.tables)


class Sandbox:
    """A copy of the project, and databases of one kind for it; everything is removed at the end of the opening block.

    The end of `restarts` stops the servers that were started again.
    """

    def __init__(self, home: Path, server: throwaway.Server | None, restarts: ExitStack) -> None:
        self.home, self.server, self._restarts = home, server, restarts
        root = home / "project"
        shutil.copytree(REPOSITORY / "alembic", root / "alembic", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("alembic.ini", "pyproject.toml"):
            shutil.copy(REPOSITORY / name, root)
        self.project = Project.read(root / "alembic.ini")
        self.order = [revision.id for revision in History.read(self.project).revisions]
        self.first_revision = self.order[0]
        self._copy_count = 0

    @property
    def backend(self) -> str:
        """The kind of database."""
        return "postgresql" if self.server else "sqlite"

    @property
    def postmaster_pid(self) -> int:
        """The number of the server's main process."""
        if self.server is None:
            raise AssertionError
        return int((self.server.socket_directory / postmaster.DATA_DIRECTORY / "postmaster.pid").read_text().split()[0])

    def restart_server(self) -> None:
        """Start a killed server again on the same data directory, as an administrator would."""
        if self.server is None:
            raise AssertionError
        os.waitpid(self.postmaster_pid, 0)  # it is our child: until then its number is in use
        home, account = self.server.socket_directory, installation.server_account()
        shutil.rmtree(home / "programs", ignore_errors=True)  # if they had to be copied, they are copied again
        installed = installation.runnable_installation(self.server.binaries, home, account)
        self._restarts.enter_context(postmaster.running_server(installed, home, account))

    def target(self, name: str) -> Target:
        """Return the target of a database, which need not exist."""
        if self.server:
            return self.server.database(name)
        return Target.parse(f"sqlite:///{name}.db", root=self.home)

    def add_backup(self, target: Target, file: Path) -> None:
        """Make a copy of a backup the latest one of a database."""
        home = backups.backup_directory(self.project)
        home.mkdir(parents=True, exist_ok=True)
        name = f"{backups._database_key(target)}.000001.20300101T000000Z.copy{file.suffix}"  # its format
        shutil.copy(file, home / name)

    def environment(self, target: Target) -> dict[str, str]:
        """Return the environment of a command that acts on a database."""
        kept = {key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "TMPDIR", "LANG"}}
        url = target.url.render()
        return {
            **kept,
            "ALEMBIC_CONFIG": str(self.project.ini),
            "DATABASE_URL": url,
            "PYTHONPATH": os.pathsep.join((str(Path(__file__).parent / "interrupter"), str(REPOSITORY))),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def create_databases(self) -> list[State]:
        """Create the databases `first`, `last` and `head`, and return the states on the way to the head.

        `last` is at the revision before it. The rows are inserted at the first revision: those of a later one have
        passed through all revisions between.
        """
        first, head = self.target("first"), self.target("head")
        if self.server:
            self.server.create_database("first")
        scratch.upgrade(self.project, first, self.first_revision)
        with backend_for(first).engine(first, writing=True).connect() as connection:
            fill(connection, read_snapshot(connection, ignore=(_VERSION_TABLE,)), with_extremes=False)
            connection.commit()
        self._copy("first", head)
        states = [self._state_at(head, step) for step in self.order[:-1]]
        self._copy("head", self.target("last"))
        return [*states, self._state_at(head, self.order[-1])]

    def empty_states(self) -> list[State]:
        """Return the states of a database without rows, from before the first revision to the head."""
        with self.database_copy("") as target:
            backend_for(target).create(target)
            return [self._state_at(target, step) for step in ("", *self.order)]

    def downgrade_states(self) -> list[State]:
        """Return the states of a copy of `head` at each revision down to the first."""
        states = []
        with self.database_copy("head") as target:
            for step in reversed(self.order[:-1]):
                with backend_for(target).engine(target, writing=True).connect() as connection:
                    Runner(self.project, target=target, connection=connection).downgrade(step)
                    connection.commit()
                states.append(self._state_at(target, ""))
        return states

    @contextmanager
    def database_copy(self, name: str) -> Iterator[Target]:
        """Provide a copy of a database during the block; with "" the database of the target does not exist."""
        self._copy_count += 1
        copy = f"copy_{self._copy_count}"
        target = self.target(copy)
        if name:
            self._copy(name, target)
        try:
            yield target
        finally:
            if self.server:
                self.server.drop_database(copy)
            else:
                for file in self.home.glob(f"{copy}.db*"):
                    file.unlink()

    def states_after_autocommit(self, state: State) -> Iterator[State]:
        """Yield the state as it is recorded once a step up or down is, if that one commits before it is recorded."""
        order = ["", *self.order]
        if state.revision not in order:
            return
        place = order.index(state.revision)
        for revision, reached in ((place + 1, place + 1), (place, place - 1)):  # the way up, and down
            if 0 < revision < len(order):
                (file,) = self.project.script_location.glob(f"versions/{order[revision]}_*.py")
                if "autocommit_block" in file.read_text():
                    yield replace(state, revision=order[reached])

    def read_state(self, target: Target) -> State | None:
        """Return the state of a database once all clients have left it, or None if it does not exist."""
        backend = backend_for(target)
        self._wait_for_disconnect(target)
        if not backend.exists(target):
            return None
        with backend.engine(target, writing=False).connect() as connection:
            schema = read_snapshot(connection, ignore=(_VERSION_TABLE,))
            rows = _without_current_times(contents.read_rows(connection, schema))
            backend.refuse_invalid_objects(connection)
        return State("+".join(scratch.current_revisions(self.project, target)), schema, rows)

    def _copy(self, name: str, target: Target) -> None:
        if self.server:
            self.server.create_database(target.database, template=name)
        else:
            shutil.copy(self.target(name).path, target.path)

    def _state_at(self, target: Target, step: str) -> State:
        """Return the state of an existing database, upgraded to a revision if one is given."""
        if step:
            scratch.upgrade(self.project, target, step)
        state = self.read_state(target)
        assert state is not None
        return state

    def _wait_for_disconnect(self, target: Target) -> None:
        """Wait until the server has noticed that a killed client is gone, and has rolled back its transaction."""
        if self.server is None:
            return
        deadline = time.monotonic() + _DISCONNECT_SECONDS
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
        with postmaster.connect(self.server.socket_directory) as connection, connection.cursor() as cursor:
            while time.monotonic() < deadline:
                cursor.execute(query, (target.database,))
                if cursor.fetchone() == (0,):
                    break
                time.sleep(0.02)
        connection.close()


def _without_current_times(rows: contents.Contents) -> contents.Contents:
    """Return the rows with one word for every time that was "now" to a revision: it differs from run to run."""

    def steady(value: CellValue) -> CellValue:
        return "now" if isinstance(value, datetime) and value.astimezone(UTC) > _EARLIEST_NOW else value

    tables = (
        replace(table, rows=tuple(tuple(steady(value) for value in row) for row in table.rows)) for table in rows.tables
    )
    return contents.Contents(tuple(tables))
