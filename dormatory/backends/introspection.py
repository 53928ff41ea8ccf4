"""Read the structure of a database into a Snapshot, whatever kind of database it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.names import BACKEND_NAMES
from dormatory.backends.registry import backend_by_name
from dormatory.errors import DormatoryError

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from dormatory.schema.snapshot import Snapshot


def read_snapshot(connection: Connection, *, ignore: Collection[str] = ()) -> Snapshot:
    """Return the structure of the connected database, without the tables in `ignore` (see parts.Introspection).

    Raises DormatoryError for a kind of database that is not supported.
    """
    name = connection.dialect.name
    if name not in BACKEND_NAMES:
        raise DormatoryError(
            f"the structure of a {name} database cannot be read",
            why="only SQLite and PostgreSQL are known",
            fix="use one of these",
        )
    return backend_by_name(name).introspection.read_catalog(connection, ignore)
