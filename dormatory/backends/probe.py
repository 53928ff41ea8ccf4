"""Users who try a table again and again, to find out how long a migration blocks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from dormatory.backends.url import Target

    Attempt: TypeAlias = Callable[[], bool | None]


class Probe(Protocol):
    """Part `probe`: one reader or writer of one table."""

    READERS_CAN_WAIT_TO_WRITE: bool
    """Whether a transaction that began by reading can wait for another writer before its first write."""

    def split_by_limit(self, tables: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
        """Return the tables to probe, and those that are left out because there are too many.

        A table "" stands for all of them, where the database is locked as a whole.
        """

    def open_probe(self, target: Target, table: str, *, writes: bool) -> AbstractContextManager[Attempt]:
        """Give a function that tries a table once, to read from it or to write to it.

        It returns whether the table could be used, False when it is locked, and None when it is of no use to try again.
        """
