"""Reads the structure of a database into a Snapshot, whatever kind of database it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.postgresql.introspection import reader
from dormatory.backends.sqlite import introspection
from dormatory.errors import DormatoryError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sqlalchemy import Connection

    from dormatory.schema.snapshot import Snapshot

_READERS: dict[str, Callable[[Connection, Collection[str]], Snapshot]] = {
    "postgresql": reader.read_postgresql_snapshot,
    "sqlite": introspection.read_sqlite_snapshot,
}


def read_snapshot(connection: Connection, *, ignore: Collection[str] = ()) -> Snapshot:
    """Return the structure of the connected database; it only reads, in the transaction the caller is in.

    `ignore` names tables to leave out with all that belongs to them, as `name` (in any namespace) or as
    `namespace.name`.  DormatoryError is raised for a kind of database that has no reader.
    """
    return _READERS[supported_backend(connection)](connection, ignore)


def supported_backend(connection: Connection) -> str:
    """Return the kind of the connected database; DormatoryError is raised for one that has no reader."""
    name = connection.dialect.name
    if name not in _READERS:
        raise DormatoryError(
            f"the structure of a {name} database cannot be read",
            why="only SQLite and PostgreSQL are known",
            fix="use one of these",
        )
    return name
