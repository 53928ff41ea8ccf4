"""A private PostgreSQL server for one run, and scratch databases on it; all are removed at the end."""

from __future__ import annotations

import contextlib
import secrets
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg2 import sql

from dormatory.backends import programs
from dormatory.backends.database_url import DatabaseURL
from dormatory.backends.postgresql.server import cluster_cache, installation, postmaster
from dormatory.backends.postgresql.url import DRIVER_NAME
from dormatory.backends.scratch_directory import scratch_directory
from dormatory.backends.url import Target
from dormatory.errors import DatabaseFailedError
from dormatory.system import process, signals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_STRATEGY_SINCE_MAJOR = 15
_MAX_NAME_BYTES = 63  # PostgreSQL cuts longer names off and goes on


@dataclass(frozen=True, slots=True)
class Server:
    """A running throwaway PostgreSQL: its major version, its programs, and where its socket lies."""

    major_version: int
    binaries: Path
    socket_directory: Path

    def database(self, name: str) -> Target:
        """Return a database on this server, the port written out since PGPORT may name another."""
        query = {"host": str(self.socket_directory), "port": str(postmaster.PORT)}
        url = DatabaseURL(DRIVER_NAME, username=postmaster.SUPERUSER, database=name, query=query)
        return Target(url, DRIVER_NAME)

    def create_database(self, name: str | None = None, *, template: str | None = None) -> Target:
        """Create a database, by default an empty one with a new name, and return it.

        `template` names the database of this server to copy; nobody may be connected to it.
        """
        name = name or f"scratch_{secrets.token_hex(6)}"
        if len(name.encode()) > _MAX_NAME_BYTES:
            raise DatabaseFailedError(
                f"a database cannot be called {name}",
                why=f"PostgreSQL cuts names at {_MAX_NAME_BYTES} bytes",
                fix="choose a shorter name",
            )
        self._execute(creation(name, template or "template0", self.major_version))
        return self.database(name)

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, and end the sessions in it."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        with contextlib.closing(postmaster.connect(self.socket_directory)) as connection:
            connection.cursor().execute(statement)


def creation(name: str, template: str, major_version: int) -> sql.Composed:
    """Return the statement that makes a database from a template, by copying files.

    Without fsync that takes less than half the time of writing them to the WAL.
    """
    strategy = " STRATEGY file_copy" if major_version >= _STRATEGY_SINCE_MAJOR else ""
    names = sql.Identifier(name), sql.Identifier(template)
    return sql.SQL(f"CREATE DATABASE {{}} TEMPLATE {{}}{strategy}").format(*names)


@contextlib.contextmanager
def server(binaries: Path | None = None) -> Iterator[Server]:
    """Run a private PostgreSQL: no TCP, no fsync, everything in one directory that is removed at the end.

    Without `binaries` they are searched as programs.server_binaries does. As root, the server runs as an
    existing unprivileged user. Normal exit, exceptions, Ctrl-C, SIGTERM and SIGHUP leave nothing; what a
    killed run left is removed by the next.
    """
    if sys.platform == "win32":
        raise DatabaseFailedError(
            "a throwaway PostgreSQL is not supported on Windows",
            why="it needs Unix sockets, file locks and signals",
            fix="run this under WSL; everything on SQLite works here",
        )
    found = binaries or programs.server_binaries()
    account = installation.server_account()
    with signals.raise_on_termination(), scratch_directory(account) as home:
        installed = installation.runnable_installation(found, home, account)
        with _running_server(installed, home, account):
            yield Server(installed.major, found, home)


@contextlib.contextmanager
def _running_server(
    installed: installation.Installation, home: Path, account: process.Account | None
) -> Iterator[None]:
    from_cache = cluster_cache.create_cluster(installed, home, account)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(postmaster.running_server(installed, home, account))
        except DatabaseFailedError:
            if not from_cache:
                raise
            cluster_cache.discard_cached_cluster(installed)
            cluster_cache.initdb(installed, home, account)
            stack.enter_context(postmaster.running_server(installed, home, account))
        yield


@contextlib.contextmanager
def scratch_postgresql(on: Server) -> Iterator[Target]:
    """Make an empty database on a throwaway server and drop it at the end."""
    target = on.create_database()
    try:
        yield target
    finally:
        on.drop_database(target.database)
