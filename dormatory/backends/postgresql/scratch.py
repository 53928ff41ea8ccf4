"""Empty databases for one run, on a private server that is removed at the end, and copies of them."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg2 import errors, sql

from dormatory.backends.postgresql.database_settings import copy_settings
from dormatory.backends.postgresql.server import postmaster, throwaway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.parts import Checkpoint, ScratchMaker
    from dormatory.backends.url import Target

_SETTINGS = """
SELECT setconfig FROM pg_catalog.pg_db_role_setting AS s JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase
WHERE s.setrole = 0 AND d.datname = %s"""
_ROLES = "SELECT rolname FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_'"


@contextlib.contextmanager
def scratch_databases() -> Iterator[ScratchMaker]:
    """Start a server and provide a maker of empty databases on it.

    Raises ProgramMissingError where no server is installed, DatabaseFailedError where it does not start.
    """
    with throwaway.server() as server:
        yield partial(throwaway.scratch_postgresql, server)


def checkpoint(target: Target) -> Checkpoint:
    """Return a checkpoint of a scratch database."""
    return _DatabaseCheckpoint(target)


class _DatabaseCheckpoint:
    """A database on the same server, made with the other one as its template.

    What belongs to the database but not to its template is restored, too: its settings. Roles belong to the server:
    those that were made since are dropped.
    """

    def __init__(self, target: Target) -> None:
        self._target, self._copy = target, f"{target.database}_copy"
        self._template = "template0"
        self._settings: tuple[str, ...] = ()
        with self._administration() as cursor:
            self._roles = _names(cursor, _ROLES)

    def save(self) -> bool:
        """Drop the last copy and make another one."""
        name = self._target.database
        self.discard()
        with self._administration() as cursor:
            try:
                self._create(cursor, self._copy, template=name)
            except errors.ObjectInUse:
                return False
            cursor.execute(_SETTINGS, (name,))
            self._template, self._settings = self._copy, tuple((cursor.fetchone() or ((),))[0])
            self._roles = _names(cursor, _ROLES)
        return True

    def restore(self) -> bool:
        """Drop the database, and make it again from the copy."""
        name = self._target.database
        with self._administration() as cursor:
            try:
                self._drop(cursor, name)
            except errors.ObjectInUse:
                return False
            for role in _names(cursor, _ROLES) - self._roles:
                with contextlib.suppress(errors.DependentObjectsStillExist):
                    cursor.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
            self._create(cursor, name, template=self._template)
            copy_settings(self._settings, cursor.connection, name)
        return True

    def discard(self) -> None:
        """Drop the copy."""
        self._template, self._settings = "template0", ()
        with self._administration() as cursor:
            self._drop(cursor, self._copy)

    @contextlib.contextmanager
    def _administration(self) -> Iterator[Any]:
        with contextlib.closing(postmaster.connect(Path(str(self._target.url.query["host"])))) as connection:
            yield connection.cursor()

    def _create(self, cursor: Any, name: str, *, template: str) -> None:
        cursor.execute(throwaway.creation(name, template, cursor.connection.server_version // 10000))

    def _drop(self, cursor: Any, name: str) -> None:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def _names(cursor: Any, query: str) -> set[str]:
    cursor.execute(query)
    return {name for (name,) in cursor.fetchall()}
