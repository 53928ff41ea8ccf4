"""What gives rows their keys: a sequence, or what SQLite remembers of an AUTOINCREMENT table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dormatory.schema.snapshot import TableId


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter and its position: the key given last if `is_called`, else the one that comes next.

    `id` is the namespace and name of the sequence; SQLite's counters have the names of their tables. `column` is the
    column that takes its keys from it, None where the backend's structure does not say which or nothing does. With
    `never_repeats`, the keys of deleted rows must not come again either: that is what AUTOINCREMENT is for.
    """

    id: TableId
    table: TableId | None
    column: str | None
    value: int
    is_called: bool = True
    increment: int = 1
    never_repeats: bool = False

    @property
    def next_value(self) -> int:
        """The key that the next row gets."""
        return self.value + self.increment if self.is_called else self.value
