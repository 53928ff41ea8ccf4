"""The kinds of change between two snapshots, one small type each."""

from __future__ import annotations

from dataclasses import dataclass

from dormatory.schema.change import Change, MemberChange
from dormatory.schema.describe import (
    AttributeValue,
    Part,
    SchemaObject,
    attribute_change,
    column_summary,
    definition_suffix,
    object_label,
    object_name,
    part_differences,
    part_label,
    value_text,
)
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
class _ObjectChange(Change):
    value: SchemaObject

    @property
    def object(self) -> str:
        """The kind and the name of the object."""
        return object_label(self.value)

    @property
    def owner(self) -> str:
        """The name of the object."""
        return object_name(self.value)


@dataclass(frozen=True, slots=True)
class ObjectAdded(_ObjectChange):
    """A table, view, type, ... was added; its parts are not reported again."""

    def _description(self) -> str:
        return "added"


@dataclass(frozen=True, slots=True)
class ObjectRemoved(_ObjectChange):
    """A table, view, type, ... was removed, with all its parts."""

    def _description(self) -> str:
        return "removed"


@dataclass(frozen=True, slots=True)
class ObjectAltered(Change):
    """One attribute of a table, view, type, ... differs."""

    rank = 1
    kind: str
    name: str
    attribute: str  # a field of the value
    before: AttributeValue
    after: AttributeValue

    @property
    def object(self) -> str:
        """The kind and the name of the object."""
        return f"{self.kind} {self.name}"

    @property
    def owner(self) -> str:
        """The name of the object."""
        return self.name

    def _description(self) -> str:
        return attribute_change(self.attribute, self.before, self.after)


@dataclass(frozen=True, slots=True)
class TableRenamed(Change):
    """A table was removed and one with the same content added: probably a rename, for the given evidence."""

    before: Table
    after: Table
    evidence: str

    @property
    def object(self) -> str:
        """The table under its old name."""
        return object_label(self.before)

    @property
    def owner(self) -> str:
        """The old name."""
        return object_name(self.before)

    def _description(self) -> str:
        return f"renamed to {object_name(self.after)}, it seems ({self.evidence})"


@dataclass(frozen=True, slots=True)
class _ColumnChange(MemberChange):
    rank = 2
    column: Column

    @property
    def object(self) -> str:
        """The column with its table."""
        return f"column {self.within}.{self.column.name}"


@dataclass(frozen=True, slots=True)
class ColumnAdded(_ColumnChange):
    """A column was added."""

    def _description(self) -> str:
        return f"added ({column_summary(self.column)})"


@dataclass(frozen=True, slots=True)
class ColumnRemoved(_ColumnChange):
    """A column was removed."""

    def _description(self) -> str:
        return f"removed ({column_summary(self.column)})"


@dataclass(frozen=True, slots=True)
class ColumnRenamed(MemberChange):
    """A column was removed and an equal one added in its place: probably a rename, for the given evidence."""

    rank = 2
    before: Column
    after: Column
    evidence: str

    @property
    def object(self) -> str:
        """The column under its old name."""
        return f"column {self.within}.{self.before.name}"

    def _description(self) -> str:
        return f"renamed to {self.after.name}, it seems ({self.evidence})"


@dataclass(frozen=True, slots=True)
class ColumnAltered(MemberChange):
    """One attribute of a column differs."""

    rank = 3
    column: str
    attribute: str  # a field of Column
    before: AttributeValue
    after: AttributeValue

    @property
    def object(self) -> str:
        """The column with its table."""
        return f"column {self.within}.{self.column}"

    def _description(self) -> str:
        return attribute_change(self.attribute, self.before, self.after)


@dataclass(frozen=True, slots=True)
class ColumnsReordered(MemberChange):
    """The columns that both sides have are in another order."""

    is_minor = True
    rank = 5
    kind: str
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def object(self) -> str:
        """The table."""
        return f"{self.kind} {self.within}"

    def _description(self) -> str:
        return f"order of columns {value_text(self.before)} → {value_text(self.after)}"


@dataclass(frozen=True, slots=True)
class _PartChange(MemberChange):
    rank = 4
    part: Part

    @property
    def object(self) -> str:
        """The constraint, index, ... with its table."""
        return part_label(self.part, self.within)


@dataclass(frozen=True, slots=True)
class PartAdded(_PartChange):
    """A constraint, index, trigger, rule or policy was added."""

    def _description(self) -> str:
        return f"added{definition_suffix(self.part)}"


@dataclass(frozen=True, slots=True)
class PartRemoved(_PartChange):
    """A constraint, index, trigger, rule or policy was removed."""

    def _description(self) -> str:
        return f"removed{definition_suffix(self.part)}"


@dataclass(frozen=True, slots=True)
class _PartPairChange(MemberChange):
    rank = 4
    before: Part
    after: Part

    @property
    def object(self) -> str:
        """The constraint, index, ... as it was, with its table."""
        return part_label(self.before, self.within)


@dataclass(frozen=True, slots=True)
class PartAltered(_PartPairChange):
    """A constraint, index, trigger, rule or policy differs, perhaps in its name, too."""

    def _description(self) -> str:
        return part_differences(self.before, self.after)


@dataclass(frozen=True, slots=True)
class PartRenamed(_PartPairChange):
    """A constraint, index, ... differs only in its name."""

    def _description(self) -> str:
        return f"name {value_text(self.before.name)} → {value_text(self.after.name)}"


@dataclass(frozen=True, slots=True)
class CoverageChanged(Change):
    """The two snapshots do not leave out the same kinds of object."""

    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def object(self) -> str:
        """No object: the comparison."""
        return "what is not compared"

    @property
    def owner(self) -> str:
        """No table."""
        return ""

    def _description(self) -> str:
        only_before = tuple(name for name in self.before if name not in self.after)
        only_after = tuple(name for name in self.after if name not in self.before)
        return f"{value_text(only_before)} → {value_text(only_after)}"
