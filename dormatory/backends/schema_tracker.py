"""Read the structure of one database repeatedly: each time only what changed since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from dormatory.schema.snapshot import Snapshot, TableId


@dataclass(frozen=True, slots=True)
class SchemaReading:
    """A structure, and the tables (namespace and name) whose rows may have changed since the last reading.

    `affected_tables` is None where these are unknown. Tables that were rewritten or truncated are among them.
    """

    snapshot: Snapshot
    affected_tables: frozenset[TableId] | None = None


class SchemaTracker(Protocol):
    """Follows a database that nobody else changes; objects that did not change are identical in every snapshot.

    Whoever changes the structure calls `begin` at the start of the transaction and `end` just before it ends, on its
    connection. Between two readings, anything outside such a transaction may change rows only.
    """

    def begin(self, connection: Connection) -> None:
        """Measure the state of a transaction before it does anything; one statement at most."""

    def end(self, connection: Connection) -> bool:
        """Measure what the transaction changed, for the next `read`; return whether that is known.

        It is unknown if anything was committed in between, or was executed outside a transaction.
        """

    def read(self, connection: Connection) -> SchemaReading:
        """Return the structure; all of it is read again where the changes since the last reading are unknown."""
