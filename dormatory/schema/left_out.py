"""What a project's env.py leaves out of every comparison: it belongs to somebody else, and stays as it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dormatory.schema.snapshot import Column, Snapshot, Table, TableId


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One object, or attributes of a column, that env.py leaves out; `name` is "" for a table."""

    kind: str  # table, column, index, constraint; type, default or attributes of a column
    table: TableId
    name: str = ""

    def __str__(self) -> str:
        """Return what it is, as a list shows it."""
        namespace, name = self.table
        table = name if namespace in {None, "public"} else f"{namespace}.{name}"
        if self.kind in {"table", "column"}:
            return f"{self.kind} {table}{f'.{self.name}' if self.name else ''}"
        preposition = "of" if self.kind in {"type", "default", "attributes"} else "on"
        return f"{self.kind} {self.name} on {table}" if preposition == "on" else f"{self.kind} of {table}.{self.name}"


def with_left_out(given: Snapshot, reference: Snapshot, left_out: Iterable[LeftOut]) -> tuple[Snapshot, list[LeftOut]]:
    """Return `given` with what is left out as `reference` has it, and what of that would differ otherwise."""
    tables = {table.id: table for table in given.tables}
    references = {table.id: table for table in reference.tables}
    differing = list[LeftOut]()
    for item in left_out:
        table, other = tables.get(item.table), references.get(item.table)
        if item.kind == "table":
            replaced = other
        elif table is not None and other is not None:
            replaced = _with_part(table, other, item)
        else:
            continue
        if replaced == table:
            continue
        differing.append(item)
        if replaced is None:
            del tables[item.table]
        else:
            tables[item.table] = replaced
    return replace(given, tables=tuple(tables.values())), differing


def _with_part(table: Table, other: Table, item: LeftOut) -> Table:
    """Return a table with one part as `other` has it."""
    match item.kind:
        case "index":
            return replace(table, indexes=_with_named(table.indexes, other.indexes, item.name))
        case "constraint":
            return replace(table, constraints=_with_named(table.constraints, other.constraints, item.name))
        case "column":
            return replace(table, columns=_with_named(table.columns, other.columns, item.name))
    theirs = next((column for column in other.columns if column.name == item.name), None)
    return replace(
        table,
        columns=tuple(
            _with_attribute(column, theirs, item.kind) if theirs and column.name == item.name else column
            for column in table.columns
        ),
    )


def _with_attribute(column: Column, other: Column, kind: str) -> Column:
    match kind:
        case "type":
            return replace(column, type=other.type)
        case "default":
            return replace(column, default=other.default)
    return other


def _with_named(parts: Sequence[Any], others: Sequence[Any], name: str) -> tuple[Any, ...]:
    """Return parts with the one of this name as the others have it, in its place there, or without it."""
    if name in {part.name for part in parts} and name in {part.name for part in others}:
        found = next(part for part in others if part.name == name)
        return tuple(found if part.name == name else part for part in parts)
    kept = [part for part in parts if part.name != name]
    for place, part in enumerate(others):
        if part.name == name:
            kept.insert(place, part)
    return tuple(kept)
