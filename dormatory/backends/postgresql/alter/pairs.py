"""What stays, what goes and what must be made again between two structures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from dormatory.backends.postgresql.alter.step import mentions, short_name
from dormatory.schema.snapshot import Domain, Enum

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.schema.snapshot import Column, Constraint, Index, Snapshot, Table, TableId

NamedT = TypeVar("NamedT", Enum, Domain)


@dataclass(frozen=True)
class TablePair:
    """A table that stays, with the types that are exchanged: the columns of these types change with them."""

    before: Table
    after: Table
    exchanged_types: frozenset[str] = frozenset()

    @cached_property
    def columns(self) -> tuple[tuple[Column, Column], ...]:
        """The columns that stay, before and after."""
        old = {column.name: column for column in self.before.columns}
        pairs = ((old[column.name], column) for column in self.after.columns if column.name in old)
        return tuple(pair for pair in pairs if not self._must_remake(*pair))

    @property
    def removed(self) -> tuple[Column, ...]:
        """The columns that are dropped, also those that are added again."""
        kept = {new.name for _, new in self.columns}
        return tuple(column for column in self.before.columns if column.name not in kept)

    @property
    def added(self) -> tuple[Column, ...]:
        """The columns that are added, also those that were dropped for it."""
        kept = {new.name for _, new in self.columns}
        return tuple(column for column in self.after.columns if column.name not in kept)

    @cached_property
    def remade_names(self) -> frozenset[str]:
        """The columns that are dropped and added again."""
        return frozenset(column.name for column in self.removed) & {column.name for column in self.added}

    @cached_property
    def retyped_names(self) -> frozenset[str]:
        """The columns that stay and get another type or collation."""
        return frozenset(new.name for old, new in self.columns if self.is_retyped(old, new))

    @cached_property
    def touched_names(self) -> frozenset[str]:
        """The columns on which nothing may depend meanwhile."""
        return self.retyped_names | {column.name for column in self.removed}

    def is_retyped(self, old: Column, new: Column) -> bool:
        """Return whether a column gets another type or collation."""
        return (old.type, old.collation) != (new.type, new.collation) or is_of_type(new, self.exchanged_types)

    def _must_remake(self, old: Column, new: Column) -> bool:
        """Return whether only dropping and adding a column gives it what it computes (up to PostgreSQL 16)."""
        if new.generated is None:  # a stored value can stay in a plain column
            return old.storage == "VIRTUAL" or (old.generated is not None and self.is_retyped(old, new))
        if (old.generated, old.storage) != (new.generated, new.storage) or self.is_retyped(old, new):
            return True
        now = {column.name: column for column in self.after.columns}
        inputs = [it for it in self.before.columns if it.generated is None and mentions(new.generated, [it.name])]
        return any(it.name in now and self.is_retyped(it, now[it.name]) for it in inputs)


@dataclass(frozen=True)
class SnapshotPair:
    """Two structures, and what follows from their differences for what depends on them."""

    before: Snapshot
    after: Snapshot

    @cached_property
    def pairs(self) -> dict[TableId, TablePair]:
        """The tables that stay. One that becomes partitioned stays as it is: its rows cannot be moved in place."""
        old = {table.id: table for table in self.before.tables}
        both = ((old[table.id], table) for table in self.after.tables if table.id in old)
        return {
            one.id: TablePair(one, other, self.exchanged_names)
            for one, other in both
            if (one.kind, one.partition_key) == (other.kind, other.partition_key)
        }

    @property
    def removed_tables(self) -> tuple[Table, ...]:
        """The tables that are dropped."""
        now = {table.id for table in self.after.tables}
        return tuple(table for table in self.before.tables if table.id not in now)

    @property
    def added_tables(self) -> tuple[Table, ...]:
        """The tables that are created."""
        known = {table.id for table in self.before.tables}
        return tuple(table for table in self.after.tables if table.id not in known)

    @cached_property
    def exchanged_types(self) -> tuple[tuple[Enum | Domain, Enum | Domain], ...]:
        """The types that a new one of the same name replaces, before and after; one is after those that it uses."""
        found = [
            (old, new) for old, new in common(self.before.enums, self.after.enums) if not _can_add_labels(old, new)
        ]
        names = frozenset(short_name((new.namespace, new.name)) for _, new in found)
        domains = [
            (old, new)
            for old, new in common(self.before.domains, self.after.domains)
            if (old.type, old.collation) != (new.type, new.collation) or new.type.removesuffix("[]") in names
        ]
        return (*found, *domains)

    @cached_property
    def exchanged_names(self) -> frozenset[str]:
        """The names of these types, as columns have them."""
        return frozenset(short_name((new.namespace, new.name)) for _, new in self.exchanged_types)

    @cached_property
    def dropped_keys(self) -> frozenset[tuple[TableId, frozenset[str]]]:
        """What a foreign key can refer to and that goes or is made again: a table with columns."""
        found: set[tuple[TableId, frozenset[str]]] = set()
        for pair in self.pairs.values():
            stays = {it.definition for it in self._kept_keys(pair)}
            keys = [
                (it.definition, it.columns) for it in pair.before.constraints if it.kind in {"PRIMARY KEY", "UNIQUE"}
            ]
            keys += [(it.definition, it.keys) for it in pair.before.indexes if it.unique]
            found |= {(pair.before.id, frozenset(columns)) for definition, columns in keys if definition not in stays}
        return frozenset(found)

    def _kept_keys(self, pair: TablePair) -> Iterator[Constraint | Index]:
        old = {it.definition for it in pair.before.constraints} | {it.definition for it in pair.before.indexes}
        new: tuple[Constraint | Index, ...] = (*pair.after.constraints, *pair.after.indexes)
        for part in new:
            if part.definition in old and not mentions(part.definition, pair.remade_names):
                yield part

    def touches(self, text: str) -> bool:
        """Return whether a view, a rule or a policy reads what is altered or dropped."""
        for pair in self.pairs.values():
            if mentions(text, [pair.before.name]):
                has_lost_key = any(table == pair.before.id for table, _ in self.dropped_keys)
                if mentions(text, pair.touched_names) or (pair.touched_names and "*" in text):
                    return True
                if has_lost_key and mentions(text, ["group"]):  # the other columns follow from the key
                    return True
        return mentions(text, [table.name for table in self.removed_tables])

    def is_foreign_key_in_the_way(self, constraint: Constraint, pair: TablePair) -> bool:
        """Return whether what a foreign key needs on either side changes meanwhile."""
        reference = constraint.references
        if reference is None:
            return False
        if pair.touched_names.intersection(constraint.columns):
            return True
        target = self.pairs.get(reference.table_id)
        return target is None or bool(
            target.touched_names.intersection(reference.columns)
            or (reference.table_id, frozenset(reference.columns)) in self.dropped_keys
        )


def is_of_type(column: Column, types: frozenset[str]) -> bool:
    """Return whether a column has one of these types, or an array of it."""
    return column.type.removesuffix("[]") in types


def common(before: tuple[NamedT, ...], after: tuple[NamedT, ...]) -> Iterator[tuple[NamedT, NamedT]]:
    """Yield the objects that both sides have."""
    old = {(it.namespace, it.name): it for it in before}
    for new in after:
        if (new.namespace, new.name) in old:
            yield old[new.namespace, new.name], new


def _can_add_labels(old: Enum, new: Enum) -> bool:
    """Return whether one enumeration is the other with further labels."""
    return tuple(label for label in new.values if label in old.values) == old.values
