"""SQLite: one file, its side files, and transactions that really cover DDL."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import NullPool, create_engine, event

from dormatory.backends import programs
from dormatory.backends.base import DatabaseSummary
from dormatory.backends.queries import DANGLING_ROWS_QUERY, LEFTOVER_TABLES_QUERY
from dormatory.backends.sqlite import write_lock
from dormatory.backends.sqlite.connection import disable_driver_transactions, side_files, sqlite_connection
from dormatory.errors import (
    DanglingRowsError,
    DatabaseFailedError,
    LeftoverJournalError,
    LeftoverTableError,
    MissingDatabaseError,
    ProgramMissingError,
)
from dormatory.system.open_files import processes_using

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from dormatory.backends.url import Target
    from dormatory.errors import DormatoryError

_MAX_SHOWN_ROWS = 3

# What SQLite's few words mean, and what to do: (part of the message, why, what next).
_EXPLANATIONS = (
    ("file is not a database", "its first bytes are not SQLite's", "name another file in DATABASE_URL"),
    ("readonly database", "the file or its directory may not be written", "see its owner and mode with: ls -l"),
    ("unable to open", "it, or its directory, may not be opened or written", "see owner and mode with: ls -l"),
    ("disk is full", "there is no room left for it", "free some space and run the command again"),
    ("disk I/O error", "there is no room left, or the disk is failing", "free some space and run the command again"),
    ("database is locked", "another program is writing to it", "end that program, then try again"),
    ("malformed", "the file is damaged", "restore it from a backup"),
    ("No such file", "its directory is not there", "create the directory, or correct DATABASE_URL"),
    ("Not a directory", "its path leads through a file", "correct DATABASE_URL"),
    ("Is a directory", "the path names a directory", "name a file in DATABASE_URL"),
    ("Permission denied", "its directory may not be written", "see owner and mode with: ls -ld"),
    ("Read-only file system", "nothing can be written there", "name a file elsewhere in DATABASE_URL"),
    ("No space left", "the disk is full", "free some space and run the command again"),
    ("name too long", "the system takes no file name of that length", "shorten it in DATABASE_URL"),
)


class SQLiteBackend:
    """A database in a file."""

    name = "sqlite"
    transaction_per_migration = False
    compares_defaults = False
    own_session_count = 0
    backup_suffix = ".db"

    def engine(
        self, target: Target, *, writing: bool, wait_seconds: float = write_lock.WRITE_LOCK_WAIT_SECONDS
    ) -> Engine:
        """Return an engine whose transactions SQLAlchemy alone begins and ends.

        The driver's legacy mode commits before DDL and begins only at the first INSERT, so a failed revision
        would stay half done. Foreign keys are off before BEGIN, inside a transaction the pragma does nothing,
        and with them on, a batch rebuild's DROP TABLE would empty the children.
        """
        engine = create_engine(target.url, poolclass=NullPool, connect_args={"timeout": wait_seconds})

        @event.listens_for(engine, "connect")
        def _take_over(driver: Any, _record: object) -> None:
            disable_driver_transactions(driver)
            driver.execute("PRAGMA foreign_keys = OFF")

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            if writing:
                write_lock.begin_immediate(connection.connection.dbapi_connection, target, wait_seconds)
            else:
                connection.exec_driver_sql("BEGIN")

        return engine

    def exists(self, target: Target) -> bool:
        """Say whether the file is there; raises when its directory may not be looked into."""
        try:
            return target.path.is_file()
        except OSError as error:
            raise self.explain(error, target) from error

    def create(self, target: Target) -> None:
        """Create an empty file, which is an empty database.

        Not beside a journal of an earlier one: SQLite would replay that into the new file.
        """
        try:
            if not target.path.exists() and (leftover := next(filter(Path.exists, side_files(target.path)), None)):
                raise LeftoverJournalError(leftover)
            target.path.open("ab").close()
        except OSError as error:
            raise self.explain(error, target) from error

    def drop(self, target: Target) -> None:
        """Remove the file and its side files, unless another program is using them.

        A side file left behind would be taken for the next file's own and damage it.
        """
        path = target.path
        if not self.exists(target):
            return
        with contextlib.closing(sqlite_connection(path)) as connection:
            try:
                # Out of WAL first: only the last connection may leave it, and readers of WAL hold no lock.
                connection.execute("PRAGMA journal_mode = DELETE")
                connection.execute("BEGIN EXCLUSIVE")
                # The file last: broken off before, it is still whole, while a journal alone would be a danger.
                for file in (*side_files(path), path):
                    file.unlink(missing_ok=True)
            except (sqlite3.Error, OSError) as error:
                raise self.explain(error, target) from error

    def summary(self, target: Target) -> DatabaseSummary:
        """Count the tables and rows of the file, and the other processes that have it open."""
        if not self.exists(target):
            raise MissingDatabaseError(str(target))
        try:
            with contextlib.closing(sqlite_connection(target.path)) as connection:
                query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
                tables = [name.replace('"', '""') for (name,) in connection.execute(query)]
                rows = sum(connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables)  # noqa: S608  # quoted above
        except sqlite3.Error as error:
            raise self.explain(error, target) from error
        server, sessions = f"SQLite {sqlite3.sqlite_version}", len(processes_using(target.path))
        return DatabaseSummary(server, target.database, "-", "development", len(tables), rows, sessions)

    def create_backup(self, target: Target, file: Path) -> None:
        """Copy the file, whoever is using it."""
        from dormatory.backends.sqlite import backup as sqlite_backup  # noqa: PLC0415  # which works with what stands below

        sqlite_backup.create_sqlite_backup(target, file)

    def restore(self, target: Target, file: Path) -> None:
        """Exchange the file, which nobody may be using."""
        from dormatory.backends.sqlite import backup as sqlite_backup  # noqa: PLC0415

        sqlite_backup.restore_sqlite_backup(target, file)

    def version(self, connection: Connection) -> str:
        """Return the version of the SQLite library in this process."""
        return f"SQLite {connection.exec_driver_sql('SELECT sqlite_version()').scalar_one()}"

    def upgrade_lock(
        self,
        target: Target,  # noqa: ARG002
        version_table: str,  # noqa: ARG002
        *,
        wait_seconds: float = 0,  # noqa: ARG002
    ) -> contextlib.AbstractContextManager[None]:
        """Do nothing: BEGIN IMMEDIATE lets one writer in and makes the others wait."""
        return contextlib.nullcontext()

    def has_dedicated_session(self, connection: Connection) -> bool:  # noqa: ARG002
        """Say yes: nothing stands between."""
        return True

    def limit_lock_waits(
        self,
        connection: Connection,  # noqa: ARG002
        seconds: float,  # noqa: ARG002
        monitor: object,  # noqa: ARG002
    ) -> contextlib.AbstractContextManager[None]:
        """Do nothing: whoever writes has the only lock that there is."""
        return contextlib.nullcontext()

    def cancel(self, connection: Connection) -> None:
        """Break the statement off."""
        driver: Any = connection.connection.dbapi_connection
        driver.interrupt()

    def apply_connect_listeners(self, connection: Connection, target: Target) -> None:
        """Enforce foreign keys if the application's own connections do: a table rebuild then empties the children."""
        with create_engine(target.url, poolclass=NullPool).connect() as application_connection:
            enforced = application_connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one()
        driver: Any = connection.connection.driver_connection
        driver.execute(f"PRAGMA foreign_keys = {enforced:d}")

    def refuse_leftovers(self, connection: Connection) -> None:
        """Raise RemainsError for a batch rebuild's temporary table that another tool left behind."""
        if leftover := connection.exec_driver_sql(LEFTOVER_TABLES_QUERY).scalars().first():
            raise LeftoverTableError(str(leftover))

    def refuse_dangling_rows(self, connection: Connection) -> None:
        """Raise DanglingRowsError when rows refer to rows that are not there."""
        rows = connection.exec_driver_sql(DANGLING_ROWS_QUERY).fetchall()
        if rows:
            examples = [f"{table} row {row} needs {parent}" for table, row, parent, _ in rows[:_MAX_SHOWN_ROWS]]
            raise DanglingRowsError(examples, len(rows))

    def refuse_invalid_objects(self, connection: Connection) -> None:
        """Do nothing: every object in an SQLite file is valid."""

    def shell_command(self, target: Target) -> list[str]:
        """Return the sqlite3 program on this file, Python's own where there is none, or the one we bring."""
        try:
            return [str(programs.find_client("sqlite3")), target.database]
        except ProgramMissingError:
            module = "sqlite3" if sys.version_info >= (3, 12) else "dormatory.backends.sqlite.shell"
            return [sys.executable, "-m", module, target.database]

    def explain(self, error: BaseException, target: Target) -> DormatoryError:
        """Return what SQLite or the file system said about this file, and what to do."""
        message = str(getattr(error, "orig", None) or getattr(error, "strerror", None) or error)
        for part, why, fix in _EXPLANATIONS:
            if part in message:
                return DatabaseFailedError(f"{target}: {message}", why=why, fix=fix)
        return DatabaseFailedError(f"{target} failed", why=message, fix="see that the file is whole and may be written")
