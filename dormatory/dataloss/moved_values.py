"""Whether what was dropped lives on elsewhere: a column merged, split, mapped or moved before it was dropped.

A plain drop loses its values and everybody knows; what the upgrade has read into another place could come back.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from dormatory.dataloss import values

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from dormatory.dataloss.contents import TableContents
    from dormatory.dataloss.timeline import Passage
    from dormatory.dataloss.values import Value

_INFORMATIVE = 3  # letters or digits that do not turn up elsewhere by accident
_ENOUGH = 3  # such values
_MOST = 0.9
_FEW = 0.75  # different values among all, where each is one of a few
_SEPARATORS = 3  # characters that a split takes away


class Carriers:
    """The places to which a column's values were carried by the upgrade."""

    def __init__(self, passage: Passage, column: str) -> None:
        self._passage, self._column = passage, column
        self._place = passage.rows.columns.index(column)
        self._partners = dict(passage.pairing.pairs)
        named = passage.flows.carriers(column)
        own = passage.names.get(column)
        after = passage.rows_after
        names = {name.lower(): name for name in after.columns} if after is not None else {}
        table = passage.now.name.lower() if passage.now else ""
        self.beside = [names[it] for at, it in named if at == table and it in names and names[it] != own]
        self.elsewhere = [(at, it) for at, it in named if at != table]
        if not named:
            self._search(after)

    @property
    def exist(self) -> bool:
        """Tell whether there are any."""
        return bool(self.beside or self.elsewhere)

    def restorable(self) -> dict[int, str]:
        """Return the rows whose value still follows from where it went, each with how: whole, part, parts or map."""
        found: dict[int, str] = {}
        moved = self._moved()
        for place, row in enumerate(self._passage.rows.rows):
            value = row[self._place]
            if value is None:
                continue
            if values.loose(value) in moved:
                found[place] = "whole"
            elif how := self._contained(value, self._beside(place)):
                found[place] = how
        places = self._mapped() or self._calculated()
        return found | {place: "map" for place in places if place not in found}

    def _beside(self, place: int) -> list[Value]:
        after, partner = self._passage.rows_after, self._partners.get(place)
        if after is None or partner is None:
            return []
        return [after.rows[partner][after.columns.index(name)] for name in self.beside]

    @staticmethod
    def _contained(value: Value, others: Iterable[Value]) -> str:
        """Tell how a value is found in others of its row, "" if it is not."""
        there = [other for other in others if other is not None]
        mine = values.text(value)
        texts = [values.text(other) for other in there]
        if any(values.loose(other) == values.loose(value) for other in there):
            return "whole"
        if mine and any(mine in text for text in texts):
            return "part"
        parts = [text for text in texts if text and text in mine]
        left = mine
        for part in sorted(parts, key=len, reverse=True):
            left = left.replace(part, "", 1)
        is_split = parts and len(left) <= _SEPARATORS and not any(sign.isalnum() for sign in left)
        return "parts" if is_split else ""

    def _moved(self) -> set[Hashable]:
        """Return what the columns of other tables hold that were made of this one."""
        found: set[Hashable] = set()
        for table in self._passage.state.contents.tables:
            for at, column in self.elsewhere:
                names = {name.lower(): place for place, name in enumerate(table.columns)}
                if table.name.lower() == at and column in names:
                    found |= {values.loose(row[names[column]]) for row in table.rows}
        return found

    def _mapped(self) -> list[int]:
        """Return the rows whose value follows from what their new columns hold: no other value has led to it.

        Rows that differ from each other prove nothing, unless a statement names the value.
        """
        given = [values.loose(value) for value in self._values() if value is not None]
        are_few = len(set(given)) <= len(given) * _FEW
        classes = defaultdict[object, list[int]](list)
        for place in self._partners:
            others = self._beside(place)
            if others:
                classes[tuple(map(values.loose, others))].append(place)
        found = []
        for places in classes.values():
            held = [self._passage.rows.rows[place][self._place] for place in places]
            alike = len({values.loose(value) for value in held}) == 1
            is_named = values.text(held[0]) in self._passage.flows.literals
            if alike and held[0] is not None and (is_named or (are_few and len(held) > 1)):
                found += places
        return found

    def _calculated(self) -> list[int]:
        """Return the rows if their numbers or moments are in proportion to what one of the new columns holds."""
        after = self._passage.rows_after
        for name in self.beside if after is not None else ():
            at = after.columns.index(name) if after is not None else 0
            points = {
                old: (one, other)
                for old, new in self._partners.items()
                if (one := _measure(self._passage.rows.rows[old][self._place])) is not None
                and (other := _measure(after.rows[new][at] if after is not None else None)) is not None
            }
            if _is_linear(list(points.values())):
                return list(points)
        return []

    def _search(self, after: TableContents | None) -> None:
        """Look for the values themselves, where Python code may have carried them."""
        mine = {values.loose(value) for value in self._values() if _is_informative(value)}
        if len(mine) < _ENOUGH:
            return
        old = {(it.name, name) for it in self._passage.journey.trip.before.contents.tables for name in it.columns}
        for table in self._passage.state.contents.tables:
            for place, name in enumerate(table.columns):
                if (table.name, name) in old or (after is table and name in self._passage.names.values()):
                    continue
                there = {values.loose(row[place]) for row in table.rows}
                if after is not table and len(mine & there) >= _MOST * len(mine):
                    self.elsewhere.append((table.name.lower(), name.lower()))
                elif after is table and self._is_told_by(name):
                    self.beside.append(name)

    def _is_told_by(self, name: str) -> bool:
        after = self._passage.rows_after
        if after is None:
            return False
        at = after.columns.index(name)
        pairs = [
            (self._passage.rows.rows[old][self._place], after.rows[new][at]) for old, new in self._partners.items()
        ]
        told = [bool(self._contained(value, [other])) for value, other in pairs if _is_informative(value)]
        return sum(told) >= _MOST * len(told)

    def _values(self) -> Sequence[Value]:
        return [row[self._place] for row in self._passage.rows.rows]


def _measure(value: Value) -> float | None:
    """Return a number for a number or a moment, None for anything else."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).timestamp()
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return float(value)
    return None


def _is_linear(points: Sequence[tuple[float, float]]) -> bool:
    """Tell whether each second number is the first times a factor plus a constant, rounded to a whole at most."""
    (low, start), (high, end) = min(points, default=(0, 0)), max(points, default=(0, 0))
    if len({one for one, _ in points}) < _ENOUGH or start == end:
        return False
    factor = (end - start) / (high - low)
    if len({other for _, other in points}) < len({one for one, _ in points}):
        return False  # several have become one
    return all(abs(start + (one - low) * factor - other) <= 1 for one, other in points)


def _is_informative(value: Value) -> bool:
    return value is not None and len(values.text(value)) >= _INFORMATIVE
