"""What every change between two snapshots can do: say itself, tell its place in a list."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Change(ABC):
    """One difference; `str()` gives it as a sentence, e.g. `column object.version: default 1 → none`."""

    is_minor: ClassVar[bool] = False  # no statement that names its columns can tell
    rank: ClassVar[int] = 0  # among the changes of one table, view, ...

    @property
    @abstractmethod
    def object(self) -> str:
        """What the change is about, e.g. `column object.version`."""

    @property
    @abstractmethod
    def owner(self) -> str:
        """The name of the table, view, ... that the change belongs to."""

    @property
    def sort_key(self) -> tuple[bool, str, int, str]:
        """What changes are ordered by: those of one table stand together, minor ones at the end of all."""
        return (self.is_minor, self.owner, self.rank, str(self))

    @abstractmethod
    def _description(self) -> str:
        """Return what became of the object."""

    def __str__(self) -> str:
        return f"{self.object}: {self._description()}"


@dataclass(frozen=True, slots=True)
class MemberChange(Change):
    """Something that lies within a table, a view, a domain or a composite type."""

    within: str

    @property
    def owner(self) -> str:
        """What it lies within."""
        return self.within
