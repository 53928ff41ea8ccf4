"""Finds rows and columns again after a leg: renamed, of another type, under another key."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.dataloss import values
from dormatory.system.identity_cache import by_identity

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from dormatory.dataloss.contents import Contents, TableContents
    from dormatory.schema.snapshot import Snapshot, Table
    from dormatory.sql.dataflow import Flows


@dataclass(frozen=True, slots=True)
class Pairing:
    """Rows before and after by their places: found again, gone, and come; `rekeyed` are those under another key."""

    pairs: tuple[tuple[int, int], ...]
    gone: tuple[int, ...]
    come: tuple[int, ...]
    rekeyed: frozenset[int] = frozenset()


class Correspondence:
    """Which table and column of one schema is which of a later one, as the statements between them tell.

    What merely looks like a rename is none: a column that is dropped while its like is added holds other values.
    """

    def __init__(self, after: Snapshot, flows: Flows) -> None:
        self._after = {(table.namespace, table.name): table for table in after.tables}
        self._flows = flows

    def table(self, table: Table) -> Table | None:
        """Return what a table has become, None where it was dropped."""
        last = self._flows.renamed.get(table.name.lower())
        if last is not None and last != table.name.lower():
            new = (it for it in self._after.values() if it.name.lower() == last and it.namespace == table.namespace)
            if (found := next(new, None)) is not None:
                return found
        return self._after.get((table.namespace, table.name))

    def columns(self, table: Table) -> dict[str, str]:
        """Return the columns of a table with the names that they have now, without those that were dropped."""
        after = self.table(table)
        if after is None:
            return {}
        new = {column.name for column in after.columns}
        old = {column.name for column in table.columns}
        found = {name: name for name in old & new}
        for name in old - new:
            if now := self._copy(after, name, old):
                found[name] = now
        return found

    def _copy(self, after: Table, name: str, old: set[str]) -> str:
        """Return the new column of a table that took over the values of another, as a rebuild does to rename one."""
        names = {column.name.lower(): column.name for column in after.columns if column.name not in old}
        for write in self._flows.writes:
            if write.table == after.name.lower() and write.copied == name.lower() and write.column in names:
                return names[write.column]
        return ""


def contents_of(contents: Contents, table: Table | None) -> TableContents | None:
    """Return the rows of a table, None where it is not there or has more rows than were read."""
    if table is None:
        return None
    for found in contents.tables:
        if (found.namespace, found.name) == (table.namespace, table.name):
            return found if found.is_whole else None
    return None


def key_of(table: Table) -> tuple[str, ...]:
    """Return the columns of the primary key, or of the first unique constraint without one."""
    for kind in ("PRIMARY KEY", "UNIQUE"):
        for constraint in table.constraints:
            if constraint.kind == kind:
                return constraint.columns
    return ()


def paired(before: TableContents, after: TableContents, names: dict[str, str], key: Sequence[str]) -> Pairing:
    """Find the rows of a table again: by their key, else by what else they hold.

    `names` are the columns they have in common, before and after; `key` is one of before.
    """
    if before == after:
        return Pairing(tuple((place, place) for place in range(len(before.rows))), (), ())
    common = [name for name in before.columns if names.get(name) in after.columns]
    keyed = [name for name in key if name in common]
    left = _Left(before, after, names)
    if keyed and len(keyed) == len(key):
        left.pair(keyed, unique=True)
    found = {old for old, _ in left.pairs}
    others = [name for name in common if name not in keyed]
    if others:
        left.pair(others)
        if not left.pairs:  # no row is as it was: go by the columns that only moved with their rows
            left.pair(left.steady(others))
    elif not keyed:
        left.pair(common)
    rekeyed = frozenset(old for old, _ in left.pairs if old not in found) if keyed or key else frozenset()
    return Pairing(tuple(sorted(left.pairs)), tuple(left.old), tuple(left.new), rekeyed)


class _Left:
    """The rows that were not found yet."""

    def __init__(self, before: TableContents, after: TableContents, names: dict[str, str]) -> None:
        self._before, self._after, self._names = before, after, names
        self.old, self.new = list(range(len(before.rows))), list(range(len(after.rows)))
        self.pairs: list[tuple[int, int]] = []

    def pair(self, columns: Sequence[str], *, unique: bool = False) -> None:
        """Pair the rows that agree in some columns; those that several share only if they are as many on both sides."""
        if not columns or not self.old or not self.new:
            return
        one, other = self._projections(columns)
        there = defaultdict[object, deque[int]](deque)
        for place in self.new:
            there[other[place]].append(place)
        if unique and any(len(places) > 1 for places in there.values()):
            return
        taken: set[int] = set()
        left: list[int] = []
        for place in self.old:
            places = there.get(one[place])
            if places:
                found = places.popleft()
                taken.add(found)
                self.pairs.append((place, found))
            else:
                left.append(place)
        self.old = left
        self.new = [place for place in self.new if place not in taken]

    def steady(self, columns: Iterable[str]) -> list[str]:
        """Return the columns that tell the rows which are left apart and hold the same values on both sides."""
        kept = []
        for name in columns:
            one, other = self._projections([name])
            if Counter(one[it] for it in self.old) == Counter(other[it] for it in self.new):
                kept.append(name)
        if not kept:
            return []
        one, _ = self._projections(kept)
        return kept if len({one[it] for it in self.old}) > len(self.old) // 2 else []

    def _projections(self, columns: Sequence[str]) -> tuple[Sequence[Hashable], Sequence[Hashable]]:
        return (
            projected(self._before, tuple(columns)),
            projected(self._after, tuple(self._names[name] for name in columns)),
        )


@by_identity(most=1024)
def projected(table: TableContents, columns: tuple[str, ...]) -> tuple[Hashable, ...]:
    """Return what each row of a table holds in some columns, in loose form."""
    if not columns:
        return ((),) * len(table.rows)
    return tuple(zip(*(loosened(table, name) for name in columns), strict=True))


@by_identity(most=1024)
def loosened(table: TableContents, column: str) -> tuple[Hashable, ...]:
    """Return what each row of a table holds in a column, in loose form."""
    at = table.columns.index(column)
    return values.loosened([row[at] for row in table.rows])
