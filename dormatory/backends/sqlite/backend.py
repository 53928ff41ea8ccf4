"""SQLite: one file, its side files, and transactions that really cover DDL."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dormatory.backends.base import Backend, DatabaseSummary
from dormatory.backends.missing_database import missing_database
from dormatory.backends.queries import DANGLING_ROWS_QUERY, LEFTOVER_TABLES_QUERY
from dormatory.backends.sqlite.connection import (
    USER_TABLES_QUERY,
    is_existing_file,
    refuse_read_only,
    side_files,
    target_connection,
)
from dormatory.backends.sqlite.explanations import explain_sqlite_error
from dormatory.backends.sqlite.url import driver_url, file_uri
from dormatory.errors import (
    DanglingRowsError,
    LeftoverJournalError,
    LeftoverTableError,
    ProgramMissingError,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

    from dormatory.backends.url import Target
    from dormatory.errors import DormatoryError

_WRITE_LOCK_WAIT_SECONDS = 60.0
_MAX_SHOWN_ROWS = 3
_SYSTEM_FAILURE_TEXTS = ("disk is full", "disk I/O error", "readonly database", "database is locked")


class SQLiteBackend(Backend):
    """A database in a file. One lock covers all of it: BEGIN IMMEDIATE admits one writer, the others wait."""

    name = "sqlite"
    title = "SQLite"
    async_drivers = ("aiosqlite",)
    is_file = True
    transaction_per_migration = False  # DDL is rolled back too, and nobody can see half of an upgrade
    backup_suffix = ".db"

    def exists(self, target: Target) -> bool:
        """Return whether the file exists; raises when its directory may not be read."""
        return is_existing_file(target)

    def create(self, target: Target) -> None:
        """Create an empty file, which is an empty database.

        Not next to a journal of an earlier one: SQLite would replay that into the new file.
        """
        refuse_read_only(target)
        try:
            path = target.path.resolve()
            if not path.exists() and (leftover := next(filter(Path.exists, side_files(path)), None)):
                raise LeftoverJournalError(leftover)
            path.open("ab").close()
        except OSError as error:
            raise self.explain(error, target) from error

    def remove_unused(self, target: Target) -> None:
        """Remove the file if it is empty and no other process has it open, whose rows would be lost with it.

        Only Linux tells that; elsewhere the empty file stays.
        """
        from dormatory.system.open_files import processes_using  # noqa: PLC0415  # only after a failure

        path = target.path.resolve()
        if sys.platform != "linux":
            return
        with contextlib.suppress(OSError):
            if not path.stat().st_size and not any(map(Path.exists, side_files(path))) and not processes_using(path):
                path.unlink()

    def drop(self, target: Target) -> None:
        """Remove the file and its side files, unless another program is using them.

        SQLite would take a side file left behind for the next file's own and damage that file.
        """
        refuse_read_only(target)
        path = target.path.resolve()  # a link stays a link
        if not self.exists(target):
            return
        with contextlib.closing(target_connection(target)) as connection:
            try:
                # Out of WAL first: only the last connection may leave it, and readers of WAL hold no lock.
                connection.execute("PRAGMA journal_mode = DELETE")
                connection.execute("BEGIN EXCLUSIVE")
                # The file last: interrupted before, it is still whole, while a journal alone would be a danger.
                for file in (*side_files(path), path):
                    file.unlink(missing_ok=True)
            except (sqlite3.Error, OSError) as error:
                raise self.explain(error, target) from error

    def refuse_read_only(self, target: Target) -> None:
        """Raise ReadOnlyURLError for a URL with an option such as mode=ro."""
        refuse_read_only(target)

    def incarnation(self, target: Target) -> str:
        """Return the number of the file, and when it was created, where the system knows that."""
        try:
            state = target.path.stat()
        except OSError:
            return ""
        return f"{state.st_dev}-{state.st_ino}-{getattr(state, 'st_birthtime', 0)}"

    def summary(self, target: Target) -> DatabaseSummary:
        """Count the tables and rows of the file, and the other processes that have it open."""
        from dormatory.system.open_files import processes_using  # noqa: PLC0415  # an upgrade with nothing to do needs none

        if not self.exists(target):
            raise missing_database(target)
        try:
            with contextlib.closing(target_connection(target)) as connection:
                tables = [name.replace('"', '""') for (name,) in connection.execute(USER_TABLES_QUERY)]
                rows = sum(connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables)  # noqa: S608  # quoted above
        except sqlite3.Error as error:
            raise self.explain(error, target) from error
        server, sessions = f"SQLite {sqlite3.sqlite_version}", len(processes_using(target.path))
        return DatabaseSummary(server, target.database, "-", "development", len(tables), rows, sessions)

    def location(self, target: Target) -> tuple[str, str]:
        """Return the file's name without its ending, and its real path."""
        return target.path.stem, os.path.realpath(target.path)

    def shell_command(self, target: Target) -> list[str]:
        """Return the sqlite3 program on this file, else Python's own shell, else the one in this package."""
        from dormatory.backends import programs  # noqa: PLC0415  # an upgrade with nothing to do needs none

        has_options = driver_url(target.url) is not target.url
        file = file_uri(target.url) if has_options else target.database
        try:
            return [str(programs.find_client("sqlite3")), file]
        except ProgramMissingError:
            is_ours = has_options or sys.version_info < (3, 12)  # Python's own takes no options
            return [sys.executable, "-m", "dormatory.backends.sqlite.shell" if is_ours else "sqlite3", file]

    def explain(self, error: BaseException, target: Target) -> DormatoryError:
        """Return what SQLite or the file system reported about this file, and what to do."""
        return explain_sqlite_error(error, target)

    def is_system_failure(self, error: BaseException) -> bool:
        """Return whether the disk, the file's mode or another writer is in the way."""
        return any(part in str(getattr(error, "orig", None) or error) for part in _SYSTEM_FAILURE_TEXTS)

    def is_content_error(self, error: BaseException) -> bool:
        """Return whether a text is no JSON."""
        return "malformed JSON" in str(error)

    def engine(self, target: Target, *, writing: bool, wait_seconds: float = _WRITE_LOCK_WAIT_SECONDS) -> Engine:
        """Return an engine whose transactions SQLAlchemy alone begins and ends."""
        from dormatory.backends.sqlite.engine import sqlite_engine  # noqa: PLC0415  # loads SQLAlchemy

        return sqlite_engine(target, writing=writing, wait_seconds=wait_seconds)

    def driver_connection(self, target: Target, *, writing: bool) -> AbstractContextManager[Any]:
        """Open a connection of sqlite3 for the length of the block."""
        from dormatory.backends.sqlite.engine import sqlite_driver_connection  # noqa: PLC0415  # loads SQLAlchemy

        return sqlite_driver_connection(target, writing=writing)

    def version(self, connection: Connection) -> str:
        """Return the version of the SQLite library in this process."""
        return f"SQLite {connection.exec_driver_sql('SELECT sqlite_version()').scalar_one()}"

    def identity(self, connection: Connection) -> tuple[str, str]:
        """Return no server, and the real path of the file; "" for a database in memory."""
        query = "SELECT file FROM pragma_database_list WHERE name = 'main'"
        file = str(connection.exec_driver_sql(query).scalar_one())
        return "", os.path.realpath(file) if file else ""

    def execute_script(self, connection: Connection, text: str) -> None:
        """Execute many statements; the driver commits what the connection has begun before."""
        driver: Any = connection.connection.driver_connection
        driver.executescript(text)

    def driver_module(self, driver: str) -> str:
        """Return sqlite3 for the driver that comes with Python."""
        return "sqlite3" if driver in ("", "pysqlite") else driver

    def cancel(self, connection: Connection) -> None:
        """Interrupt the statement."""
        driver: Any = connection.connection.dbapi_connection
        driver.interrupt()

    def apply_connect_listeners(self, connection: Connection, target: Target) -> None:
        """Enforce foreign keys if the application's own connections do: a table rebuild then empties the children."""
        from dormatory.backends.sqlite.engine import foreign_keys_are_enforced  # noqa: PLC0415  # loads SQLAlchemy

        driver: Any = connection.connection.driver_connection
        driver.execute(f"PRAGMA foreign_keys = {foreign_keys_are_enforced(target):d}")

    def running_migration(self, target: Target, version_table: str) -> str:  # noqa: ARG002  # one lock for all tables
        """Return the process that has locked the file for writing; only Linux knows it."""
        from dormatory.backends.sqlite import write_lock  # noqa: PLC0415  # an upgrade with nothing to do needs none

        return write_lock.running_writer(target.path)

    def limit_reading_waits(self, connection: Connection, seconds: float) -> None:
        """Limit the wait for a writer that is committing."""
        driver: Any = connection.connection.dbapi_connection
        driver.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")

    def refuse_damage(self, target: Target, *, wait_seconds: float = 0) -> None:
        """Raise DamagedDatabaseError where SQLite's quick_check finds something; it reads all pages once."""
        from dormatory.backends.sqlite.integrity import refuse_damaged_file  # noqa: PLC0415  # an upgrade with nothing to do needs none

        refuse_damaged_file(target, wait_seconds=wait_seconds)

    def refuse_leftovers(self, connection: Connection) -> None:
        """Raise LeftoverTableError for a batch rebuild's temporary table that another tool left behind."""
        if leftover := connection.exec_driver_sql(LEFTOVER_TABLES_QUERY).scalars().first():
            raise LeftoverTableError(str(leftover))

    def refuse_dangling_rows(self, connection: Connection) -> None:
        """Raise DanglingRowsError when rows refer to rows that do not exist."""
        rows = connection.exec_driver_sql(DANGLING_ROWS_QUERY).fetchall()
        if rows:
            examples = [f"{table} row {row} needs {parent}" for table, row, parent, _ in rows[:_MAX_SHOWN_ROWS]]
            raise DanglingRowsError(examples, len(rows))


BACKEND = SQLiteBackend()
