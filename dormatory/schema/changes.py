"""The kinds of change between two snapshots: what each is about, how it says itself, and what undoes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from dormatory.schema.wording import described, differences, fact, name_of, outline, part_of, shown, told

if TYPE_CHECKING:
    from dormatory.schema.snapshot import Column, Table
    from dormatory.schema.wording import Object, Part, Value


class Change(ABC):
    """One difference; `str()` gives it as a sentence, `object` what it is about, e.g. `column object.version`."""

    __slots__ = ()
    minor: ClassVar[bool] = False  # changes nothing that a query by name could see
    rank: ClassVar[int]  # among the changes of one owner

    @property
    @abstractmethod
    def owner(self) -> str:
        """The table, or other object at the top, that the change belongs to."""

    @property
    @abstractmethod
    def object(self) -> str:
        """What the change is about."""

    @property
    @abstractmethod
    def predicate(self) -> str:
        """What became of it."""

    @abstractmethod
    def mirrored(self) -> Change:
        """Return the change that undoes this one."""

    @property
    def sort_key(self) -> tuple[bool, str, int, str, str]:
        """What changes are ordered by: those of one owner stand together, minor ones at the end of all."""
        return (self.minor, self.owner, self.rank, self.object, self.predicate)

    def __str__(self) -> str:
        return f"{self.object}: {self.predicate}"


@dataclass(frozen=True, slots=True)
class ObjectAdded(Change):
    """A table, view, type, ... is there that was not; what belongs to it is not reported again."""

    value: Object
    rank = 0
    predicate = "added"

    @property
    def owner(self) -> str:
        return name_of(self.value)

    @property
    def object(self) -> str:
        return described(self.value)

    def mirrored(self) -> ObjectRemoved:
        return ObjectRemoved(self.value)


@dataclass(frozen=True, slots=True)
class ObjectRemoved(Change):
    """A table, view, type, ... is gone, with what belongs to it."""

    value: Object
    rank = 0
    predicate = "removed"

    @property
    def owner(self) -> str:
        return name_of(self.value)

    @property
    def object(self) -> str:
        return described(self.value)

    def mirrored(self) -> ObjectAdded:
        return ObjectAdded(self.value)


@dataclass(frozen=True, slots=True)
class ObjectAltered(Change):
    """A fact about an object at the top differs."""

    kind: str
    name: str
    attribute: str
    before: Value
    after: Value
    rank = 1

    @property
    def owner(self) -> str:
        return self.name

    @property
    def object(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def predicate(self) -> str:
        return fact(self.attribute, self.before, self.after)

    def mirrored(self) -> ObjectAltered:
        return replace(self, before=self.after, after=self.before)


@dataclass(frozen=True, slots=True)
class TableRenamed(Change):
    """A table is gone and its like is there: proposed as a rename, a guess with its evidence."""

    before: Table
    after: Table
    evidence: str
    rank = 0

    @property
    def owner(self) -> str:
        return name_of(self.before)

    @property
    def object(self) -> str:
        return described(self.before)

    @property
    def predicate(self) -> str:
        return f"renamed to {name_of(self.after)}, it seems ({self.evidence})"

    def mirrored(self) -> TableRenamed:
        return replace(self, before=self.after, after=self.before)


@dataclass(frozen=True, slots=True)
class _Within(Change, ABC):
    """A change of something that lies within a table, a view, a domain or a composite type."""

    within: str

    @property
    def owner(self) -> str:
        return self.within


@dataclass(frozen=True, slots=True)
class ColumnAdded(_Within):
    """A column is there that was not."""

    column: Column
    rank = 2

    @property
    def object(self) -> str:
        return f"column {self.within}.{self.column.name}"

    @property
    def predicate(self) -> str:
        return f"added ({outline(self.column)})"

    def mirrored(self) -> ColumnRemoved:
        return ColumnRemoved(self.within, self.column)


@dataclass(frozen=True, slots=True)
class ColumnRemoved(_Within):
    """A column is gone."""

    column: Column
    rank = 2

    @property
    def object(self) -> str:
        return f"column {self.within}.{self.column.name}"

    @property
    def predicate(self) -> str:
        return f"removed ({outline(self.column)})"

    def mirrored(self) -> ColumnAdded:
        return ColumnAdded(self.within, self.column)


@dataclass(frozen=True, slots=True)
class ColumnRenamed(_Within):
    """A column is gone and its like stands in its place: proposed as a rename, a guess with its evidence."""

    before: Column
    after: Column
    evidence: str
    rank = 2

    @property
    def object(self) -> str:
        return f"column {self.within}.{self.before.name}"

    @property
    def predicate(self) -> str:
        return f"renamed to {self.after.name}, it seems ({self.evidence})"

    def mirrored(self) -> ColumnRenamed:
        return replace(self, before=self.after, after=self.before)


@dataclass(frozen=True, slots=True)
class ColumnAltered(_Within):
    """A fact about a column differs."""

    column: str
    attribute: str
    before: Value
    after: Value
    rank = 3

    @property
    def object(self) -> str:
        return f"column {self.within}.{self.column}"

    @property
    def predicate(self) -> str:
        return fact(self.attribute, self.before, self.after)

    def mirrored(self) -> ColumnAltered:
        return replace(self, before=self.after, after=self.before)


@dataclass(frozen=True, slots=True)
class ColumnsReordered(_Within):
    """The columns that both sides have stand in another order."""

    kind: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    rank = 5
    minor = True

    @property
    def object(self) -> str:
        return f"{self.kind} {self.within}"

    @property
    def predicate(self) -> str:
        return f"order of columns {shown(self.before)} → {shown(self.after)}"

    def mirrored(self) -> ColumnsReordered:
        return replace(self, before=self.after, after=self.before)


@dataclass(frozen=True, slots=True)
class PartAdded(_Within):
    """A constraint, index, trigger, rule or policy is there that was not."""

    part: Part
    rank = 4

    @property
    def object(self) -> str:
        return part_of(self.part, self.within)

    @property
    def predicate(self) -> str:
        return f"added{told(self.part)}"

    def mirrored(self) -> PartRemoved:
        return PartRemoved(self.within, self.part)


@dataclass(frozen=True, slots=True)
class PartRemoved(_Within):
    """A constraint, index, trigger, rule or policy is gone."""

    part: Part
    rank = 4

    @property
    def object(self) -> str:
        return part_of(self.part, self.within)

    @property
    def predicate(self) -> str:
        return f"removed{told(self.part)}"

    def mirrored(self) -> PartAdded:
        return PartAdded(self.within, self.part)


@dataclass(frozen=True, slots=True)
class PartAltered(_Within):
    """A constraint, index, trigger, rule or policy differs; its name may, too."""

    before: Part
    after: Part
    rank = 4

    @property
    def object(self) -> str:
        return part_of(self.before, self.within)

    @property
    def predicate(self) -> str:
        return differences(self.before, self.after)

    def mirrored(self) -> PartAltered:
        return replace(self, before=self.after, after=self.before)


@dataclass(frozen=True, slots=True)
class PartRenamed(_Within):
    """A constraint, index, ... is the same but for its name."""

    before: Part
    after: Part
    rank = 4

    @property
    def object(self) -> str:
        return part_of(self.before, self.within)

    @property
    def predicate(self) -> str:
        return f"name {shown(self.before.name)} → {shown(self.after.name)}"

    def mirrored(self) -> PartRenamed:
        return replace(self, before=self.after, after=self.before)


@dataclass(frozen=True, slots=True)
class CoverageChanged(Change):
    """What cannot be compared is not the same on both sides."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    owner = ""
    object = "what is not compared"
    rank = 9

    @property
    def predicate(self) -> str:
        return fact("", self.before, self.after).strip()

    def mirrored(self) -> CoverageChanged:
        return CoverageChanged(self.after, self.before)
