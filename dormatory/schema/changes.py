"""The kinds of change between two snapshots, one small type each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.schema.change import Change, Within
from dormatory.schema.describe import described, differences, fact, name_of, outline, part_of, shown, told

if TYPE_CHECKING:
    from dormatory.schema.describe import Object, Part, Value
    from dormatory.schema.snapshot import Column, Table


__all__ = [
    "Change",
    "ColumnAdded",
    "ColumnAltered",
    "ColumnRemoved",
    "ColumnRenamed",
    "ColumnsReordered",
    "CoverageChanged",
    "ObjectAdded",
    "ObjectAltered",
    "ObjectRemoved",
    "PartAdded",
    "PartAltered",
    "PartRemoved",
    "PartRenamed",
    "TableRenamed",
]


@dataclass(frozen=True, slots=True)
class _OfObject(Change):
    value: Object

    @property
    def object(self) -> str:
        """The kind and the name of the object."""
        return described(self.value)

    @property
    def top(self) -> str:
        """The name of the object."""
        return name_of(self.value)


@dataclass(frozen=True, slots=True)
class ObjectAdded(_OfObject):
    """A table, view, type, ... is there that was not; what belongs to it is not reported again."""

    def mirrored(self) -> ObjectRemoved:
        """Return the removal."""
        return ObjectRemoved(self.value)

    def _said(self) -> str:
        return "added"


@dataclass(frozen=True, slots=True)
class ObjectRemoved(_OfObject):
    """A table, view, type, ... is gone, with what belonged to it."""

    def mirrored(self) -> ObjectAdded:
        """Return the addition."""
        return ObjectAdded(self.value)

    def _said(self) -> str:
        return "removed"


@dataclass(frozen=True, slots=True)
class ObjectAltered(Change):
    """One fact about a table, view, type, ... differs."""

    rank = 1
    kind: str
    name: str
    attribute: str  # a field of the value
    before: Value
    after: Value

    @property
    def object(self) -> str:
        """The kind and the name of the object."""
        return f"{self.kind} {self.name}"

    @property
    def top(self) -> str:
        """The name of the object."""
        return self.name

    def _said(self) -> str:
        return fact(self.attribute, self.before, self.after)


@dataclass(frozen=True, slots=True)
class TableRenamed(Change):
    """A table is gone and its like is there: proposed as a rename, a guess with its evidence."""

    before: Table
    after: Table
    evidence: str

    @property
    def object(self) -> str:
        """The table under its old name."""
        return described(self.before)

    @property
    def top(self) -> str:
        """The old name."""
        return name_of(self.before)

    def _said(self) -> str:
        return f"renamed to {name_of(self.after)}, it seems ({self.evidence})"


@dataclass(frozen=True, slots=True)
class _OfColumn(Within):
    rank = 2
    column: Column

    @property
    def object(self) -> str:
        """The column with its table."""
        return f"column {self.within}.{self.column.name}"


@dataclass(frozen=True, slots=True)
class ColumnAdded(_OfColumn):
    """A column is there that was not."""

    def mirrored(self) -> ColumnRemoved:
        """Return the removal."""
        return ColumnRemoved(self.within, self.column)

    def _said(self) -> str:
        return f"added ({outline(self.column)})"


@dataclass(frozen=True, slots=True)
class ColumnRemoved(_OfColumn):
    """A column is gone."""

    def mirrored(self) -> ColumnAdded:
        """Return the addition."""
        return ColumnAdded(self.within, self.column)

    def _said(self) -> str:
        return f"removed ({outline(self.column)})"


@dataclass(frozen=True, slots=True)
class ColumnRenamed(Within):
    """A column is gone and its like stands in its place: proposed as a rename, a guess with its evidence."""

    rank = 2
    before: Column
    after: Column
    evidence: str

    @property
    def object(self) -> str:
        """The column under its old name."""
        return f"column {self.within}.{self.before.name}"

    def _said(self) -> str:
        return f"renamed to {self.after.name}, it seems ({self.evidence})"


@dataclass(frozen=True, slots=True)
class ColumnAltered(Within):
    """One fact about a column differs."""

    rank = 3
    column: str
    attribute: str  # a field of Column
    before: Value
    after: Value

    @property
    def object(self) -> str:
        """The column with its table."""
        return f"column {self.within}.{self.column}"

    def _said(self) -> str:
        return fact(self.attribute, self.before, self.after)


@dataclass(frozen=True, slots=True)
class ColumnsReordered(Within):
    """The columns that both sides have stand in another order."""

    minor = True
    rank = 5
    kind: str
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def object(self) -> str:
        """The table."""
        return f"{self.kind} {self.within}"

    def _said(self) -> str:
        return f"order of columns {shown(self.before)} → {shown(self.after)}"


@dataclass(frozen=True, slots=True)
class _OfPart(Within):
    rank = 4
    part: Part

    @property
    def object(self) -> str:
        """The constraint, index, ... with its table."""
        return part_of(self.part, self.within)


@dataclass(frozen=True, slots=True)
class PartAdded(_OfPart):
    """A constraint, index, trigger, rule or policy is there that was not."""

    def mirrored(self) -> PartRemoved:
        """Return the removal."""
        return PartRemoved(self.within, self.part)

    def _said(self) -> str:
        return f"added{told(self.part)}"


@dataclass(frozen=True, slots=True)
class PartRemoved(_OfPart):
    """A constraint, index, trigger, rule or policy is gone."""

    def mirrored(self) -> PartAdded:
        """Return the addition."""
        return PartAdded(self.within, self.part)

    def _said(self) -> str:
        return f"removed{told(self.part)}"


@dataclass(frozen=True, slots=True)
class _OfTwoParts(Within):
    rank = 4
    before: Part
    after: Part

    @property
    def object(self) -> str:
        """The constraint, index, ... as it was, with its table."""
        return part_of(self.before, self.within)


@dataclass(frozen=True, slots=True)
class PartAltered(_OfTwoParts):
    """A constraint, index, trigger, rule or policy differs; its name may, too."""

    def _said(self) -> str:
        return differences(self.before, self.after)


@dataclass(frozen=True, slots=True)
class PartRenamed(_OfTwoParts):
    """A constraint, index, ... is the same but for its name."""

    def _said(self) -> str:
        return f"name {shown(self.before.name)} → {shown(self.after.name)}"


@dataclass(frozen=True, slots=True)
class CoverageChanged(Change):
    """What cannot be compared is not the same on both sides."""

    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def object(self) -> str:
        """No object: the comparison."""
        return "what is not compared"

    @property
    def top(self) -> str:
        """No table."""
        return ""

    def _said(self) -> str:
        only_before = tuple(name for name in self.before if name not in self.after)
        only_after = tuple(name for name in self.after if name not in self.before)
        return f"{shown(only_before)} → {shown(only_after)}"
