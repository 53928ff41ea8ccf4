"""Copies of a real database on which a rehearsal runs, made without writing to that database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from dormatory.backends.url import Target


@dataclass(frozen=True, slots=True)
class ReplicaInfo:
    """A copy of the target: product and version of the source and of the server with the copy, and what is in it.

    `sample` is how many rows of each table were requested, 0 for all. `notes` are what else differs from the target.
    """

    source: str
    server: str
    tables: int
    rows: int
    seconds: float
    sample: int = 0
    notes: tuple[str, ...] = ()


class ReplicaSource(Protocol):
    """A real database, which is only read, and room for copies of it."""

    def empty_database(self) -> AbstractContextManager[Target]:
        """Provide an empty database."""

    def applied_revisions(self, version_table: str) -> tuple[str, ...]:
        """Return the revisions that the real database is at, none if it has no version table."""

    def version_table_count(self) -> int:
        """Return how many tables of the real database have the form of Alembic's version table."""

    def create_replica(self, version_table: str, sample: int) -> AbstractContextManager[tuple[Target, ReplicaInfo]]:
        """Provide a copy as of one moment, with `sample` rows of each table and all rows they refer to, 0 for all rows.

        The version table is always copied whole.
        """

    def clone_replica(self, replica: Target) -> AbstractContextManager[Target]:
        """Provide a copy of a copy, to which nobody is connected."""

    def sample_replica(self, replica: Target, version_table: str, rows: int) -> AbstractContextManager[Target]:
        """Provide a copy of a copy with at most `rows` rows of each table, and the rows they refer to."""

    def verify_untouched(self) -> str:
        """Return a sentence that says how we know that the real database was not written to, or that others wrote."""
