"""A table's plan with the values that a revision's own code knows: its literals, patterns, keys and labels."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from dormatory.rows.column_types import ColumnType
    from dormatory.rows.plan import ColumnPlan, TablePlan
    from dormatory.rows.unique_values import GeneratedValue
    from dormatory.schema.snapshot import Snapshot, Table
    from dormatory.sql.value_hints import ColumnHint, HintValue

# Types whose values code can read in many ways. A number is a number, whatever int() is made of it.
_RESTRICTED_FAMILIES = frozenset({"text", "binary", "json"})
_MAX_VALUES = 24  # of one column; a longer list tests nothing more


def hints_for(table: Table, schema: Snapshot, hints: Iterable[ColumnHint]) -> tuple[ColumnHint, ...]:
    """Return the hints that concern a table, in their order, naming only this; those for any column name none."""
    name, names = table.name.lower(), {column.name.lower() for column in table.columns}
    found = []
    for hint in hints:
        if name not in hint.tables:
            continue
        if hint.column in names:
            found.append(replace(hint, tables=frozenset({name})))
        elif hint.is_for_any and not _is_column_of_others(hint, schema):
            found.append(replace(hint, column="", tables=frozenset({name})))
    return tuple(found)


def with_hints(plan: TablePlan, hints: Sequence[ColumnHint]) -> TablePlan:
    """Return a plan whose columns also hold the values of hints for its table, or only these."""
    if not hints:
        return plan
    referring = {column.lower_name for link in plan.foreign_keys for column in link.columns}
    columns = tuple(
        column
        if column.is_generated or column.is_auto_numbered or column.enumerated or column.lower_name in referring
        else _with_values(column, hints)
        for column in plan.columns
    )
    return replace(plan, columns=columns)


def without_shown_values(plan: TablePlan, rows: Sequence[Mapping[str, Any]]) -> TablePlan:
    """Return a plan without the known values that rows hold already: code that looks one up expects to find one row."""
    if not rows:
        return plan
    return replace(plan, columns=tuple(_without_shown_values(column, rows) for column in plan.columns))


def _without_shown_values(column: ColumnPlan, rows: Sequence[Mapping[str, Any]]) -> ColumnPlan:
    shown = {row.get(column.lower_name) for row in rows}.intersection(column.known)
    if column.enumerated or not shown:
        return column
    plausible, extreme, known = (
        tuple(value for value in values if value not in shown)
        for values in (column.plausible, column.extreme, column.known)
    )
    return replace(column, plausible=plausible, extreme=extreme, known=known)


def _is_column_of_others(hint: ColumnHint, schema: Snapshot) -> bool:
    """Return whether another table that the hint names has the column."""
    return any(
        table.name.lower() in hint.tables and any(column.name.lower() == hint.column for column in table.columns)
        for table in schema.tables
    )


def _with_values(column: ColumnPlan, hints: Sequence[ColumnHint]) -> ColumnPlan:
    own = [hint for hint in hints if hint.column == column.lower_name]
    only = [hint for hint in own if hint.is_exclusive]
    if only and column.column_type.family in _RESTRICTED_FAMILIES:
        values = _fitting_values(column, only[-1:])  # the latest one: labels change
        if values:
            return replace(column, plausible=values, extreme=(), enumerated=True, known=values)
    own = [hint for hint in own if not hint.is_exclusive]
    own += [hint for hint in hints if not hint.column and column.column_type.family == "text"]
    values = _fitting_values(column, own)
    if not values:
        return column
    plausible = tuple(dict.fromkeys([*values, *column.plausible]))
    extreme = tuple(dict.fromkeys([*values, *column.extreme])) if column.extreme else ()
    return replace(column, plausible=plausible, extreme=extreme, known=values)


def _fitting_values(column: ColumnPlan, hints: Iterable[ColumnHint]) -> tuple[GeneratedValue, ...]:
    given = (value for hint in hints for value in hint.values)
    typed = (found for value in given for found in _typed_values(column.column_type, value))
    return tuple(dict.fromkeys(value for value in typed if column.is_allowed(value)))[:_MAX_VALUES]


def _typed_values(column_type: ColumnType, value: HintValue) -> Iterator[GeneratedValue]:
    """Yield a value as this type holds it, nothing if it cannot be one."""
    make = _MAKERS.get(column_type.family)
    with suppress(ValueError, OverflowError):
        found = make(value) if make else None
        limit = column_type.length if column_type.family == "text" else None
        if found is not None and not (limit and isinstance(found, str) and len(found) > limit):
            yield found


def _time(value: HintValue) -> str:
    return datetime.fromisoformat(str(value)).isoformat(" ", "microseconds")[:26]  # an offset would be another type's


def _document(value: HintValue) -> str | None:
    return value if isinstance(value, str) and json.loads(value) is not None else None


_MAKERS: Mapping[str, Callable[[HintValue], GeneratedValue]] = {
    "text": lambda value: value.decode("ascii") if isinstance(value, bytes) else str(value),
    "integer": lambda value: value if isinstance(value, int) else int(value),
    "binary": lambda value: value if isinstance(value, bytes) else str(value).encode(),
    "json": _document,
    "date": lambda value: _time(value)[:10],
    "timestamp": _time,
    "timestamptz": lambda value: f"{_time(value)}+00",
}
