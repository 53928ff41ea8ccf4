"""Reads the structure of one database again and again: in PostgreSQL only what was touched, in SQLite what changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.backends.introspection import supported_backend
from dormatory.backends.postgresql.introspection.reader import PostgreSQLReader
from dormatory.backends.sqlite.introspection import SQLiteReader

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from dormatory.backends.postgresql.introspection.touched import TransactionChanges
    from dormatory.schema.snapshot import Snapshot, TableId


@dataclass(frozen=True, slots=True)
class SchemaReading:
    """A structure, and the tables (namespace and name) whose rows may have changed since the last reading.

    `rows` None: it is not known which. Tables that were rewritten or truncated are among them.
    """

    snapshot: Snapshot
    affected_tables: frozenset[TableId] | None


class SchemaTracker:
    """Watches a database that nobody else changes; objects that did not change are the same in every snapshot.

    On PostgreSQL whoever changes it calls `begin` at the start of a transaction and `end` just before its end, both
    on the connection and in the transaction that does it, and hands what `end` returned to the next `read`. What
    else happens between two readings may change rows only.
    """

    def __init__(self, *, ignore: Collection[str] = ()) -> None:
        self._ignore = tuple(ignore)
        self._reader: PostgreSQLReader | SQLiteReader | None = None

    def begin(self, connection: Connection) -> None:
        """Remember where a transaction stands, before it does anything; one statement on PostgreSQL."""
        reader = self._reader_for(connection)
        if isinstance(reader, PostgreSQLReader):
            reader.begin(connection)

    def end(self, connection: Connection) -> TransactionChanges | None:
        """Return what the transaction touched; None when that cannot be told, or need not be, as on SQLite.

        It cannot be told of what was committed in between, or was in no transaction.
        """
        reader = self._reader_for(connection)
        return reader.end(connection) if isinstance(reader, PostgreSQLReader) else None

    def read(self, connection: Connection, changes: TransactionChanges | None = None) -> SchemaReading:
        """Return the structure as `reflect.snapshot` does; on PostgreSQL None for `touched` has all of it read."""
        reader = self._reader_for(connection)
        if isinstance(reader, PostgreSQLReader):
            return SchemaReading(*reader.read(connection, changes))
        return SchemaReading(reader.read(connection), None)

    def _reader_for(self, connection: Connection) -> PostgreSQLReader | SQLiteReader:
        if self._reader is None:
            is_sqlite = supported_backend(connection) == "sqlite"
            self._reader = SQLiteReader(self._ignore) if is_sqlite else PostgreSQLReader(self._ignore)
        return self._reader
