"""Copy a PostgreSQL database for a rehearsal: dumped by a read-only session, restored on a throwaway server."""

from __future__ import annotations

from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from dormatory.backends import programs
from dormatory.backends.postgresql import sampling
from dormatory.backends.postgresql.connection import has_dedicated_session, postgresql_connection
from dormatory.backends.postgresql.database_settings import copy_settings
from dormatory.backends.postgresql.engine import postgresql_driver_connection
from dormatory.backends.postgresql.replica_server import ServerTraits, prepare_server, read_traits
from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.replica import ReplicaInfo
from dormatory.errors import (
    DatabaseFailedError,
    DormatoryError,
    PoolerError,
    ProgramFailedError,
)
from dormatory.system.pipe import Program, run_pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from dormatory.backends.postgresql.server.throwaway import Server
    from dormatory.backends.url import Target

_READ_ONLY = "-c default_transaction_read_only=on"
_LOCK_TIMEOUT_MILLISECONDS = 30_000  # how long pg_dump may wait for a session that alters a table
_PORTABLE_DUMP_OPTIONS = (
    "--no-owner",
    "--no-privileges",
    "--no-tablespaces",
    "--no-subscriptions",
    "--no-security-labels",
)
_USER_TABLES = """
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"""
# What a write changes: the counters of each table's rows, and the transaction's number on altered relations.
_WRITE_COUNTERS = """
SELECT coalesce(pg_catalog.md5(pg_catalog.string_agg(
        c.oid::text || ' ' || c.xmin::text || ' ' || c.relfilenode::text, ',' ORDER BY c.oid)), ''),
    coalesce(sum(pg_catalog.pg_stat_get_tuples_inserted(c.oid) + pg_catalog.pg_stat_get_tuples_updated(c.oid)
        + pg_catalog.pg_stat_get_tuples_deleted(c.oid)), 0)::bigint, count(*)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'v', 'S', 'i') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"""
_SESSION_STATE = """
SELECT pg_catalog.current_setting('transaction_read_only'), pg_catalog.pg_current_xact_id_if_assigned() IS NULL"""
_VERSION_TABLES_QUERY = """
SELECT count(*) FROM pg_catalog.pg_class t
 WHERE t.relkind IN ('r', 'p') AND t.relpersistence <> 't'
   AND (SELECT pg_catalog.array_agg(a.attname::text) FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped) = ARRAY['version_num']
"""
_SKIPPED_SETTINGS = ("dormatory.", "role", "session_authorization", "default_transaction_read_only")


@contextmanager
def open_replica_source(target: Target) -> Iterator[PostgreSQLReplicaSource]:
    """Open the target for reading, and start a throwaway server for its copies, which is gone at the end.

    Raises MissingDatabaseError, PoolerError, DatabaseFailedError, and what prevents the server from starting.
    """
    with postgresql_connection(target) as connection:
        connection.autocommit = True
        if not has_dedicated_session(connection):
            raise PoolerError(str(target))
    with throwaway.server() as server, PostgreSQLReplicaSource(target, server).open() as source:
        yield source


class PostgreSQLReplicaSource:
    """A database, in which all our sessions are read-only, and a throwaway server for its copies."""

    def __init__(self, target: Target, server: Server) -> None:
        self._server = server
        self._target, self._shown = read_only_target(target), str(target)

    @contextmanager
    def open(self) -> Iterator[PostgreSQLReplicaSource]:
        """Read the state of the database, with which `verify_untouched` compares."""
        with self._original_url_in_errors():
            self._counters_before = self._read_write_counters()
            self._traits = self._read_target_traits()
            yield self

    @contextmanager
    def _original_url_in_errors(self) -> Iterator[None]:
        """Show the URL that the user gave in errors, instead of the one with our options."""
        try:
            yield
        except DormatoryError as error:
            error.what = error.what.replace(str(self._target), self._shown)
            error.args = (f"{error.what} ({error.why}); {error.fix}",)
            raise

    def empty_database(self) -> AbstractContextManager[Target]:
        """Provide an empty database on the throwaway server."""
        return throwaway.scratch_postgresql(self._server)

    def applied_revisions(self, version_table: str) -> tuple[str, ...]:
        """Return the revisions in the version table."""
        namespace, _, name = version_table.rpartition(".")
        table = sql.Identifier(*filter(None, (namespace, name)))
        with postgresql_driver_connection(self._target) as connection, connection.cursor() as cursor:
            shown = table.as_string(connection)
            cursor.execute("SELECT pg_catalog.to_regclass(%s) IS NOT NULL", (shown,))
            if not cursor.fetchone()[0]:
                return ()
            cursor.execute(sql.SQL("SELECT version_num FROM {} ORDER BY 1").format(table))
            return tuple(row[0] for row in cursor.fetchall())

    def version_table_count(self) -> int:
        """Count the tables whose only column is version_num."""
        with postgresql_driver_connection(self._target) as connection, connection.cursor() as cursor:
            cursor.execute(_VERSION_TABLES_QUERY)
            return int(cursor.fetchone()[0])

    @contextmanager
    def create_replica(self, version_table: str, sample: int) -> Iterator[tuple[Target, ReplicaInfo]]:
        """Dump the database as of one snapshot, and restore it on the throwaway server.

        Raises MissingExtensionsError, ServerTooOldError, ProgramFailedError.
        """
        began = perf_counter()
        server_traits, notes = prepare_server(self._server, self._traits)
        with throwaway.scratch_postgresql(self._server) as replica:
            self._copy_settings(replica)
            if sample:
                self._copy_sample(self._target, replica, version_table, sample)
            else:
                self._dump_and_restore(self._target, replica)
            tables, rows = _analyze_and_count(replica)
            source = f"PostgreSQL {self._traits.version}"
            yield (
                replica,
                ReplicaInfo(
                    source, f"PostgreSQL {server_traits.version}", tables, rows, perf_counter() - began, sample, notes
                ),
            )

    @contextmanager
    def clone_replica(self, replica: Target) -> Iterator[Target]:
        """Copy a copy, file by file."""
        clone = self._server.create_database(template=replica.database)
        try:
            self._copy_settings(clone)
            yield clone
        finally:
            self._server.drop_database(clone.database)

    @contextmanager
    def sample_replica(self, replica: Target, version_table: str, rows: int) -> Iterator[Target]:
        """Copy a sample of the rows of a copy."""
        with throwaway.scratch_postgresql(self._server) as smaller:
            self._copy_settings(smaller)
            self._copy_sample(replica, smaller, version_table, rows)
            yield smaller

    def verify_untouched(self) -> str:
        """Compare structure and counters with those at the beginning, and return the result as a sentence."""
        with self._original_url_in_errors():
            now = self._read_write_counters()
        evidence = "every session of this command was read-only"
        if now == self._counters_before:
            return f"untouched: {now[2]} relations and the counters of rows written in them are as before; {evidence}"
        return f"somebody else wrote to it meanwhile; {evidence}"

    def _read_write_counters(self) -> tuple[Any, ...]:
        """Return what a write would change; raises DatabaseFailedError if our session is not read-only."""
        with postgresql_driver_connection(self._target) as connection, connection.cursor() as cursor:
            cursor.execute(_WRITE_COUNTERS)
            found = tuple(cursor.fetchone())
            cursor.execute(_SESSION_STATE)
            if cursor.fetchone() != ("on", True):
                raise DatabaseFailedError(
                    f"a session on {self._target} could write",
                    why="something between us and the server does not pass on our read-only setting",
                    fix="give the server's own address in DATABASE_URL",
                )
        return found

    def _read_target_traits(self) -> ServerTraits:
        with postgresql_driver_connection(self._target) as connection:
            return read_traits(connection)

    def _copy_settings(self, replica: Target) -> None:
        """Give a copy the settings of the target's database, such as its search_path."""
        settings = [
            it for it in self._traits.settings if not it.partition("=")[0].lower().startswith(_SKIPPED_SETTINGS)
        ]
        with postgresql_driver_connection(replica) as connection:
            copy_settings(settings, connection, replica.database)
            connection.commit()

    def _copy_sample(self, source: Target, replica: Target, version_table: str, rows: int) -> None:
        with sampling.Sample(source, rows, whole_table=version_table).open() as sample:
            self._dump_and_restore(source, replica, "--section=pre-data", f"--snapshot={sample.snapshot}")
            sample.copy_into(replica)
            self._dump_and_restore(source, replica, "--section=post-data", f"--snapshot={sample.snapshot}")

    def _program_path(self, name: str) -> str:
        """Return a program of the server's own version, which some distributions keep in another directory."""
        own = self._server.binaries / name
        return str(own if own.exists() else programs.find_client(name, server_major=self._server.major_version))

    def _dump_and_restore(self, source: Target, replica: Target, *options: str) -> None:
        dump = [
            self._program_path("pg_dump"),
            "--format=custom",
            "--compress=0",
            "--no-password",
            *_PORTABLE_DUMP_OPTIONS,
        ]
        dump += [f"--lock-wait-timeout={_LOCK_TIMEOUT_MILLISECONDS}", *options]
        load = [self._program_path("pg_restore"), f"--dbname={replica.database}", "--exit-on-error"]
        load += ["--no-owner", "--no-privileges", "--no-tablespaces", "--no-password"]
        try:
            run_pipeline(
                Program(tuple(dump), source.environment() | {"LC_ALL": "C"}, "see that this user may read all of it"),
                Program(
                    tuple(load), replica.environment() | {"LC_ALL": "C"}, "what the copy lacks cannot be rehearsed"
                ),
            )
        except ProgramFailedError as error:
            tail = source.mask(error.tail)
            fix = programs.missing_ssl_fix(tail) or error.fix
            raise ProgramFailedError(error.program, code=error.code, tail=tail, fix=fix, what=error.what) from None


def read_only_target(target: Target) -> Target:
    """Return the target with read-only sessions, also for child programs."""
    given = target.url.query.get("options", "")
    options = " ".join(filter(None, (given if isinstance(given, str) else " ".join(given), _READ_ONLY)))
    return target.with_parts(query={**target.url.query, "options": options})


def _analyze_and_count(replica: Target) -> tuple[int, int]:
    """Compute the planner's statistics, and count tables and rows."""
    with postgresql_driver_connection(replica) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
            cursor.execute(f"SELECT n.nspname, c.relname {_USER_TABLES}")
            names = [sql.Identifier(namespace, name) for namespace, name in cursor.fetchall()]
            rows = 0
            for name in names:
                cursor.execute(sql.SQL("SELECT count(*) FROM ONLY {}").format(name))
                rows += cursor.fetchone()[0]
    return len(names), rows
