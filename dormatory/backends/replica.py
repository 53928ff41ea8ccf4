"""Where a rehearsal plays: copies of a real database, made without writing to it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from dormatory.backends.postgresql.replica import PostgreSQLReplicaSource
from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.sqlite.replica import SQLiteReplicaSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from dormatory.backends.base import ReplicaInfo
    from dormatory.backends.url import Target


class ReplicaSource(Protocol):
    """A real database, which is only read, and room for copies of it."""

    def empty_database(self) -> AbstractContextManager[Target]:
        """Give an empty database."""

    def applied_revisions(self, version_table: str) -> tuple[str, ...]:
        """Return the revisions that the real database is at; there are none where it has no such table."""

    def create_replica(self, version_table: str, sample: int) -> AbstractContextManager[tuple[Target, ReplicaInfo]]:
        """Give a copy as of one moment, with `sample` rows of each table and all that these refer to, 0 for all.

        The version table is always copied whole.
        """

    def clone_replica(self, replica: Target) -> AbstractContextManager[Target]:
        """Give a copy of a copy, to which nobody is connected."""

    def sample_replica(self, replica: Target, version_table: str, rows: int) -> AbstractContextManager[Target]:
        """Give a copy of a copy with at most so many rows of each table, and what they refer to."""

    def verify_untouched(self) -> str:
        """Say how it is known that the real database was not written to; raises when it is not known."""


@contextmanager
def open_replica_source(target: Target) -> Iterator[ReplicaSource]:
    """Open the target for reading, and give room for its copies, which are gone at the end.

    Raises MissingDatabaseError, DatabaseFailedError, and what keeps a throwaway server from running.
    """
    if target.backend_name == "sqlite":
        with SQLiteReplicaSource(target).open() as found:
            yield found
    else:
        with throwaway.server() as server, PostgreSQLReplicaSource(target, server).open() as other:
            yield other
