"""PostgreSQL, through psycopg2."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

from dormatory.backends.base import Backend, DatabaseSummary
from dormatory.backends.driver import execute_verbatim, open_cursor, sql_state
from dormatory.backends.postgresql import advisory_lock
from dormatory.backends.postgresql.blockers import SessionMonitor
from dormatory.backends.postgresql.connection import connection_error, has_dedicated_session, postgresql_connection
from dormatory.backends.postgresql.dialect import DIALECT
from dormatory.backends.postgresql.explanations import (
    ended_session_error,
    failure_fix,
    is_missing_right,
    is_system_failure,
    is_unexplained,
)
from dormatory.backends.postgresql.markers import IS_DEVELOPMENT
from dormatory.backends.queries import INVALID_INDEXES_QUERY
from dormatory.errors import DatabaseFailedError, InvalidIndexError, MissingDatabaseError
from dormatory.sql.literals import quote_literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

    from dormatory.backends.base import BlockerMonitor, LockTimeout
    from dormatory.backends.url import Target
    from dormatory.errors import DormatoryError

# The parts of a URL that say where a database is: never its user or a secret.
_ADDRESS_OPTIONS = ("host", "hostaddr", "port", "service")
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_INVALID_TEXT_CODE = "22P02"
_CONTENT_CODES = frozenset({"22030", "22032", "22033", "22034", "22035", "2200M", "2200N", "2200S", "2200T", "2203A"})
_PLAIN_TYPES = ("integer", "bigint", "smallint", "numeric", "real", "double precision", "boolean", "money", "oid")

_ENVIRONMENT = f"CASE WHEN {IS_DEVELOPMENT} THEN 'development' ELSE 'production' END"
# A table that has pages and no known row was filled since the statistics were lost, by a restore or a crash.
_SUMMARY_QUERY = rf"""
SELECT current_user, {_ENVIRONMENT},
       (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'),
       (SELECT coalesce(sum(n_live_tup), 0) FROM pg_stat_user_tables),
       (SELECT count(*) FROM pg_stat_user_tables t
         WHERE n_live_tup = 0 AND n_dead_tup = 0 AND pg_relation_size(t.relid) > 0),
       (SELECT count(*) FROM pg_stat_activity WHERE datid = d.oid AND pid <> pg_backend_pid())
  FROM pg_database d
 WHERE datname = current_database()
"""  # noqa: S608  # our own constant

_EXTENSION_INDEXES_QUERY = """
SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE EXISTS (
    SELECT FROM pg_depend d WHERE d.deptype = 'e' AND (
        d.classid = 'pg_am'::regclass AND d.objid = c.relam
        OR d.classid = 'pg_opclass'::regclass AND d.objid = ANY (i.indclass::oid[])
    )
)
"""
_LOG = logging.getLogger("dormatory")


class PostgreSQLBackend(Backend):
    """A database on a server."""

    name = "postgresql"
    title = "PostgreSQL"
    async_drivers = ("asyncpg", "psycopg")
    is_file = False
    has_namespaces = True
    has_online_forms = True
    transaction_per_migration = True
    compares_defaults = True
    own_session_count = 2  # the lock is kept by one, the revisions run in the other
    backup_suffix = ".dump"

    def exists(self, target: Target) -> bool:
        """Return whether the database exists; raises when its server cannot be reached."""
        try:
            with postgresql_connection(target):
                return True
        except MissingDatabaseError:
            return False

    def create(self, target: Target) -> None:
        """Create the database from a maintenance database and mark it as a development database."""
        from dormatory.backends.postgresql.new_database import create_marked_database  # noqa: PLC0415  # rarely needed

        create_marked_database(target)

    def drop(self, target: Target) -> None:
        """Drop the database and end the sessions in it at the same moment, before they can reconnect."""
        from dormatory.backends.postgresql.maintenance import maintenance_connection  # noqa: PLC0415  # rarely needed

        with maintenance_connection(target) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {DIALECT.quote_identifier(target.database)} WITH (FORCE)")

    def incarnation(self, target: Target) -> str:
        """Return the database's number in the catalog: another one that takes its name has another number."""
        from dormatory.backends.postgresql.maintenance import maintenance_connection  # noqa: PLC0415  # rarely needed

        with maintenance_connection(target) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT oid::text FROM pg_database WHERE datname = %s", (target.database,))
            found = cursor.fetchone()
        return found[0] if found else ""

    def summary(self, target: Target) -> DatabaseSummary:
        """Query the server for the mark, the size and the sessions of the database."""
        with postgresql_connection(target) as connection, connection.cursor() as cursor:
            cursor.execute(_SUMMARY_QUERY)
            user, environment, tables, rows, uncounted, sessions = cursor.fetchone()
            where = connection.info.host or "local socket"
            server = f"PostgreSQL {_version_text(connection.server_version)} at {where}:{connection.info.port}"
        return DatabaseSummary(server, target.database, user, environment, tables, int(rows), sessions, uncounted)

    def location(self, target: Target) -> tuple[str, str]:
        """Return the database's name, and the server's address with it."""
        url, name = target.url, target.database
        options = [str(url.query.get(key, "")) for key in _ADDRESS_OPTIONS]
        return name, repr((url.host, url.port, options, name))

    def shell_command(self, target: Target) -> list[str]:  # noqa: ARG002  # the target travels in the environment
        """Return the psql program."""
        from dormatory.backends import programs  # noqa: PLC0415  # an upgrade with nothing to do needs none

        return [str(programs.find_client("psql"))]

    def explain(self, error: BaseException, target: Target) -> DormatoryError:
        """Return what the server or libpq reported, and what to do; the server is asked for what it did not say."""
        cause = getattr(error, "orig", None) or error
        explained = connection_error(cause, target)
        if not is_unexplained(error):
            return explained
        from dormatory.backends.postgresql.maintenance import unwritable_error  # noqa: PLC0415  # rarely needed

        with contextlib.suppress(DatabaseFailedError), postgresql_connection(target) as connection:
            return unwritable_error(connection, target) or ended_session_error(target)
        return explained

    def is_system_failure(self, error: BaseException) -> bool:
        """Return whether the server, the connection or a setting failed."""
        return is_system_failure(error)

    def role_fix(self, error: BaseException) -> str:
        """Return what to do where the role has no right, or too little time."""
        return failure_fix(error) if is_missing_right(error) else ""

    def is_content_error(self, error: BaseException) -> bool:
        """Return whether a text is no JSON, no XML, no label of an enumeration, ..."""
        code = sql_state(error)
        is_plain = any(f"type {name}" in str(error) or f'type "{name}"' in str(error) for name in _PLAIN_TYPES)
        return code in _CONTENT_CODES or (code == _INVALID_TEXT_CODE and not is_plain)

    def engine(self, target: Target, *, writing: bool, wait_seconds: float = 0) -> Engine:  # noqa: ARG002  # transactions are the server's
        """Return an engine that opens one connection at a time and gives up on a silent server."""
        from dormatory.backends.postgresql.engine import postgresql_engine  # noqa: PLC0415  # loads SQLAlchemy

        return postgresql_engine(target)

    def driver_connection(self, target: Target, *, writing: bool) -> AbstractContextManager[Any]:  # noqa: ARG002  # the same
        """Open a connection of psycopg2 for the length of the block."""
        from dormatory.backends.postgresql.engine import postgresql_driver_connection  # noqa: PLC0415  # loads SQLAlchemy

        return postgresql_driver_connection(target)

    def version(self, connection: Connection) -> str:
        """Return the server's version."""
        driver: Any = connection.connection.dbapi_connection
        return f"PostgreSQL {_version_text(driver.server_version)}"

    @contextlib.contextmanager
    def upgrade_lock(
        self, target: Target, version_table: str, *, wait_seconds: float = advisory_lock.UPGRADE_LOCK_WAIT_SECONDS
    ) -> Iterator[BlockerMonitor]:
        """Hold an advisory lock on a connection of its own, so that no commit of the migration releases it."""
        from dormatory.backends.postgresql.stall_watch import watched_connections  # noqa: PLC0415  # rarely needed

        with (
            postgresql_connection(target) as connection,
            watched_connections(target, wait_seconds, connection) as stall_watch,
            advisory_lock.hold_upgrade_lock(
                connection, target.database, version_table, masked_url=str(target), wait_seconds=wait_seconds
            ),
        ):
            yield SessionMonitor(connection, str(target), stall_watch.add)

    def running_migration(self, target: Target, version_table: str) -> str:
        """Query the server for the session that holds the upgrade lock, or has written to the version table."""
        with postgresql_connection(target) as connection:
            return advisory_lock.running_migration(connection, target.database, version_table)

    def limit_reading_waits(self, connection: Connection, seconds: float) -> None:
        """Set lock_timeout for the session, outside of a transaction."""
        driver: Any = connection.connection.dbapi_connection
        driver.autocommit = True
        with driver.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {max(1, round(seconds * 1000))}")
        driver.autocommit = False

    def has_dedicated_session(self, connection: Connection) -> bool:
        """Return whether there is no pooler between this process and the server."""
        driver: Any = connection.connection.dbapi_connection
        driver.autocommit = True  # within a transaction even a pooler stays with one session
        try:
            return has_dedicated_session(driver)
        finally:
            driver.autocommit = False

    def limit_lock_waits(
        self, connection: Connection, seconds: float, monitor: BlockerMonitor | None
    ) -> AbstractContextManager[LockTimeout]:
        """Set lock_timeout, and let the monitor watch which session holds the lock."""
        from dormatory.backends.postgresql import lock_timeout  # noqa: PLC0415  # loads SQLAlchemy

        return lock_timeout.set_lock_timeout(connection, seconds, monitor)

    def environment_mark(self, connection: Connection) -> str:
        """Query the server for the mark of the database."""
        query = f"SELECT {_ENVIRONMENT} FROM pg_database d WHERE datname = current_database()"  # noqa: S608  # our own
        return str(connection.exec_driver_sql(query).scalar_one())

    def identity(self, connection: Connection) -> tuple[str, str]:
        """Return when the server was started, and the database's name."""
        query = "SELECT pg_postmaster_start_time()::text, current_database()::text"
        server, name = connection.exec_driver_sql(query).one()
        return str(server), str(name)

    def set_time_zone(self, connection: Connection, zone: str) -> str:
        """Set TimeZone for the session."""
        before = str(connection.exec_driver_sql("SHOW TimeZone").scalar_one())
        connection.exec_driver_sql(f"SET TimeZone = {quote_literal(zone)}")
        return before

    def search_path(self, connection: Connection) -> tuple[str, ...]:
        """Return the namespaces of search_path that exist."""
        return tuple(connection.exec_driver_sql("SELECT unnest(current_schemas(false))::text").scalars())

    def set_search_path(self, connection: Connection, namespaces: Sequence[str]) -> None:
        """Set search_path for the session, and tell SQLAlchemy, which leaves out the name of the first."""
        if namespaces:
            path = ", ".join(map(DIALECT.quote_identifier, namespaces))
            connection.exec_driver_sql(f"SET search_path TO {path}")
            connection.dialect.default_schema_name = namespaces[0]

    def create_roles(self, connection: Connection, names: Sequence[str]) -> None:
        """Create superusers; another process may do so at the same time."""
        for name in names:
            create = f"CREATE ROLE {DIALECT.quote_identifier(name)} SUPERUSER LOGIN"
            known = "duplicate_object OR unique_violation"
            connection.exec_driver_sql(f"DO $$ BEGIN {create}; EXCEPTION WHEN {known} THEN NULL; END $$")

    def execute_script(self, connection: Connection, text: str) -> None:
        """Execute many statements in the transaction of the connection."""
        open_cursor(connection).execute(text)

    def is_same_value(self, connection: Connection, declared_type: str, one: str, other: str) -> bool:
        """Let the server store both in a generated column, which refuses what is not immutable."""
        from sqlalchemy.exc import DBAPIError  # noqa: PLC0415  # a backend loads without it

        columns = (
            f"{name} {declared_type} GENERATED ALWAYS AS ({it}) STORED" for name, it in (("a", one), ("b", other))
        )
        point = connection.begin_nested()
        try:
            execute_verbatim(connection, f"CREATE TEMPORARY TABLE stored ({', '.join(columns)})")
            connection.exec_driver_sql("INSERT INTO stored DEFAULT VALUES")
            query = "SELECT a::text IS NOT DISTINCT FROM b::text FROM stored"  # as text: 'a' and 'A' are one citext
            return bool(connection.exec_driver_sql(query).scalar())
        except DBAPIError:
            return False
        finally:
            point.rollback()

    def extension_indexes(self, connection: Connection) -> frozenset[str]:
        """Ask which objects belong to an extension (deptype e)."""
        return frozenset(connection.exec_driver_sql(_EXTENSION_INDEXES_QUERY).scalars())

    def driver_module(self, driver: str) -> str:
        """Return the module; SQLAlchemy's default is psycopg 3 since its version 2.1, psycopg2 before."""
        import sqlalchemy  # noqa: PLC0415  # a backend loads without it

        default = "psycopg" if tuple(map(int, sqlalchemy.__version__.split(".")[:2])) >= (2, 1) else "psycopg2"
        return {"": default, "psycopg_async": "psycopg"}.get(driver, driver)

    def cancel(self, connection: Connection) -> None:
        """Cancel the statement on the server, which would finish it even if this process ended."""
        driver: Any = connection.connection.dbapi_connection
        driver.cancel()

    def refuse_invalid_objects(self, connection: Connection) -> None:
        """Raise InvalidIndexError for an index that a failed CREATE INDEX CONCURRENTLY left behind."""
        if names := connection.exec_driver_sql(INVALID_INDEXES_QUERY).scalars().all():
            raise InvalidIndexError([str(name) for name in names])

    def rebuild_invalid_objects(self, target: Target, version_table: str, pending: Collection[str]) -> None:
        """Rebuild invalid indexes without keeping writers waiting, under the upgrade lock."""
        with self.upgrade_lock(target, version_table), postgresql_connection(target) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(INVALID_INDEXES_QUERY)
                for (name,) in cursor.fetchall():
                    verb = "DROP" if name.rpartition(".")[2].strip('"') in pending else "REINDEX"
                    _LOG.warning("%s INDEX CONCURRENTLY %s", verb, name)
                    cursor.execute(f"{verb} INDEX CONCURRENTLY {name}")


def _version_text(number: int) -> str:
    """Return 180006 as 18.6."""
    return f"{number // 10000}.{number % 10000}"


BACKEND = PostgreSQLBackend()
