"""Copies of a PostgreSQL database for a rehearsal: dumped by a session that cannot write, restored on our server."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from dormatory.backends import programs
from dormatory.backends.base import Copied
from dormatory.backends.driver import connected
from dormatory.backends.postgresql import sampling
from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.url import Target
from dormatory.errors import (
    DatabaseFailedError,
    DormatoryError,
    ExtensionsMissingError,
    ProgramFailedError,
    ServerTooOldError,
)
from dormatory.system.pipe import Program, pipe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from dormatory.backends.postgresql.server.throwaway import Server

_READ_ONLY = "-c default_transaction_read_only=on"
_LOCK_MILLISECONDS = 30_000  # how long pg_dump may wait for somebody who alters a table
_OF_MACHINE = ("--no-owner", "--no-privileges", "--no-tablespaces", "--no-subscriptions", "--no-security-labels")
_USER_TABLES = """
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"""
_TRAITS = """
SELECT datcollate, pg_catalog.pg_encoding_to_char(encoding),
    (SELECT setconfig FROM pg_catalog.pg_db_role_setting AS s WHERE s.setdatabase = d.oid AND s.setrole = 0)
FROM pg_catalog.pg_database AS d WHERE datname = pg_catalog.current_database()"""
# What a write leaves: the counters of each table's rows, and a transaction's number on whatever it altered.
_STATE = """
SELECT coalesce(pg_catalog.md5(pg_catalog.string_agg(
        c.oid::text || ' ' || c.xmin::text || ' ' || c.relfilenode::text, ',' ORDER BY c.oid)), ''),
    coalesce(sum(pg_catalog.pg_stat_get_tuples_inserted(c.oid) + pg_catalog.pg_stat_get_tuples_updated(c.oid)
        + pg_catalog.pg_stat_get_tuples_deleted(c.oid)), 0)::bigint, count(*)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'v', 'S', 'i') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"""
_OURS = """
SELECT pg_catalog.current_setting('transaction_read_only'), pg_catalog.pg_current_xact_id_if_assigned() IS NULL"""
_SILENT_SETTINGS = ("dormatory.", "role", "session_authorization", "default_transaction_read_only")


@dataclass(frozen=True, slots=True)
class _Traits:
    """What a server and database are, that a copy of it must know."""

    version: str
    major: int
    collation: str
    encoding: str
    settings: tuple[str, ...]
    extensions: tuple[str, ...]
    roles: tuple[str, ...]


class PostgreSQLBench:
    """A database, in which every session of ours is read-only, and a throwaway server for its copies."""

    def __init__(self, target: Target, server: Server) -> None:
        self._server = server
        self._target, self._shown = read_only(target), str(target)

    @contextmanager
    def opened(self) -> Iterator[PostgreSQLBench]:
        """Remember how the database stands, first of all."""
        with self._as_known():
            self._before = self._state()
            self._traits = self._look()
            yield self

    @contextmanager
    def _as_known(self) -> Iterator[None]:
        """Let errors call the target as the user knows it, not as it was opened."""
        try:
            yield
        except DormatoryError as error:
            error.what = error.what.replace(str(self._target), self._shown)
            error.args = (f"{error.what} ({error.why}); {error.fix}",)
            raise

    def empty(self) -> AbstractContextManager[Target]:
        """Give an empty database on the throwaway server."""
        return throwaway.scratch_postgresql(self._server)

    def applied(self, version_table: str) -> tuple[str, ...]:
        """Return what the version table holds."""
        namespace, _, name = version_table.rpartition(".")
        table = sql.Identifier(*filter(None, (namespace, name)))
        with connected(self._target, writing=False) as connection, connection.cursor() as cursor:
            shown = table.as_string(connection)
            cursor.execute("SELECT pg_catalog.to_regclass(%s) IS NOT NULL", (shown,))
            if not cursor.fetchone()[0]:
                return ()
            cursor.execute(sql.SQL("SELECT version_num FROM {} ORDER BY 1").format(table))
            return tuple(row[0] for row in cursor.fetchall())

    @contextmanager
    def copied(self, version_table: str, sample: int) -> Iterator[tuple[Target, Copied]]:
        """Dump the database as of one snapshot, and restore it on the throwaway server.

        Raises ExtensionsMissingError, ServerTooOldError, ProgramFailedError.
        """
        began = perf_counter()
        here, notes = self._prepared()
        with throwaway.scratch_postgresql(self._server) as copy:
            self._settle(copy)
            if sample:
                self._sampled(self._target, copy, version_table, sample)
            else:
                self._piped(self._target, copy)
            tables, rows = _counted(copy)
            source = f"PostgreSQL {self._traits.version}"
            yield (
                copy,
                Copied(source, f"PostgreSQL {here.version}", tables, rows, perf_counter() - began, sample, notes),
            )

    @contextmanager
    def branched(self, copy: Target) -> Iterator[Target]:
        """Copy a copy, file by file."""
        url = self._server.create_database(template=copy.database)
        try:
            branch = Target(url, copy.driver)
            self._settle(branch)
            yield branch
        finally:
            self._server.drop_database(str(url.database))

    @contextmanager
    def reduced(self, copy: Target, version_table: str, rows: int) -> Iterator[Target]:
        """Take a sample of a copy as of the target itself."""
        with throwaway.scratch_postgresql(self._server) as smaller:
            self._settle(smaller)
            self._sampled(copy, smaller, version_table, rows)
            yield smaller

    def untouched(self) -> str:
        """Compare structure and counters with those at the beginning."""
        with self._as_known():
            now = self._state()
        said = "every session of this command was read-only"
        if now == self._before:
            return f"untouched: {now[2]} relations and the counters of rows written in them are as before; {said}"
        return f"somebody else wrote to it meanwhile; {said}"

    def _state(self) -> tuple[Any, ...]:
        """Return what a write would change; raises DatabaseFailedError where our session is not read-only."""
        with connected(self._target, writing=False) as connection, connection.cursor() as cursor:
            cursor.execute(_STATE)
            found = tuple(cursor.fetchone())
            cursor.execute(_OURS)
            if cursor.fetchone() != ("on", True):
                raise DatabaseFailedError(
                    f"a session on {self._target} could write",
                    why="something between us and the server does not pass on that it shall be read-only",
                    fix="give the server's own address in DATABASE_URL",
                )
        return found

    def _look(self) -> _Traits:
        with connected(self._target, writing=False) as connection:
            return _traits(connection)

    def _prepared(self) -> tuple[_Traits, tuple[str, ...]]:
        """See that the throwaway server can hold a copy, and make the roles that are named in it."""
        there = self._traits
        with connected(Target(self._server.url("postgres"), "postgresql+psycopg2"), writing=True) as connection:
            connection.autocommit = True
            here = _traits(connection)
            if there.major > here.major:
                raise ServerTooOldError(there.version, here.version, programs.VARIABLE)
            with connection.cursor() as cursor:
                cursor.execute("SELECT name FROM pg_catalog.pg_available_extensions")
                known = {name for (name,) in cursor.fetchall()}
                if missing := [name for name in there.extensions if name not in known]:
                    raise ExtensionsMissingError(missing, here.version, programs.VARIABLE)
                for role in sorted(set(there.roles) - set(here.roles)):
                    cursor.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
        return here, tuple(_differences(there, here))

    def _settle(self, copy: Target) -> None:
        """Give a copy the settings that the target's database has, such as its search_path."""
        with connected(copy, writing=True) as connection, connection.cursor() as cursor:
            for setting in self._traits.settings:
                name, _, value = setting.partition("=")
                if name.lower().startswith(_SILENT_SETTINGS):
                    continue
                # A list comes with its own quotes, every other value with none.
                shown = sql.SQL(value or "''") if name == "search_path" else sql.Literal(value)
                words = sql.SQL("ALTER DATABASE {} SET {} TO {}")
                parts = sql.Identifier(copy.database), sql.Identifier(*name.split(".")), shown
                cursor.execute(words.format(*parts))
            connection.commit()

    def _sampled(self, source: Target, copy: Target, version_table: str, rows: int) -> None:
        with sampling.Sample(source, rows, whole=version_table).opened() as sample:
            self._piped(source, copy, "--section=pre-data", f"--snapshot={sample.snapshot}")
            sample.pour(copy)
            self._piped(source, copy, "--section=post-data", f"--snapshot={sample.snapshot}")

    def _program(self, name: str) -> str:
        """Return a program of the server's own version; some distributions keep them elsewhere than the server."""
        beside = self._server.binaries / name
        return str(beside if beside.exists() else programs.client(name, server_major=self._server.version))

    def _piped(self, source: Target, copy: Target, *options: str) -> None:
        dump = [
            self._program("pg_dump"),
            "--format=custom",
            "--compress=0",
            "--no-password",
            *_OF_MACHINE,
        ]
        dump += [f"--lock-wait-timeout={_LOCK_MILLISECONDS}", *options]
        load = [self._program("pg_restore"), f"--dbname={copy.database}", "--exit-on-error"]
        load += ["--no-owner", "--no-privileges", "--no-tablespaces", "--no-password"]
        try:
            pipe(
                Program(tuple(dump), source.environment() | {"LC_ALL": "C"}, "see that this user may read all of it"),
                Program(tuple(load), copy.environment() | {"LC_ALL": "C"}, "what the copy lacks cannot be rehearsed"),
            )
        except ProgramFailedError as error:
            said = source.mask(error.tail)
            raise ProgramFailedError(error.program, code=error.code, tail=said, fix=error.fix) from None


def read_only(target: Target) -> Target:
    """Return the target with sessions in which the server refuses to write, those of child programs included."""
    given = target.url.query.get("options", "")
    options = " ".join(filter(None, (given if isinstance(given, str) else " ".join(given), _READ_ONLY)))
    return Target(target.url.update_query_dict({"options": options}), target.driver)


def _traits(connection: Any) -> _Traits:
    with connection.cursor() as cursor:
        cursor.execute(_TRAITS)
        collation, encoding, settings = cursor.fetchone()
        cursor.execute("SELECT extname FROM pg_catalog.pg_extension ORDER BY 1")
        extensions = tuple(name for (name,) in cursor.fetchall())
        cursor.execute("SELECT rolname FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_'")
        roles = tuple(name for (name,) in cursor.fetchall())
    number = connection.server_version
    dotted = f"{number // 10000}.{number % 10000}"
    return _Traits(dotted, number // 10000, collation, encoding, tuple(settings or ()), extensions, roles)


def _differences(there: _Traits, here: _Traits) -> Iterator[str]:
    if there.major != here.major:
        yield f"the target runs PostgreSQL {there.version}, the copy {here.version}: locks and times may differ"
    if there.collation != here.collation:
        yield f"the target sorts as {there.collation}, the copy as {here.collation}"
    if there.encoding != here.encoding:
        yield f"the target is in {there.encoding}, the copy in {here.encoding}"


def _counted(copy: Target) -> tuple[int, int]:
    """Give the planner its statistics, and count tables and rows."""
    with connected(copy, writing=True) as connection:
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
