"""Copy an SQLite file for a rehearsal; the file itself is opened for reading only."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing, contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

from dormatory.backends.missing_database import missing_database
from dormatory.backends.replica import ReplicaInfo
from dormatory.backends.sqlite import sampling
from dormatory.backends.sqlite.connection import (
    USER_TABLES_QUERY,
    is_existing_file,
    side_files,
    sqlite_connection,
    target_connection,
)
from dormatory.backends.sqlite.dialect import DIALECT
from dormatory.backends.sqlite.explanations import explain_sqlite_error
from dormatory.backends.sqlite.integrity import refuse_damaged_copy
from dormatory.backends.sqlite.scratch import copy_file, scratch_sqlite
from dormatory.backends.sqlite.write_lock import wait_until_readable
from dormatory.errors import DatabaseLockedError, TargetModifiedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from dormatory.backends.url import Target

_WAIT_SECONDS = 30.0
_CHUNK_BYTES = 1 << 20
_VERSION_TABLES_QUERY = """
SELECT count(*) FROM sqlite_schema t
 WHERE t.type = 'table' AND (SELECT group_concat(name) FROM pragma_table_info(t.name)) = 'version_num'
"""
_PAGES_PER_STEP = 4096  # copied at once; between two such portions Ctrl-C is noticed


@contextmanager
def open_replica_source(target: Target) -> Iterator[SQLiteReplicaSource]:
    """Open the target for reading; raises MissingDatabaseError, DatabaseFailedError."""
    if not is_existing_file(target):
        raise missing_database(target)
    yield SQLiteReplicaSource(target)


class SQLiteReplicaSource:
    """A file, which is only read, and private directories for its copies."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._checksums_before = self._checksums()

    def empty_database(self) -> AbstractContextManager[Target]:
        """Provide the name of a new file, which does not exist yet."""
        return scratch_sqlite()

    def applied_revisions(self, version_table: str) -> tuple[str, ...]:
        """Return the revisions in the version table."""
        name = version_table.rpartition(".")[2]
        with self._open_for_reading() as connection:
            is_there = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (name,)).fetchone()
            query = f"SELECT version_num FROM {DIALECT.quote_identifier(name)} ORDER BY 1"  # noqa: S608  # quoted
            return tuple(row[0] for row in connection.execute(query)) if is_there else ()

    def version_table_count(self) -> int:
        """Count the tables whose only column is version_num."""
        with self._open_for_reading() as connection:
            return int(connection.execute(_VERSION_TABLES_QUERY).fetchone()[0])

    @contextmanager
    def create_replica(self, version_table: str, sample: int) -> Iterator[tuple[Target, ReplicaInfo]]:
        """Copy the file with SQLite's backup, which includes what is still in its journal."""
        began = perf_counter()
        with scratch_sqlite() as replica:
            with self._open_for_reading() as source, closing(sqlite3.connect(replica.path)) as new:
                # One transaction for the whole copy: a write between two portions would make SQLite start again.
                source.execute("BEGIN")
                source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
                source.backup(new, pages=_PAGES_PER_STEP, sleep=0)
                mode = source.execute("PRAGMA journal_mode").fetchone()[0]
                new.execute(f"PRAGMA journal_mode = {mode if mode == 'wal' else 'delete'}")
            refuse_damaged_copy(self._target, replica.path)
            kept = sampling.reduce_to_sample(replica.path, sample, whole_table=version_table) if sample else ()
            tables, rows = _table_and_row_counts(replica.path)
            version = f"SQLite {sqlite3.sqlite_version}"
            notes = tuple(f"table {table} has no rowid to choose by and was copied whole" for table in kept)
            yield replica, ReplicaInfo(version, version, tables, rows, perf_counter() - began, sample, notes)

    @contextmanager
    def clone_replica(self, replica: Target) -> Iterator[Target]:
        """Copy the file itself, after its journal was emptied into it."""
        with scratch_sqlite() as clone:
            copy_file(replica.path, clone.path, wait_seconds=_WAIT_SECONDS)
            yield clone

    @contextmanager
    def sample_replica(self, replica: Target, version_table: str, rows: int) -> Iterator[Target]:
        """Copy the file and delete rows from the copy."""
        with self.clone_replica(replica) as clone:
            sampling.reduce_to_sample(clone.path, rows, whole_table=version_table)
            yield clone

    def verify_untouched(self) -> str:
        """Return a sentence that says whether the file's checksum is still the one it had at first."""
        names = ", ".join(self._checksums_before)
        if self._checksums() == self._checksums_before:
            return f"untouched: {names}: byte for byte as before; it was opened for reading only"
        return f"{names}: somebody else wrote to it meanwhile; it was opened for reading only here"

    @contextmanager
    def _open_for_reading(self) -> Iterator[sqlite3.Connection]:
        """Open the file for reading.

        In WAL mode even a reader creates side files, unless it treats the file as immutable. Where no side files exist
        that is correct as long as none appears, which is checked afterwards: raises TargetModifiedError.
        """
        path = self._target.path
        alone = _is_wal(path) and not any(map(_exists, side_files(path)))
        before = _file_state(path)
        try:
            with closing(_connect_read_only(self._target, is_immutable=alone)) as connection:
                yield connection
        except (sqlite3.Error, OSError) as error:
            raise explain_sqlite_error(error, self._target) from error
        if alone and _file_state(path) != before:
            raise TargetModifiedError(str(self._target))

    def _checksums(self) -> dict[str, str]:
        """Return the checksums of the file and its journals; the -shm file holds no contents."""
        path = self._target.path
        parts = [path, *(side for side in side_files(path) if not side.name.endswith("-shm"))]
        try:
            return {part.name: _checksum(part) for part in parts if _exists(part)}
        except OSError as error:
            raise explain_sqlite_error(error, self._target) from error


def _connect_read_only(target: Target, *, is_immutable: bool) -> sqlite3.Connection:
    """Open the file for reading, with the other options of its URL."""
    options = {"mode": "ro"} | ({"immutable": "1"} if is_immutable else {})
    query = {**target.url.query, **options}
    connection = target_connection(target.with_parts(query=query), wait_seconds=_WAIT_SECONDS)
    try:
        wait_until_readable(connection, target)
    except DatabaseLockedError:
        connection.close()
        raise
    return connection


def _file_state(path: Path) -> tuple[int, int, bool]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, any(map(_exists, side_files(path)))


def _is_wal(path: Path) -> bool:
    """Return whether the header says WAL: https://www.sqlite.org/fileformat.html#file_format_version_numbers."""
    with path.open("rb") as file:
        return file.read(20)[18:20] == b"\2\2"


def _exists(path: Path) -> bool:
    return path.exists()


def _checksum(path: Path) -> str:
    found = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            found.update(chunk)
    return found.hexdigest()


def _table_and_row_counts(path: Path) -> tuple[int, int]:
    with closing(sqlite_connection(path, wait_seconds=_WAIT_SECONDS)) as connection:
        names = [DIALECT.quote_identifier(name) for (name,) in connection.execute(USER_TABLES_QUERY)]
        counts = [connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names]  # noqa: S608  # quoted
    return len(names), sum(counts)
