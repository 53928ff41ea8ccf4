"""How objects of a schema and their differences are called in sentences."""

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
    Rule,
    Sequence,
    Table,
    Trigger,
    View,
)

Object: TypeAlias = (
    Composite | Domain | Enum | Extension | Function | Namespace | Other | Range | Sequence | Table | View
)
Part: TypeAlias = Constraint | Index | Policy | Rule | Trigger
Value: TypeAlias = str | int | bool | tuple[str, ...] | None

_KINDS = {Composite: "composite type", Range: "range type"}
# Said in SQL's own words rather than as "nullable yes → no".
_CLAIMS = {"nullable": ("NULL", "NOT NULL"), "valid": ("valid", "INVALID")}
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
_DRAWN = frozenset({"columns", "expression", "references", "keys", "predicate", "unique"})  # from the definition
_CONTEXT = 2  # words kept of what two long texts have in common
_LONG = 60  # characters; longer texts are cut to where they differ


def name_of(value: Object) -> str:
    """Return an object's name as people say it: with its namespace unless that is public."""
    if isinstance(value, Extension | Namespace | Other):
        return value.name
    bare = f"{value.name}({value.arguments})" if isinstance(value, Function) else value.name
    return bare if value.namespace in {None, "public"} else f"{value.namespace}.{bare}"


def kind_of(value: Object | Part) -> str:
    """Return what an object is, in one or two words."""
    if isinstance(value, Function | View | Other):
        return value.kind
    return _KINDS.get(type(value), type(value).__name__.lower())


def described(value: Object) -> str:
    """Return an object's kind and name, e.g. `table audit.event`."""
    return f"{kind_of(value)} {name_of(value)}"


def part_of(part: Part, within: str) -> str:
    """Return a part's kind and name with its table; a constraint without a name goes by its definition."""
    name = part.name or (part.definition if isinstance(part, Constraint) else "")
    return f"{kind_of(part)} {name} on {within}"


def shown(value: Value) -> str:
    """Return a value as people read it: none, yes, no, a list."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ((), ""):
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def fact(attribute: str, before: Value, after: Value) -> str:
    """Return what became of one attribute, e.g. `default 1 → none`."""
    if attribute in _CLAIMS:
        yes, no = _CLAIMS[attribute]
        return f"{yes if before else no} → {yes if after else no}"
    label = _LABELS.get(attribute, attribute.replace("_", " "))
    old, new = shown(before), shown(after)
    if max(len(old), len(new)) > _LONG:
        old, new = _contrast(old, new)
    return f"{label} {old} → {new}".lstrip()


def outline(column: Column) -> str:
    """Return what a column is in a few words."""
    words = [column.type or "no type", "NULL" if column.nullable else "NOT NULL"]
    words += [f"default {column.default}"] * (column.default is not None)
    words += [f"generated as {column.generated}"] * (column.generated is not None)
    words += [f"identity {column.identity}"] * (column.identity is not None)
    return ", ".join(words)


def told(part: Part) -> str:
    """Return a part's definition in brackets, if its name is not the definition already."""
    if isinstance(part, Constraint | Index) and part.name:
        return f" ({part.definition})"
    return ""


def differences(before: Part, after: Part) -> str:
    """Return what differs between two states of a part."""
    said = list[str]()
    redefined = getattr(before, "definition", None) != getattr(after, "definition", None)
    for field in fields(before):
        old, new = getattr(before, field.name), getattr(after, field.name)
        if old != new and not (redefined and field.name in _DRAWN):
            said.append(fact("" if field.name == "definition" else field.name, old, new))
    return "; ".join(said)


def _contrast(before: str, after: str) -> tuple[str, str]:
    """Return two texts without most of what they have in common at either end, an ellipsis standing for it."""
    old, new = before.split(" "), after.split(" ")
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    return _cut(old, head, tail), _cut(new, head, tail)


def _common(old: list[str], new: list[str]) -> int:
    count = 0
    for one, other in zip(old, new, strict=False):
        if one != other:
            break
        count += 1
    return count


def _cut(words: list[str], head: int, tail: int) -> str:
    start, end = max(0, head - _CONTEXT), min(len(words), len(words) - tail + _CONTEXT)
    return " ".join(["…"] * bool(start) + words[start:end] + ["…"] * (end < len(words)))
