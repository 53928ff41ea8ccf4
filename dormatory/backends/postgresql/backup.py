"""Copies of a PostgreSQL database: dumped and read back, and restored in its place."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from typing import TYPE_CHECKING

from dormatory.backends import programs
from dormatory.backends.postgresql.connection import postgresql_connection
from dormatory.backends.postgresql.new_database import open_new_database
from dormatory.backends.postgresql.program_watch import DumpWatch, RestoreWatch
from dormatory.errors import BackupFailedError, DatabaseFailedError, NotABackupError
from dormatory.system.atomic_file import move_into_place, partial_file
from dormatory.system.process import run_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.backends.postgresql.new_database import NewDatabase
    from dormatory.backends.url import Target
    from dormatory.system.process import ProcessResult

_LOG = logging.getLogger("dormatory")
_TIMEOUT_SECONDS = 7 * 86400.0
_WATCH_SECONDS = 10.0  # the watch ends a dump that waits, and says for what; if it cannot, pg_dump ends itself
_TAIL_LINES = 4
# pg_restore 17 and newer sets this on every server, and those before 17 do not know it.
_HARMLESS_ERROR = '"transaction_timeout"'
_MISSING_ROLE = re.compile(r'(role ".+") does not exist')


def write_backup(target: Target, file: Path, *, wait_seconds: float = 60.0) -> None:
    """Dump the database into `file`, which appears when all of it has been read back.

    Raises MissingDatabaseError, BackupFailedError, ProgramMissingError, ProgramTooOldError.
    """
    with postgresql_connection(target) as connection:
        major = connection.server_version // 10000
    dump, reader = (programs.find_client(name, server_major=major) for name in ("pg_dump", "pg_restore"))
    wait = f"--lock-wait-timeout={(wait_seconds + _WATCH_SECONDS) * 1000:.0f}"
    options = ("--format=custom", "--compress=1", "--no-password", wait)
    try:
        with partial_file(file) as part:
            watch = DumpWatch(target, part, wait_seconds)
            _run_backup_program(target, dump, *options, f"--file={part}", watch=watch)
            _run_backup_program(target, reader, f"--file={os.devnull}", str(part))
            move_into_place(part, file)
    except OSError as error:
        reason, fix = f"{file.parent}: {error.strerror}", "check owner, mode and free space there"
        raise BackupFailedError(str(target), reason, fix=fix) from error


@contextlib.contextmanager
def replacement(target: Target, *, wait_seconds: float = 60.0) -> Iterator[PostgreSQLReplacement]:
    """Look for all that prevents a replacement, keep other ones away until the block ends, and let it happen in there.

    Raises IrreplaceableDatabaseError, PoolerError, StandbyError, ReadOnlyDefaultError, DatabaseFailedError.
    """
    with open_new_database(target, wait_seconds=wait_seconds) as new:
        yield PostgreSQLReplacement(new)


class PostgreSQLReplacement:
    """A database that is about to be replaced by a new one; sessions in it are ended then.

    The new one gets the old one's owner, rights, settings, comment and mark.
    """

    def __init__(self, new: NewDatabase) -> None:
        self._new = new

    @property
    def losses(self) -> tuple[str, ...]:
        """Its replication slots."""
        return tuple(f"its logical replication slot {slot} goes with it, in no backup" for slot in self._new.slots)

    def restore(self, file: Path) -> None:
        """Put a backup in its place; without an old one, it is not marked, so it counts as production."""
        target = self._new.target
        reader = programs.find_client("pg_restore", server_major=self._new.server_major)
        _refuse_non_backup(target, reader, file)
        with self._new.exchange(comment=None):
            _fill(self._new, reader, file)

    def clear(self) -> None:
        """Put an empty database in its place."""
        self._new.clear()


def _fill(new: NewDatabase, reader: Path, file: Path) -> None:
    """Create the new database and restore into it.

    If the server lacks a role that owns an object or holds a right in the backup, we own everything.
    """
    target = new.target
    problems = _create_and_restore(new, reader, file)
    if missing := next(filter(None, map(_MISSING_ROLE.search, problems)), None):
        _LOG.warning("this server has no %s: owners and rights are not restored", missing[1])
        problems = _create_and_restore(new, reader, file, "--no-owner", "--no-privileges")
    if problems:
        raise DatabaseFailedError(
            f"{target} was not restored",
            why=target.mask(" / ".join(problems[:_TAIL_LINES])),
            fix="it is as it was; remove that cause, then run the command again",
        )


def _create_and_restore(new: NewDatabase, reader: Path, file: Path, *options: str) -> list[str]:
    """Return the errors of a restore."""
    new.create()
    arguments = [str(reader), "--no-password", f"--dbname={new.name}", *options, str(file)]
    watch = RestoreWatch(new.target, new.name, new.wait_seconds)
    environment = _program_environment(new.target.with_database(new.name)) | {"PGAPPNAME": watch.program_name}
    finished = run_program(arguments, env=environment, timeout=_TIMEOUT_SECONDS, check=False, on_second=watch.check)
    return _restore_errors(finished)


def _restore_errors(finished: ProcessResult) -> list[str]:
    """Return the errors of a restore."""
    if finished.code == 0:
        return []
    lines = [line.strip() for line in finished.stderr.splitlines()]
    errors_found = [line.partition("error: ")[2] for line in lines if "error: " in line]
    if not errors_found:
        return lines[-_TAIL_LINES:] or [f"pg_restore ended with exit code {finished.code}"]
    return [line for line in errors_found if _HARMLESS_ERROR not in line]


def _refuse_non_backup(target: Target, reader: Path, file: Path) -> None:
    """Raise NotABackupError for a file that pg_restore cannot list."""
    finished = run_program([str(reader), "--list", str(file)], env=_program_environment(target), check=False)
    if finished.code:
        reason = finished.stderr.strip().partition("error: ")[2]
        raise NotABackupError(str(file), " ".join(reason.split()) or "pg_restore cannot list it")


def _run_backup_program(target: Target, program: Path, *options: str, watch: DumpWatch | None = None) -> None:
    """Run one of the two programs; raises BackupFailedError with its last lines of output."""
    finished = run_program(
        [str(program), *options],
        env=_program_environment(target) | ({"PGAPPNAME": watch.program_name} if watch else {}),
        timeout=_TIMEOUT_SECONDS,
        check=False,
        on_second=watch.check if watch else None,
    )
    if finished.code:
        lines = target.mask(finished.stderr).strip().splitlines() or [f"exit code {finished.code}"]
        reason = " / ".join(line.removeprefix(f"{program.name}: ") for line in lines[-_TAIL_LINES:])
        fix = programs.missing_ssl_fix(reason) or "remove that cause, then run the command again"
        raise BackupFailedError(str(target), f"{program.name}: {reason}", fix=fix)


def _program_environment(target: Target) -> dict[str, str]:
    return target.environment() | {"LC_ALL": "C"}  # their messages are read here
