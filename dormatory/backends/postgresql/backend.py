"""PostgreSQL: databases created and dropped through psql, looked at through psycopg2."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import psycopg2
from sqlalchemy import NullPool, create_engine, event

from dormatory.backends import programs
from dormatory.backends.base import DatabaseSummary
from dormatory.backends.postgresql import advisory_lock, lock_timeout
from dormatory.backends.postgresql.blockers import BlockerMonitor
from dormatory.backends.postgresql.markers import DEVELOPMENT_COMMENT, DEVELOPMENT_SETTING, MAINTENANCE_DATABASES
from dormatory.backends.queries import INVALID_INDEXES_QUERY
from dormatory.backends.url import redirecting_variables
from dormatory.errors import DatabaseFailedError, InvalidIndexError, MalformedURLError, MissingDatabaseError
from dormatory.system.process import run_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from dormatory.backends.url import Target
    from dormatory.errors import DormatoryError

_CONNECT_TIMEOUT_SECONDS = 10
_CONNECTION_DEFAULTS: dict[str, Any] = {
    "application_name": "dormatory",
    "connect_timeout": str(_CONNECT_TIMEOUT_SECONDS),
}
_CREATE_SCRIPT = r"""
CREATE DATABASE :"name";
SELECT rolsuper FROM pg_roles WHERE rolname = current_user
\gset
\if :rolsuper
ALTER DATABASE :"name" SET dormatory.environment = 'development';
\else
COMMENT ON DATABASE :"name" IS 'dormatory: development';
\endif
"""
_MISSING_DATABASE_TEXTS = ("does not exist", "3D000")

# What libpq's words mean, and what to do: (part of the message, why, what next).
_EXPLANATIONS = (
    ("password authentication failed", "the server refused the password", "correct the password in DATABASE_URL"),
    ("no password supplied", "the server wants a password", "put one into DATABASE_URL or ~/.pgpass"),
    ("no pg_hba.conf entry", "the server does not let this user in from here", "ask its administrator"),
    ("could not translate host name", "its host name is not known", "correct the host in DATABASE_URL"),
    ("Connection refused", "nothing listens there", "start the server, or correct host and port"),
    ("failed: No such file or directory", "no server has its socket there", "start the server, or correct the host"),
    ("failed: Permission denied", "its socket may not be opened", "ask its administrator, or correct the host"),
    ("invalid response to SSL negotiation", "what listens there is no PostgreSQL", "correct host and port"),
    ('FATAL:  role "', "the server knows no such user", "correct the user in DATABASE_URL, or create it"),
    ("permission denied for database", "this user may not connect to it", "ask its owner"),
    ("the database system is", "the server is starting or stopping", "wait a moment, then try again"),
    ("timeout expired", f"no answer in {_CONNECT_TIMEOUT_SECONDS} s", "see that host, port and network are right"),
    ("too many connections", "the server takes no more connections", "wait, or end some sessions"),
    ("server does not support SSL", "sslmode asks for what it cannot do", "correct sslmode in DATABASE_URL"),
)

# What to do about errors that tell their own why: (part of the message, what next).
_FIXES = (
    ("permission denied", "connect as the owner, or have the right granted"),
    ("row-level security", "connect as the owner, or as a user with BYPASSRLS: all rows are wanted"),
    ("must be owner", "connect as the owner"),
    ("No space left on device", "free some space on the server, then try again"),
    ("already exists", "see whether another tool has made it"),
    ("server closed the connection", "see the server's log: it ended, or somebody ended the session"),
    ("due to lock timeout", "another session keeps a lock; try again when it has ended"),
    ("terminating connection", "somebody ended the session; try again"),
)

_SUMMARY_QUERY = """
SELECT current_user,
       CASE WHEN shobj_description(d.oid, 'pg_database') = %(comment)s
              OR EXISTS (SELECT FROM pg_db_role_setting s
                          WHERE s.setdatabase = d.oid AND s.setrole = 0 AND %(setting)s = ANY (s.setconfig))
            THEN 'development' ELSE 'production' END,
       (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'),
       (SELECT coalesce(sum(n_live_tup), 0) FROM pg_stat_user_tables),
       (SELECT count(*) FROM pg_stat_activity WHERE datid = d.oid AND pid <> pg_backend_pid())
  FROM pg_database d
 WHERE datname = current_database()
"""


class PostgreSQLBackend:
    """A database on a server."""

    name = "postgresql"
    transaction_per_migration = True
    compares_defaults = True
    own_session_count = 2  # the lock is kept by one, the revisions run in the other
    backup_suffix = ".dump"

    def engine(self, target: Target, *, writing: bool, wait_seconds: float = 0) -> Engine:  # noqa: ARG002  # transactions are the server's
        """Return an engine that opens one connection at a time and gives up on a silent server."""
        arguments = {key: value for key, value in _CONNECTION_DEFAULTS.items() if key not in target.url.query}
        engine = create_engine(target.url, poolclass=NullPool, connect_args=arguments)

        @event.listens_for(engine, "do_connect")
        def _connect(dialect: Any, _record: object, positional: Any, named: Any) -> Any:
            with _without_redirecting_variables(target):
                return dialect.connect(*positional, **named)

        return engine

    def exists(self, target: Target) -> bool:
        """Say whether the database is there; raises when its server cannot be asked."""
        try:
            with self._open_connection(target):
                return True
        except MissingDatabaseError:
            return False

    def create(self, target: Target) -> None:
        """Create the database through a maintenance database and mark it as a development database."""
        try:
            self._run_maintenance_script(target, _CREATE_SCRIPT)
        except DatabaseFailedError:
            if not self.exists(target):  # else another run created it at the same moment
                raise

    def drop(self, target: Target) -> None:
        """Drop the database, ending the sessions in it in the same moment, before they can come back."""
        self._run_maintenance_script(target, 'DROP DATABASE IF EXISTS :"name" WITH (FORCE);\n')

    def summary(self, target: Target) -> DatabaseSummary:
        """Ask the server what the database is, holds and serves."""
        with self._open_connection(target) as connection, connection.cursor() as cursor:
            cursor.execute(_SUMMARY_QUERY, {"comment": DEVELOPMENT_COMMENT, "setting": DEVELOPMENT_SETTING})
            user, environment, tables, rows, sessions = cursor.fetchone()
            where = connection.info.host or "local socket"
            server = f"PostgreSQL {_version_text(connection.server_version)} at {where}:{connection.info.port}"
        return DatabaseSummary(server, target.database, user, environment, tables, int(rows), sessions)

    def create_backup(self, target: Target, file: Path) -> None:
        """Dump the database with pg_dump, whoever is using it."""
        from dormatory.backends.postgresql import backup as postgresql_backup  # noqa: PLC0415  # which works with what stands here

        postgresql_backup.create_postgresql_backup(target, file)

    def restore(self, target: Target, file: Path) -> None:
        """Restore a dump beside the database, and exchange the two, ending the sessions in it."""
        from dormatory.backends.postgresql import backup as postgresql_backup  # noqa: PLC0415

        postgresql_backup.restore_postgresql_backup(target, file)

    def version(self, connection: Connection) -> str:
        """Return the server's version."""
        driver: Any = connection.connection.dbapi_connection
        return f"PostgreSQL {_version_text(driver.server_version)}"

    @contextlib.contextmanager
    def upgrade_lock(
        self, target: Target, version_table: str, *, wait_seconds: float = advisory_lock.UPGRADE_LOCK_WAIT_SECONDS
    ) -> Iterator[BlockerMonitor]:
        """Hold an advisory lock on a connection of its own, which no commit of the migration gives back."""
        with (
            self._open_connection(target) as connection,
            advisory_lock.hold_upgrade_lock(
                connection, target.database, version_table, masked_url=str(target), wait_seconds=wait_seconds
            ),
        ):
            yield BlockerMonitor(connection)

    def has_dedicated_session(self, connection: Connection) -> bool:
        """Say whether no transaction pooler stands between."""
        driver: Any = connection.connection.dbapi_connection
        driver.autocommit = True  # within a transaction even a pooler stays with one session
        try:
            return advisory_lock.has_dedicated_session(driver)
        finally:
            driver.autocommit = False

    def limit_lock_waits(
        self, connection: Connection, seconds: float, monitor: BlockerMonitor | None
    ) -> contextlib.AbstractContextManager[lock_timeout.SessionLockTimeout]:
        """Set lock_timeout, and let somebody watch who is in the way."""
        return lock_timeout.set_lock_timeout(connection, seconds, monitor)

    def cancel(self, connection: Connection) -> None:
        """Ask the server to break the statement off; it would finish it, whoever has gone away meanwhile."""
        driver: Any = connection.connection.dbapi_connection
        driver.cancel()

    def apply_connect_listeners(self, connection: Connection, target: Target) -> None:
        """Do nothing: what an application sets on its connections does not change what a migration does."""

    def refuse_leftovers(self, connection: Connection) -> None:
        """Do nothing: a failed transaction leaves nothing, and a failed index build is met as invalid."""

    def refuse_dangling_rows(self, connection: Connection) -> None:
        """Do nothing: the server has checked its foreign keys."""

    def refuse_invalid_objects(self, connection: Connection) -> None:
        """Raise InvalidIndexError for an index that a failed CREATE INDEX CONCURRENTLY left behind."""
        if names := connection.exec_driver_sql(INVALID_INDEXES_QUERY).scalars().all():
            raise InvalidIndexError([str(name) for name in names])

    def shell_command(self, target: Target) -> list[str]:  # noqa: ARG002  # the target travels in the environment
        """Return the psql program."""
        return [str(programs.find_client("psql"))]

    def explain(self, error: BaseException, target: Target) -> DormatoryError:
        """Return what the server or libpq said, and what to do."""
        cause = getattr(error, "orig", None) or error
        lines = [line.strip() for line in target.mask(str(cause)).splitlines() if line.strip()]
        message = lines[0] if lines else type(cause).__name__
        if any(part in message for part in _MISSING_DATABASE_TEXTS) and f'database "{target.database}"' in message:
            return MissingDatabaseError(str(target))
        for part, why, fix in _EXPLANATIONS:
            if any(part in line for line in lines):
                return DatabaseFailedError(f"cannot reach {target}", why=why, fix=fix)
        if message.startswith("invalid "):
            return MalformedURLError(message, fix="correct that value")
        fix = next((fix for part, fix in _FIXES if part in message), "see the server's log, then try again")
        return DatabaseFailedError(f"{target} failed", why=message, fix=fix)

    @contextlib.contextmanager
    def _open_connection(self, target: Target) -> Iterator[Any]:
        arguments = self.engine(target, writing=False).dialect.create_connect_args(target.url)[1]
        try:
            with _without_redirecting_variables(target):
                connection = psycopg2.connect(**{**_CONNECTION_DEFAULTS, **arguments})
        except psycopg2.Error as error:
            raise self.explain(error, target) from error
        try:
            yield connection
        except psycopg2.Error as error:
            raise self.explain(error, target) from error
        finally:
            connection.close()

    def _run_maintenance_script(self, target: Target, script: str) -> None:
        """Run a script in psql on the first maintenance database that lets us in."""
        psql = [str(programs.find_client("psql")), "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1"]
        for name in MAINTENANCE_DATABASES:
            maintenance = target.with_database(name)
            try:
                with self._open_connection(maintenance):
                    pass
            except MissingDatabaseError:
                continue
            environment = maintenance.environment()
            finished = run_program([*psql, f"--set=name={target.database}"], env=environment, text=script, check=False)
            if finished.code == 0:
                return
            error_lines = target.mask(finished.stderr or finished.stdout).strip().splitlines()
            raise DatabaseFailedError(
                f"psql could not change {target}",
                why=error_lines[0].removeprefix("ERROR:").strip() if error_lines else f"exit code {finished.code}",
                fix="see that the user may create databases, then try again",
            )
        raise MissingDatabaseError(str(target.with_database(MAINTENANCE_DATABASES[0])))


@contextlib.contextmanager
def _without_redirecting_variables(target: Target) -> Iterator[None]:
    """Hide from libpq, for as long as it connects, the inherited settings that would lead it to another server.

    Children do not get them either (Target.environment), so that psql and this process meet the same database.
    """
    names = redirecting_variables(target)
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _version_text(number: int) -> str:
    """Return 180006 as 18.6."""
    return f"{number // 10000}.{number % 10000}"
