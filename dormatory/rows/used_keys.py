"""Remembers the unique keys of a table's rows, so that no new row repeats one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from dormatory.sql.evaluate import UNDECIDED, evaluate, is_surely_false

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dormatory.rows.plan import ColumnPlan, TablePlan, UniqueKey
    from dormatory.sql.normal_form import Node

KeyValues: TypeAlias = tuple[Any, ...]


class UsedKeys:
    """The values that the rows of a table have in each of its unique keys."""

    def __init__(self, plan: TablePlan) -> None:
        self._columns = {column.lower_name: column for column in plan.columns if not column.is_generated}
        self._used: dict[UniqueKey, set[KeyValues]] = {key: set() for key in plan.unique_keys}

    def keys_of(self, row: Mapping[str, Any]) -> dict[UniqueKey, KeyValues]:
        """Return the values of a row in each key, without keys that a row like this may repeat."""
        found = ((key, _key_values(key, row, self._columns)) for key in self._used)
        return {key: values for key, values in found if values is not None}

    def first_used(self, keys: Mapping[UniqueKey, KeyValues]) -> UniqueKey | None:
        """Return the first key whose values a row has already, None if there is none."""
        return next((key for key, values in keys.items() if values in self._used[key]), None)

    def add(self, keys: Mapping[UniqueKey, KeyValues]) -> None:
        """Remember the keys of a row."""
        for key, values in keys.items():
            self._used[key].add(values)

    def discard(self, keys: Mapping[UniqueKey, KeyValues]) -> None:
        """Forget the keys of a row that was not inserted."""
        for key, values in keys.items():
            self._used[key].discard(values)


def _key_values(key: UniqueKey, row: Mapping[str, Any], columns: Mapping[str, ColumnPlan]) -> KeyValues | None:
    """Return the values of a key that must not be repeated, None if this row may be."""
    if key.predicate is not None and is_surely_false(key.predicate, row):
        return None
    found = tuple(_key_part(part, row, columns) for part in key.expressions)
    if any(value is UNDECIDED for value in found) or (key.nulls_distinct and any(value is None for value in found)):
        return None
    return found


def _key_part(part: Node, row: Mapping[str, Any], columns: Mapping[str, ColumnPlan]) -> Any:
    """Return the value of one column or expression of a key."""
    if part[0] == "name":
        return _canonical_value(row.get(str(part[1]), UNDECIDED), columns.get(str(part[1])))
    value = evaluate(part, row)
    return value.lower() if part[0] == "collate" and part[2] == "nocase" and isinstance(value, str) else value


def _canonical_value(value: Any, column: ColumnPlan | None) -> Any:
    """Return one form for all values that the database considers equal."""
    if not isinstance(value, str) or column is None:
        return value
    if column.column_type.family == "timestamptz":
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            return value
    if column.column_type.family in {"timestamp", "time"}:
        return value.removesuffix(".000000")
    value = value.rstrip(" ") if column.column_type.padded else value
    return value.lower() if column.column_type.caseless else value
