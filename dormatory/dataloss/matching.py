"""Matches the tables, columns and rows before a leg with those after it: renamed, retyped, or under another key."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dormatory.dataloss import values
from dormatory.system.identity_cache import cache_by_identity

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Sequence

    from dormatory.dataloss.contents import Contents, TableContents
    from dormatory.schema.snapshot import Snapshot, Table
    from dormatory.sql.dataflow import Dataflow


@dataclass(frozen=True, slots=True)
class RowMatching:
    """Rows before and after a leg, by their indexes; `rekeyed` are the matched rows that have another key now."""

    pairs: tuple[tuple[int, int], ...]
    lost: tuple[int, ...]
    added: tuple[int, ...]
    rekeyed: frozenset[int] = frozenset()


class SchemaMapping:
    """Which table and column of one schema is which of a later one, according to the statements between them.

    What only looks like a rename is none: a column that is dropped while a similar one is added holds other values.
    """

    def __init__(self, before: Snapshot, after: Snapshot, dataflow: Dataflow) -> None:
        self._before = {table.id: table for table in before.tables}
        self._after = {table.id: table for table in after.tables}
        self._dataflow = dataflow

    def table_after(self, table: Table) -> Table | None:
        """Return a table as it is after the leg, None if it was dropped."""
        last = self._dataflow.renames.get(table.name.lower())
        if last is not None and last != table.name.lower():
            new = (it for it in self._after.values() if it.name.lower() == last and it.namespace == table.namespace)
            if (found := next(new, None)) is not None:
                return found
        return None if self._is_replaced(table) else self._after.get(table.id)

    def _is_replaced(self, table: Table) -> bool:
        """Return whether a table was dropped, and another one that was there before has its name now."""
        name = table.name.lower()
        former = {old for old, new in self._dataflow.renames.items() if new == name != old}
        others = (it.name.lower() for it in self._before.values() if it.namespace == table.namespace)
        return name in self._dataflow.drops and not former.isdisjoint(others)

    def column_names(self, table: Table) -> dict[str, str]:
        """Return the columns of a table with their names after the leg, without those that were dropped."""
        after = self.table_after(table)
        if after is None:
            return {}
        new = {column.name for column in after.columns}
        old = {column.name for column in table.columns}
        found = {name: name for name in old & new}
        for name in old - new:
            if now := self._renamed_column(after, name, old):
                found[name] = now
        return found

    def _renamed_column(self, after: Table, name: str, old: set[str]) -> str:
        """Return the new column that took over the values of another, as a rebuild of the table does to rename it."""
        names = {column.name.lower(): column.name for column in after.columns if column.name not in old}
        for write in self._dataflow.writes:
            if write.table == after.name.lower() and write.copied_from == name.lower() and write.column in names:
                return names[write.column]
        return ""


def complete_contents(contents: Contents, table: Table | None) -> TableContents | None:
    """Return the rows of a table, None if it does not exist or has more rows than were read."""
    if table is None:
        return None
    for found in contents.tables:
        if found.id == table.id:
            return found if found.is_whole else None
    return None


def key_columns(table: Table) -> tuple[str, ...]:
    """Return the columns of the primary key, or of the first unique constraint if there is no primary key."""
    uniques = (it.columns for it in table.constraints if it.kind == "UNIQUE")
    return table.primary_key or next(uniques, ())


def match_rows(
    before: TableContents, after: TableContents, column_names: dict[str, str], key: Sequence[str]
) -> RowMatching:
    """Match the rows of a table: by their key, and those left over by their other values.

    `column_names` are the common columns, before and after; `key` holds names from before.
    """
    if before.has_rows_of(after):
        return RowMatching(tuple((place, place) for place in range(len(before.rows))), (), ())
    common = [name for name in before.columns if column_names.get(name) in after.columns]
    common_key = [name for name in key if name in common]
    unmatched = _UnmatchedRows(before, after, column_names)
    if common_key and len(common_key) == len(key):
        unmatched.match_by(common_key, needs_unique=True)
    matched_by_key = {old for old, _ in unmatched.pairs}
    others = [name for name in common if name not in common_key]
    if others:
        unmatched.match_by(others)
        if not unmatched.pairs:  # no row is unchanged: use the columns that are
            unmatched.match_by(unmatched.stable_columns(others))
    elif not common_key:
        unmatched.match_by(common)
    rekeyed = (
        frozenset(old for old, _ in unmatched.pairs if old not in matched_by_key) if common_key or key else frozenset()
    )
    return RowMatching(tuple(sorted(unmatched.pairs)), tuple(unmatched.old), tuple(unmatched.new), rekeyed)


def compose_matchings(
    matchings: tuple[RowMatching, RowMatching, RowMatching],
    before: TableContents,
    after: TableContents,
    column_names: dict[str, str],
    key: Sequence[str],
) -> RowMatching:
    """Return the matching across upgrade, additional rows and downgrade: no row is taken for one added on the way.

    Rows that were lost on the way may be among those that the downgrade added.
    """
    upgrade, fill, downgrade = matchings
    filled, downgraded = dict(fill.pairs), dict(downgrade.pairs)
    upgraded = {old: new for old, one in upgrade.pairs if (new := filled.get(one)) is not None}
    pairs = {old: downgraded[new] for old, new in upgraded.items() if new in downgraded}
    rekeyed = upgrade.rekeyed | {old for old, new in upgraded.items() if new in downgrade.rekeyed}
    lost, added = [old for old in range(len(before.rows)) if old not in pairs], downgrade.added
    rest = match_rows(_rows_at(before, lost), _rows_at(after, added), column_names, key)
    pairs |= {lost[old]: added[new] for old, new in rest.pairs}
    return RowMatching(
        tuple(sorted(pairs.items())),
        tuple(lost[old] for old in rest.lost),
        tuple(added[new] for new in rest.added),
        rekeyed | {lost[old] for old in rest.rekeyed},
    )


def _rows_at(contents: TableContents, indexes: Sequence[int]) -> TableContents:
    return replace(contents, rows=tuple(contents.rows[index] for index in indexes))


class _UnmatchedRows:
    """The rows that are not matched yet."""

    def __init__(self, before: TableContents, after: TableContents, column_names: dict[str, str]) -> None:
        self._before, self._after, self._column_names = before, after, column_names
        self.old, self.new = list(range(len(before.rows))), list(range(len(after.rows)))
        self.pairs: list[tuple[int, int]] = []

    def match_by(self, columns: Sequence[str], *, needs_unique: bool = False) -> None:
        """Pair rows with equal values in some columns; with `needs_unique` only if these tell all later rows apart."""
        if not columns or not self.old or not self.new:
            return
        one, other = self._projections(columns)
        candidates = defaultdict[object, deque[int]](deque)
        for place in self.new:
            candidates[other[place]].append(place)
        if needs_unique and any(len(places) > 1 for places in candidates.values()):
            return
        taken: set[int] = set()
        unmatched: list[int] = []
        for place in self.old:
            places = candidates.get(one[place])
            if places:
                found = places.popleft()
                taken.add(found)
                self.pairs.append((place, found))
            else:
                unmatched.append(place)
        self.old = unmatched
        self.new = [place for place in self.new if place not in taken]

    def stable_columns(self, columns: Iterable[str]) -> list[str]:
        """Return the columns that hold the same values on both sides, if they tell most of the unmatched rows apart."""
        stable = []
        for name in columns:
            one, other = self._projections([name])
            if Counter(one[it] for it in self.old) == Counter(other[it] for it in self.new):
                stable.append(name)
        if not stable:
            return []
        one, _ = self._projections(stable)
        return stable if len({one[it] for it in self.old}) > len(self.old) // 2 else []

    def _projections(self, columns: Sequence[str]) -> tuple[Sequence[Hashable], Sequence[Hashable]]:
        return (
            projection(self._before, tuple(columns)),
            projection(self._after, tuple(self._column_names[name] for name in columns)),
        )


@cache_by_identity(max_entries=1024)
def projection(table: TableContents, columns: tuple[str, ...]) -> tuple[Hashable, ...]:
    """Return the values of each row in some columns, in canonical form."""
    if not columns:
        return ((),) * len(table.rows)
    return tuple(zip(*(canonical_column(table, name) for name in columns), strict=True))


@cache_by_identity(max_entries=1024)
def canonical_column(table: TableContents, column: str) -> tuple[Hashable, ...]:
    """Return the value of each row in a column, in canonical form."""
    at = table.columns.index(column)
    return values.canonical_forms([row[at] for row in table.rows])


def projected_rows(
    table: TableContents | None, columns: Collection[str], row_indexes: Collection[int]
) -> list[Hashable]:
    """Return the values of some rows in some columns, in canonical form."""
    rows = projection(table, tuple(columns)) if table else ()
    return [rows[index] for index in row_indexes]
