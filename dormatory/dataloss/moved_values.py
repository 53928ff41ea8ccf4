"""Finds the places to which an upgrade has copied the values of a column: merged, split, mapped or moved.

A plain drop loses its values openly; what the upgrade has copied to another place could come back.
"""

from __future__ import annotations

from collections import defaultdict
from copy import copy
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from dormatory.dataloss import values

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from dormatory.dataloss.contents import TableContents
    from dormatory.dataloss.timeline import TableTransition
    from dormatory.dataloss.values import CellValue

_MIN_INFORMATIVE_LENGTH = 3  # characters; shorter values are found elsewhere by chance
_MIN_VALUES = 3  # different ones
_MIN_FOUND_SHARE = 0.9
_MAX_DISTINCT_SHARE = 0.75  # of different values among all, if each is one of a few
_MAX_SEPARATOR_LENGTH = 3  # characters that a split removes


class MoveTargets:
    """The columns of the same table, and of other tables, into which the upgrade has read the values of a column."""

    def __init__(self, transition: TableTransition, column: str) -> None:
        self._transition, self._column = transition, column
        self._column_index = transition.rows.columns.index(column)
        self._new_rows = dict(transition.matching.pairs)
        targets = transition.leg.dataflow.derived_columns(column)
        name_after = transition.column_names.get(column)
        after = transition.rows_after
        names = {name.lower(): name for name in after.columns} if after is not None else {}
        table = transition.table_after.name.lower() if transition.table_after else ""
        self.same_table_columns = [
            names[it] for at, it in targets if at == table and it in names and names[it] != name_after
        ]
        self.other_table_columns = [(at, it) for at, it in targets if at != table]
        if not targets:
            self._search_by_values(after)

    @property
    def has_any(self) -> bool:
        """Whether there are any."""
        return bool(self.same_table_columns or self.other_table_columns)

    def with_column(self, name: str) -> MoveTargets:
        """Return these targets and another column of the same table."""
        found = copy(self)
        found.same_table_columns = [*self.same_table_columns, name]
        return found

    def restorable_rows(self) -> dict[int, str]:
        """Return the rows whose value can be restored from its targets, each with how: whole, part, parts or map."""
        found: dict[int, str] = {}
        moved_values = self._values_in_other_tables()
        for place, row in enumerate(self._transition.rows.rows):
            value = row[self._column_index]
            if value is None:
                continue
            if values.canonical_form(value) in moved_values:
                found[place] = "whole"
            elif how := self._containment(value, self._same_row_values(place)):
                found[place] = how
        places = self._mapped_rows() or self._calculated_rows()
        return found | {place: "map" for place in places if place not in found}

    def _same_row_values(self, place: int) -> list[CellValue]:
        after, row_after = self._transition.rows_after, self._new_rows.get(place)
        if after is None or row_after is None:
            return []
        return [after.rows[row_after][after.columns.index(name)] for name in self.same_table_columns]

    @staticmethod
    def _containment(value: CellValue, others: Iterable[CellValue]) -> str:
        """Return how a value is contained in other values of its row: whole, part, parts, or "" if it is not."""
        candidates = [other for other in others if other is not None]
        own_text = values.as_text(value)
        texts = [values.as_text(other) for other in candidates]
        if any(values.canonical_form(other) == values.canonical_form(value) for other in candidates):
            return "whole"
        if own_text and any(own_text in text for text in texts):
            return "part"
        parts = [text for text in texts if text and text in own_text]
        rest = own_text
        for part in sorted(parts, key=len, reverse=True):
            rest = rest.replace(part, "", 1)
        is_split = parts and len(rest) <= _MAX_SEPARATOR_LENGTH and not any(sign.isalnum() for sign in rest)
        return "parts" if is_split else ""

    def _values_in_other_tables(self) -> set[Hashable]:
        """Return the values in the columns of other tables that were made of this one."""
        found: set[Hashable] = set()
        for table in self._transition.leg.after.contents.tables:
            for at, column in self.other_table_columns:
                names = {name.lower(): place for place, name in enumerate(table.columns)}
                if table.name.lower() == at and column in names:
                    found |= {values.canonical_form(row[names[column]]) for row in table.rows}
        return found

    def _mapped_rows(self) -> list[int]:
        """Return the rows whose value can be derived from their new columns, because no other value has led to these.

        If all rows have different values, that proves nothing unless a statement names the value.
        """
        known_values = [values.canonical_form(value) for value in self._column_values() if value is not None]
        are_few = len(set(known_values)) <= len(known_values) * _MAX_DISTINCT_SHARE
        groups = defaultdict[object, list[int]](list)
        for place in self._new_rows:
            others = self._same_row_values(place)
            if others:
                groups[tuple(map(values.canonical_form, others))].append(place)
        found = []
        for places in groups.values():
            original_values = [self._transition.rows.rows[place][self._column_index] for place in places]
            is_one_value = len({values.canonical_form(value) for value in original_values}) == 1
            is_named = values.as_text(original_values[0]) in self._transition.leg.dataflow.literals
            if is_one_value and original_values[0] is not None and (is_named or (are_few and len(original_values) > 1)):
                found += places
        return found

    def _calculated_rows(self) -> list[int]:
        """Return the rows if their numbers or times are a linear function of one of the new columns."""
        after = self._transition.rows_after
        for name in self.same_table_columns if after is not None else ():
            at = after.columns.index(name) if after is not None else 0
            points = {
                old: (one, other)
                for old, new in self._new_rows.items()
                if (one := _as_float(self._transition.rows.rows[old][self._column_index])) is not None
                and (other := _as_float(after.rows[new][at] if after is not None else None)) is not None
            }
            if _is_linear(list(points.values())):
                return list(points)
        return []

    def _search_by_values(self, after: TableContents | None) -> None:
        """Look for the values themselves: Python code, whose statements do not show it, may have copied them."""
        searched = {values.canonical_form(value) for value in self._column_values() if _is_informative(value)}
        if len(searched) < _MIN_VALUES:
            return
        old = {(it.name, name) for it in self._transition.leg.before.contents.tables for name in it.columns}
        for table in self._transition.leg.after.contents.tables:
            for place, name in enumerate(table.columns):
                if (table.name, name) in old or (after is table and name in self._transition.column_names.values()):
                    continue
                found = {values.canonical_form(row[place]) for row in table.rows}
                if after is not table and len(searched & found) >= _MIN_FOUND_SHARE * len(searched):
                    self.other_table_columns.append((table.name.lower(), name.lower()))
                elif after is table and self._is_derivable_from(name):
                    self.same_table_columns.append(name)

    def _is_derivable_from(self, name: str) -> bool:
        after = self._transition.rows_after
        if after is None:
            return False
        at = after.columns.index(name)
        pairs = [
            (self._transition.rows.rows[old][self._column_index], after.rows[new][at])
            for old, new in self._new_rows.items()
        ]
        derivable = [bool(self._containment(value, [other])) for value, other in pairs if _is_informative(value)]
        return sum(derivable) >= _MIN_FOUND_SHARE * len(derivable)

    def _column_values(self) -> Sequence[CellValue]:
        return [row[self._column_index] for row in self._transition.rows.rows]


def _as_float(value: CellValue) -> float | None:
    """Return a number for a number or a time, None for anything else."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).timestamp()
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return float(value)
    return None


def _is_linear(points: Sequence[tuple[float, float]]) -> bool:
    """Return whether each second number is the first times a factor plus a constant, off by one at most (rounding)."""
    (low, start), (high, end) = min(points, default=(0, 0)), max(points, default=(0, 0))
    if len({one for one, _ in points}) < _MIN_VALUES or start == end:
        return False
    factor = (end - start) / (high - low)
    if len({other for _, other in points}) < len({one for one, _ in points}):
        return False  # several numbers have become one
    return all(abs(start + (one - low) * factor - other) <= 1 for one, other in points)


def _is_informative(value: CellValue) -> bool:
    return value is not None and len(values.as_text(value)) >= _MIN_INFORMATIVE_LENGTH
