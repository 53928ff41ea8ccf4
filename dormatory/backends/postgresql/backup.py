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
from dormatory.backends.driver import connected
from dormatory.backends.postgresql import properties
from dormatory.backends.postgresql.markers import MAINTENANCE
from dormatory.backends.registry import backend_for
from dormatory.errors import BackupFailedError, DatabaseFailedError, MissingDatabaseError, NotABackupError
from dormatory.system.atomic_file import part_for, settle
from dormatory.system.process import run
from dormatory.system.signals import deferring_signals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.backends.postgresql.properties import Traits
    from dormatory.backends.url import Target
    from dormatory.system.process import Finished

_LOG = logging.getLogger("dormatory")
_TIMEOUT_SECONDS = 7 * 86400.0
_LOCK_MILLISECONDS = 30_000  # how long pg_dump may wait for somebody who alters a table
_ATTEMPTS = 5  # the server itself waits five seconds for the others to leave
_TAIL_LINES = 4
# pg_restore 17 and newer sets this on every server, and those before 17 do not know it.
_HARMLESS = '"transaction_timeout"'
_NO_ROLE = re.compile(r'(role ".+") does not exist')
_LEFT = "dormatory: left over by a restore of "
_LEFT_OVER = """
SELECT datname FROM pg_database d WHERE shobj_description(d.oid, 'pg_database') = %s AND pg_has_role(datdba, 'MEMBER')
"""
_LEAVE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = {} AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


def backup(target: Target, file: Path) -> None:
    """Dump the database into `file`, which appears when all of it has been read back.

    Raises MissingDatabaseError, BackupFailedError, ProgramMissingError, ProgramTooOldError.
    """
    with connected(target, writing=False) as connection:
        major = connection.server_version // 10000
    dump, reader = (programs.client(name, server_major=major) for name in ("pg_dump", "pg_restore"))
    wait = f"--lock-wait-timeout={_LOCK_MILLISECONDS}"
    try:
        with part_for(file) as part:
            _copied(target, dump, "--format=custom", "--compress=1", "--no-password", wait, f"--file={part}")
            _copied(target, reader, f"--file={os.devnull}", str(part))
            settle(part, file)
    except OSError as error:
        said, fix = f"{file.parent}: {error.strerror}", "see owner, mode and room there"
        raise BackupFailedError(str(target), said, fix=fix) from error


def restore(target: Target, file: Path) -> None:
    """Restore a backup into a new database, and let that take the old one's name; sessions in the old one are ended.

    The new one gets the old one's owner, rights, settings and mark. Without an old one it is not marked, so it counts
    as production. Raises NotABackupError, DatabaseFailedError, ProgramMissingError, ProgramTooOldError.
    """
    with _maintaining(target) as connection, connection.cursor() as cursor:
        reader = programs.client("pg_restore", server_major=connection.server_version // 10000)
        _refuse_other(target, reader, file)
        _sweep(cursor, target)
        twin = _Twin(cursor, target, f"dormatory_{secrets.token_hex(8)}", properties.of(cursor, target))
        try:
            twin.fill(reader, file)
            with deferring_signals():
                twin.take_place()
        finally:
            with deferring_signals():
                twin.drop()


@dataclass(frozen=True, slots=True)
class _Twin:
    """A new database that is to take the place of the target, whose traits are None when there is none."""

    cursor: Any
    target: Target
    name: str
    traits: Traits | None

    def fill(self, reader: Path, file: Path) -> None:
        """Create the database and restore into it.

        Where the server lacks somebody to whom the backup gives an object or a right, all of it becomes ours.
        """
        problems = _problems(self._filled(reader, file))
        if missing := next(filter(None, map(_NO_ROLE.search, problems)), None):
            _LOG.warning("this server has no %s: owners and rights are not restored", missing[1])
            self.drop()
            problems = _problems(self._filled(reader, file, "--no-owner", "--no-privileges"))
        if problems:
            said = " / ".join(problems[:_TAIL_LINES])
            raise DatabaseFailedError(
                f"{self.target} was not restored",
                why=self.target.mask(said),
                fix="it is as it was; remove that cause, then run the command again",
            )

    def take_place(self) -> None:
        """Exchange names with the target in one transaction, so that this one's name is then the old one's.

        Whoever connects meanwhile waits for its end, and those who are connected are ended just before: all of it is
        sent at once. A session that slipped in all the same is ended at the next attempt.
        """
        text = sql.SQL(";\n").join(self._exchange())
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self.cursor.execute(text)
            except errors.ObjectInUse:
                if attempt == _ATTEMPTS:
                    raise
            else:
                return

    def drop(self) -> None:
        """Drop whichever database has this name now: the one half restored, or the one replaced."""
        self.cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self.name)))

    def _filled(self, reader: Path, file: Path, *options: str) -> Finished:
        creation = sql.SQL("TEMPLATE template0") if self.traits is None else self.traits.creation
        self.cursor.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(self.name), creation))
        self.cursor.execute(self._comment(self.name, _LEFT + self.target.database))
        words = [str(reader), "--no-password", f"--dbname={self.name}", *options, str(file)]
        return run(words, env=_environment(self.target.renamed(self.name)), timeout=_TIMEOUT_SECONDS, check=False)

    def _exchange(self) -> Iterator[sql.Composable]:
        rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
        ours, wanted = sql.Identifier(self.name), sql.Identifier(self.target.database)
        if self.traits is None:
            yield rename.format(ours, wanted)
            yield self._comment(self.target.database, None)
            return
        between = sql.Identifier(f"{self.name}_old")
        yield sql.SQL(_LEAVE).format(sql.Literal(self.target.database))
        yield from properties.statements(self.name, self.traits)
        yield rename.format(wanted, between)
        yield rename.format(ours, wanted)
        yield rename.format(between, ours)
        yield self._comment(self.target.database, self.traits.comment)
        yield self._comment(self.name, _LEFT + self.target.database)

    @staticmethod
    def _comment(name: str, text: str | None) -> sql.Composable:
        return sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(text))


def _problems(finished: Finished) -> list[str]:
    """Return what a restore complained of; nothing when it did its work."""
    if finished.code == 0:
        return []
    lines = [line.strip() for line in finished.stderr.splitlines()]
    complaints = [line.partition("error: ")[2] for line in lines if "error: " in line]
    if not complaints:
        return lines[-_TAIL_LINES:] or [f"pg_restore ended with exit code {finished.code}"]
    return [line for line in complaints if _HARMLESS not in line]


def _sweep(cursor: Any, target: Target) -> None:
    """Drop what a killed restore of this database left; while another one runs, ours is refused."""
    name = _LEFT + target.database
    cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (name,))
    if not cursor.fetchone()[0]:
        raise DatabaseFailedError(f"{target} is being restored", why="by somebody else", fix="wait for that to end")
    cursor.execute(_LEFT_OVER, (name,))
    for (left,) in cursor.fetchall():
        cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(left)))


def _refuse_other(target: Target, reader: Path, file: Path) -> None:
    """Raise NotABackupError for a file that pg_restore cannot list."""
    listed = run([str(reader), "--list", str(file)], env=_environment(target), check=False)
    if listed.code:
        said = listed.stderr.strip().partition("error: ")[2]
        raise NotABackupError(str(file), " ".join(said.split()) or "pg_restore cannot list it")


def _copied(target: Target, program: Path, *options: str) -> None:
    """Run one of the two programs; raises BackupFailedError with its last words."""
    finished = run([str(program), *options], env=_environment(target), timeout=_TIMEOUT_SECONDS, check=False)
    if finished.code:
        lines = target.mask(finished.stderr).strip().splitlines() or [f"exit code {finished.code}"]
        said = " / ".join(line.removeprefix(f"{program.name}: ") for line in lines[-_TAIL_LINES:])
        fix = "remove that cause, then run the command again"
        raise BackupFailedError(str(target), f"{program.name}: {said}", fix=fix)


def _environment(target: Target) -> dict[str, str]:
    return target.environment() | {"LC_ALL": "C"}  # what the programs say is read here


@contextlib.contextmanager
def _maintaining(target: Target) -> Iterator[Any]:
    """Connect to the first maintenance database that lets us in, each statement a transaction of its own."""
    for name in MAINTENANCE:
        if name == target.database:
            continue
        with contextlib.ExitStack() as stack:
            try:
                connection = stack.enter_context(connected(target.renamed(name), writing=True))
            except MissingDatabaseError:
                continue
            connection.autocommit = True
            try:
                yield connection
            except psycopg2.Error as error:
                raise backend_for(target).explain(error, target) from error
            return
    raise MissingDatabaseError(str(target.renamed(MAINTENANCE[0])))
