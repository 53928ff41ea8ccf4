"""How sentences name the objects of a schema and describe their differences."""

from __future__ import annotations

from dataclasses import fields
from typing import TypeAlias

from dormatory.schema.snapshot import (
    Column,
    Composite,
    Constraint,
    Domain,
    Enum,
    Extension,
    Function,
    Index,
    Namespace,
    Other,
    Policy,
    Range,
    RewriteRule,
    Sequence,
    Table,
    Trigger,
    View,
)

SchemaObject: TypeAlias = (
    Composite | Domain | Enum | Extension | Function | Namespace | Other | Range | Sequence | Table | View
)
Part: TypeAlias = Constraint | Index | Policy | RewriteRule | Trigger
AttributeValue: TypeAlias = str | int | bool | tuple[str, ...] | None

_KIND_NAMES = {Composite: "composite type", Range: "range type", RewriteRule: "rule"}
# Words of SQL instead of "nullable yes → no".
_BOOLEAN_WORDS = {"nullable": ("NULL", "NOT NULL"), "valid": ("valid", "INVALID")}
_LABELS = {
    "generated": "generated as",
    "storage": "generated value",
    "not_null_note": "NOT NULL",
    "row_security": "row security",
    "partition_key": "partition key",
    "partition_bound": "partition bound",
    "using": "USING",
    "check": "WITH CHECK",
    "": "",
}
# Read from the definition: a difference in it shows there.
_DERIVED_FIELDS = frozenset({"columns", "expression", "references", "keys", "predicate", "unique"})
_CONTEXT_WORDS = 2  # words kept of the common part of two long texts
_MAX_CHARACTERS = 60  # of longer texts only the differing part is shown


def object_name(value: SchemaObject) -> str:
    """Return an object's name, with its namespace unless that is public."""
    if isinstance(value, Extension | Namespace | Other):
        return value.name
    bare = f"{value.name}({value.arguments})" if isinstance(value, Function) else value.name
    return bare if value.namespace in {None, "public"} else f"{value.namespace}.{bare}"


def object_kind(value: SchemaObject | Part) -> str:
    """Return what an object is, in one or two words."""
    if isinstance(value, Function | View | Other):
        return value.kind
    return _KIND_NAMES.get(type(value), type(value).__name__.lower())


def object_label(value: SchemaObject) -> str:
    """Return an object's kind and name, e.g. `table audit.event`."""
    return f"{object_kind(value)} {object_name(value)}"


def part_label(part: Part, within: str) -> str:
    """Return a part's kind and name with its table; a constraint without a name is named by its definition."""
    name = part.name or (part.definition if isinstance(part, Constraint) else "")
    return f"{object_kind(part)} {name} on {within}"


def value_text(value: AttributeValue) -> str:
    """Return a value as readable text: none, yes, no, a list."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ((), ""):
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def attribute_change(attribute: str, before: AttributeValue, after: AttributeValue) -> str:
    """Return the change of one attribute, e.g. `default 1 → none`."""
    if attribute in _BOOLEAN_WORDS:
        yes, no = _BOOLEAN_WORDS[attribute]
        return f"{yes if before else no} → {yes if after else no}"
    label = _LABELS.get(attribute, attribute.replace("_", " "))
    old, new = value_text(before), value_text(after)
    if max(len(old), len(new)) > _MAX_CHARACTERS:
        old, new = _differing_excerpts(old, new)
    return f"{label} {old} → {new}".lstrip()


def column_summary(column: Column) -> str:
    """Return a column in a few words: type, NULL, default, generation, identity."""
    words = [column.type or "no type", "NULL" if column.nullable else "NOT NULL"]
    words += [f"default {column.default}"] * (column.default is not None)
    words += [f"generated as {column.generated}"] * (column.generated is not None)
    words += [f"identity {column.identity}"] * (column.identity is not None)
    return ", ".join(words)


def definition_suffix(part: Part) -> str:
    """Return a part's definition in parentheses, "" if the part is named by it."""
    if isinstance(part, Constraint | Index) and part.name:
        return f" ({part.definition})"
    return ""


def part_differences(before: Part, after: Part) -> str:
    """Return the differences between two states of a part."""
    texts = list[str]()
    redefined = getattr(before, "definition", None) != getattr(after, "definition", None)
    for field in fields(before):
        old, new = getattr(before, field.name), getattr(after, field.name)
        if old != new and not (redefined and field.name in _DERIVED_FIELDS):
            texts.append(attribute_change("" if field.name == "definition" else field.name, old, new))
    return "; ".join(texts)


def _differing_excerpts(before: str, after: str) -> tuple[str, str]:
    """Return two texts in which an ellipsis replaces most of what they share at the beginning and the end."""
    old, new = before.split(" "), after.split(" ")
    head = _common_prefix_length(old, new)
    tail = _common_prefix_length(old[head:][::-1], new[head:][::-1])
    return _excerpt(old, head, tail), _excerpt(new, head, tail)


def _common_prefix_length(old: list[str], new: list[str]) -> int:
    count = 0
    for one, other in zip(old, new, strict=False):
        if one != other:
            break
        count += 1
    return count


def _excerpt(words: list[str], head: int, tail: int) -> str:
    start, end = max(0, head - _CONTEXT_WORDS), min(len(words), len(words) - tail + _CONTEXT_WORDS)
    return " ".join(["…"] * bool(start) + words[start:end] + ["…"] * (end < len(words)))
