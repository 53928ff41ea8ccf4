"""What every change between two snapshots has: a sentence, and its place in a list."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Change(ABC):
    """One difference; `str()` gives it as a sentence, e.g. `column object.version: default 1 → none`."""

    is_minor: ClassVar[bool] = False  # it matters to no statement that names its columns
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
        """The key that changes are sorted by: those of one table together, minor ones at the end of all."""
        return (self.is_minor, self.owner, self.rank, str(self))

    @abstractmethod
    def _description(self) -> str:
        """Return what happened to the object."""

    def __str__(self) -> str:
        return f"{self.object}: {self._description()}"


@dataclass(frozen=True, slots=True)
class MemberChange(Change):
    """A change of a part of a table, a view, a domain or a composite type."""

    within: str

    @property
    def owner(self) -> str:
        """The name of the object that has the part."""
        return self.within
