"""Check whether a throwaway server can hold a copy of a PostgreSQL database, and what differs there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from dormatory.backends import programs
from dormatory.backends.postgresql.engine import postgresql_driver_connection
from dormatory.errors import MissingExtensionsError, ServerTooOldError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.postgresql.server.throwaway import Server

_TRAITS = """
SELECT datcollate, pg_catalog.pg_encoding_to_char(encoding),
    (SELECT setconfig FROM pg_catalog.pg_db_role_setting AS s WHERE s.setdatabase = d.oid AND s.setrole = 0)
FROM pg_catalog.pg_database AS d WHERE datname = pg_catalog.current_database()"""


@dataclass(frozen=True, slots=True)
class ServerTraits:
    """The properties of a server and a database that matter for a copy."""

    version: str
    major: int
    collation: str
    encoding: str
    settings: tuple[str, ...]
    extensions: tuple[str, ...]
    roles: tuple[str, ...]


def prepare_server(server: Server, target_traits: ServerTraits) -> tuple[ServerTraits, tuple[str, ...]]:
    """Check that a throwaway server can hold a copy of a database, and create the roles that the copy names.

    Return the traits of the server, and notes on what differs. Raises ServerTooOldError, MissingExtensionsError.
    """
    with postgresql_driver_connection(server.database("postgres")) as connection:
        connection.autocommit = True
        server_traits = read_traits(connection)
        if target_traits.major > server_traits.major:
            raise ServerTooOldError(target_traits.version, server_traits.version, programs.POSTGRES_BIN_VARIABLE)
        with connection.cursor() as cursor:
            cursor.execute("SELECT name FROM pg_catalog.pg_available_extensions")
            known = {name for (name,) in cursor.fetchall()}
            if missing := [name for name in target_traits.extensions if name not in known]:
                raise MissingExtensionsError(missing, server_traits.version, programs.POSTGRES_BIN_VARIABLE)
            for role in sorted(set(target_traits.roles) - set(server_traits.roles)):
                cursor.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
    return server_traits, tuple(_server_differences(target_traits, server_traits))


def read_traits(connection: Any) -> ServerTraits:
    """Return the traits of the connected database and its server."""
    with connection.cursor() as cursor:
        cursor.execute(_TRAITS)
        collation, encoding, settings = cursor.fetchone()
        cursor.execute("SELECT extname FROM pg_catalog.pg_extension ORDER BY 1")
        extensions = tuple(name for (name,) in cursor.fetchall())
        cursor.execute("SELECT rolname FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_'")
        roles = tuple(name for (name,) in cursor.fetchall())
    number = connection.server_version
    dotted = f"{number // 10000}.{number % 10000}"
    return ServerTraits(dotted, number // 10000, collation, encoding, tuple(settings or ()), extensions, roles)


def _server_differences(target_traits: ServerTraits, server_traits: ServerTraits) -> Iterator[str]:
    if target_traits.major != server_traits.major:
        versions = f"the target runs PostgreSQL {target_traits.version}, the copy {server_traits.version}"
        yield f"{versions}: locks and times may differ"
    if target_traits.collation != server_traits.collation:
        yield f"the target sorts as {target_traits.collation}, the copy as {server_traits.collation}"
    if target_traits.encoding != server_traits.encoding:
        yield f"the target is in {target_traits.encoding}, the copy in {server_traits.encoding}"
