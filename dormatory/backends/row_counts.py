"""Rows that a database counts and compares itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

    from dormatory.backends.url import Target
    from dormatory.schema.snapshot import TableId


class WriteCounters(Protocol):
    """The rows written in a database that nobody else uses, since the counters were read."""

    def flush(self, connection: Connection) -> None:
        """Make the database add up what this connection has written, when its transaction ends."""

    def written_rows(self, connection: Connection) -> Sequence[tuple[TableId, tuple[int, int, int]]]:
        """Return the tables in which rows were written: how many inserted, updated, deleted. Call flush() before."""

    def written_tables(self, connection: Connection) -> Collection[TableId]:
        """Return the tables in which rows were written or that were rewritten. Call flush() before."""


class RowCounts(Protocol):
    """Part `row_counts`: for a database that counts the rows that are written."""

    def write_counters(self, connection: Connection) -> WriteCounters:
        """Return the counters as of now."""


class RowCompare(Protocol):
    """Part `row_compare`: one table in two databases."""

    def compare_rows(
        self, source: Target, clone: Target, table: TableId, key: Sequence[str], columns: Sequence[str]
    ) -> list[int]:
        """Return how many rows the source has, how many the clone lacks, and for each column how many values differ.

        Without a key only the numbers of rows are compared.
        """
