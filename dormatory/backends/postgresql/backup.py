"""Copies of a PostgreSQL database: dumped and read back, and restored into a new one that takes the old one's name."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import errors, sql

from dormatory.backends import programs
from dormatory.backends.postgresql import properties
from dormatory.backends.postgresql.backend import BACKEND
from dormatory.backends.postgresql.engine import postgresql_driver_connection
from dormatory.backends.postgresql.explanations import explain_postgresql_error
from dormatory.backends.postgresql.markers import MAINTENANCE_DATABASES
from dormatory.errors import BackupFailedError, DatabaseFailedError, MissingDatabaseError, NotABackupError
from dormatory.system.atomic_file import move_into_place, partial_file
from dormatory.system.process import run_program
from dormatory.system.signals import defer_signals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.backends.postgresql.properties import DatabaseProperties
    from dormatory.backends.url import Target
    from dormatory.system.process import ProcessResult

_LOG = logging.getLogger("dormatory")
_TIMEOUT_SECONDS = 7 * 86400.0
_LOCK_MILLISECONDS = 30_000  # how long pg_dump may wait for a session that alters a table
_ATTEMPTS = 5  # the server itself waits five seconds for the others to leave
_TAIL_LINES = 4
# pg_restore 17 and newer sets this on every server, and those before 17 do not know it.
_HARMLESS_ERROR = '"transaction_timeout"'
_MISSING_ROLE = re.compile(r'(role ".+") does not exist')
_LEFTOVER_COMMENT = "dormatory: left over by a restore of "
_LEFTOVERS_QUERY = """
SELECT datname FROM pg_database d WHERE shobj_description(d.oid, 'pg_database') = %s AND pg_has_role(datdba, 'MEMBER')
"""
_TERMINATE_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = {} AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


def write_backup(target: Target, file: Path) -> None:
    """Dump the database into `file`, which appears when all of it has been read back.

    Raises MissingDatabaseError, BackupFailedError, ProgramMissingError, ProgramTooOldError.
    """
    with postgresql_driver_connection(target) as connection:
        major = connection.server_version // 10000
    dump, reader = (programs.find_client(name, server_major=major) for name in ("pg_dump", "pg_restore"))
    wait = f"--lock-wait-timeout={_LOCK_MILLISECONDS}"
    try:
        with partial_file(file) as part:
            _run_backup_program(
                target, dump, "--format=custom", "--compress=1", "--no-password", wait, f"--file={part}"
            )
            _run_backup_program(target, reader, f"--file={os.devnull}", str(part))
            move_into_place(part, file)
    except OSError as error:
        reason, fix = f"{file.parent}: {error.strerror}", "check owner, mode and free space there"
        raise BackupFailedError(str(target), reason, fix=fix) from error


@contextlib.contextmanager
def replacement(target: Target, *, wait_seconds: float = 0) -> Iterator[PostgreSQLReplacement]:  # noqa: ARG001  # other sessions are ended
    """Let the database be replaced within the block."""
    yield PostgreSQLReplacement(target)


class PostgreSQLReplacement:
    """A database that is about to be replaced."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def restore(self, file: Path) -> None:
        """Put a backup in the database's place."""
        restore_backup(self._target, file)

    def clear(self) -> None:
        """Put an empty database in its place."""
        BACKEND.drop(self._target)
        BACKEND.create(self._target)


def restore_backup(target: Target, file: Path) -> None:
    """Restore a backup into a new database, and let that take the old one's name; sessions in the old one are ended.

    The new one gets the old one's owner, rights, settings and mark. Without an old one it is not marked, so it counts
    as production. Raises NotABackupError, DatabaseFailedError, ProgramMissingError, ProgramTooOldError.
    """
    with _maintenance_connection(target) as connection, connection.cursor() as cursor:
        reader = programs.find_client("pg_restore", server_major=connection.server_version // 10000)
        _refuse_non_backup(target, reader, file)
        _drop_leftovers(cursor, target)
        replacement = _Replacement(
            cursor, target, f"dormatory_{secrets.token_hex(8)}", properties.read_properties(cursor, target)
        )
        try:
            replacement.fill(reader, file)
            with defer_signals():
                replacement.swap_names()
        finally:
            with defer_signals():
                replacement.drop()


@dataclass(frozen=True, slots=True)
class _Replacement:
    """A new database that will replace the target; `properties` are those of the target, None if it does not exist."""

    cursor: Any
    target: Target
    name: str
    properties: DatabaseProperties | None

    def fill(self, reader: Path, file: Path) -> None:
        """Create the database and restore into it.

        If the server lacks a role that owns an object or holds a right in the backup, we own everything.
        """
        problems = _restore_errors(self._create_and_restore(reader, file))
        if missing := next(filter(None, map(_MISSING_ROLE.search, problems)), None):
            _LOG.warning("this server has no %s: owners and rights are not restored", missing[1])
            self.drop()
            problems = _restore_errors(self._create_and_restore(reader, file, "--no-owner", "--no-privileges"))
        if problems:
            reason = " / ".join(problems[:_TAIL_LINES])
            raise DatabaseFailedError(
                f"{self.target} was not restored",
                why=self.target.mask(reason),
                fix="it is as it was; remove that cause, then run the command again",
            )

    def swap_names(self) -> None:
        """Exchange names with the target in one transaction, so that this one's name is then the old one's.

        New sessions wait for its end, and existing ones are ended just before: all statements are sent at once. A
        session that connected in between is ended at the next attempt.
        """
        text = sql.SQL(";\n").join(self._swap_statements())
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self.cursor.execute(text)
            except errors.ObjectInUse:
                if attempt == _ATTEMPTS:
                    raise
            else:
                return

    def drop(self) -> None:
        """Drop the database that has this name now: the one half restored, or the one replaced."""
        self.cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self.name)))

    def _create_and_restore(self, reader: Path, file: Path, *options: str) -> ProcessResult:
        creation = sql.SQL("TEMPLATE template0") if self.properties is None else self.properties.creation_options
        self.cursor.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(self.name), creation))
        self.cursor.execute(self._comment_statement(self.name, _LEFTOVER_COMMENT + self.target.database))
        arguments = [str(reader), "--no-password", f"--dbname={self.name}", *options, str(file)]
        return run_program(
            arguments,
            env=_program_environment(self.target.with_database(self.name)),
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )

    def _swap_statements(self) -> Iterator[sql.Composable]:
        rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
        ours, wanted = sql.Identifier(self.name), sql.Identifier(self.target.database)
        if self.properties is None:
            yield rename.format(ours, wanted)
            yield self._comment_statement(self.target.database, None)
            return
        interim = sql.Identifier(f"{self.name}_old")
        yield sql.SQL(_TERMINATE_SESSIONS).format(sql.Literal(self.target.database))
        yield from properties.property_statements(self.name, self.properties)
        yield rename.format(wanted, interim)
        yield rename.format(ours, wanted)
        yield rename.format(interim, ours)
        yield self._comment_statement(self.target.database, self.properties.comment)
        yield self._comment_statement(self.name, _LEFTOVER_COMMENT + self.target.database)

    @staticmethod
    def _comment_statement(name: str, text: str | None) -> sql.Composable:
        return sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(text))


def _restore_errors(finished: ProcessResult) -> list[str]:
    """Return the errors of a restore."""
    if finished.code == 0:
        return []
    lines = [line.strip() for line in finished.stderr.splitlines()]
    errors_found = [line.partition("error: ")[2] for line in lines if "error: " in line]
    if not errors_found:
        return lines[-_TAIL_LINES:] or [f"pg_restore ended with exit code {finished.code}"]
    return [line for line in errors_found if _HARMLESS_ERROR not in line]


def _drop_leftovers(cursor: Any, target: Target) -> None:
    """Drop the databases that a killed restore left; raises DatabaseFailedError while another restore runs."""
    name = _LEFTOVER_COMMENT + target.database
    cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (name,))
    if not cursor.fetchone()[0]:
        raise DatabaseFailedError(f"{target} is being restored", why="by somebody else", fix="wait for that to end")
    cursor.execute(_LEFTOVERS_QUERY, (name,))
    for (leftover,) in cursor.fetchall():
        cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(leftover)))


def _refuse_non_backup(target: Target, reader: Path, file: Path) -> None:
    """Raise NotABackupError for a file that pg_restore cannot list."""
    finished = run_program([str(reader), "--list", str(file)], env=_program_environment(target), check=False)
    if finished.code:
        reason = finished.stderr.strip().partition("error: ")[2]
        raise NotABackupError(str(file), " ".join(reason.split()) or "pg_restore cannot list it")


def _run_backup_program(target: Target, program: Path, *options: str) -> None:
    """Run one of the two programs; raises BackupFailedError with its last lines of output."""
    finished = run_program(
        [str(program), *options], env=_program_environment(target), timeout=_TIMEOUT_SECONDS, check=False
    )
    if finished.code:
        lines = target.mask(finished.stderr).strip().splitlines() or [f"exit code {finished.code}"]
        reason = " / ".join(line.removeprefix(f"{program.name}: ") for line in lines[-_TAIL_LINES:])
        fix = "remove that cause, then run the command again"
        raise BackupFailedError(str(target), f"{program.name}: {reason}", fix=fix)


def _program_environment(target: Target) -> dict[str, str]:
    return target.environment() | {"LC_ALL": "C"}  # their messages are read here


@contextlib.contextmanager
def _maintenance_connection(target: Target) -> Iterator[Any]:
    """Connect to the first maintenance database that accepts us, each statement a transaction of its own."""
    for name in MAINTENANCE_DATABASES:
        if name == target.database:
            continue
        with contextlib.ExitStack() as stack:
            try:
                connection = stack.enter_context(postgresql_driver_connection(target.with_database(name)))
            except MissingDatabaseError:
                continue
            connection.autocommit = True
            try:
                yield connection
            except psycopg2.Error as error:
                raise explain_postgresql_error(error, target) from error
            return
    raise MissingDatabaseError(str(target.with_database(MAINTENANCE_DATABASES[0])))
