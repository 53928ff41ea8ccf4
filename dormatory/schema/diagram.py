"""What a diagram shows of a snapshot: tables, their columns, and how many rows refer to how many."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.schema.snapshot import Column, Constraint, Snapshot, Table


@dataclass(frozen=True, slots=True)
class Field:
    """A column in a diagram; `keys` are those of PK, FK and UK that it is part of (UK: it is unique on its own)."""

    name: str
    type: str
    nullable: bool
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entity:
    """A table in a diagram."""

    name: str  # with its namespace, if it has one
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class TableRelation:
    """A foreign key: the rows of `child` that refer to one row of `parent`, and whether each has to refer to one."""

    child: str
    columns: tuple[str, ...]
    parent: str
    is_unique: bool  # at most one row of the child refers to one of the parent
    is_required: bool  # every row of the child refers to one of the parent


@dataclass(frozen=True, slots=True)
class Diagram:
    """Tables and the relations between them, in the order of their names."""

    entities: tuple[Entity, ...]
    relations: tuple[TableRelation, ...]

    def neighbourhood(self, names: Sequence[str]) -> Diagram:
        """Return these tables, their neighbours, and the relations between all of these."""
        near = set(names)
        for relation in self.relations:
            if {relation.child, relation.parent} & set(names):
                near |= {relation.child, relation.parent}
        return Diagram(
            tuple(entity for entity in self.entities if entity.name in near),
            tuple(it for it in self.relations if it.child in near and it.parent in near),
        )

    def names_like(self, pattern: str) -> tuple[str, ...]:
        """Return the tables of a name or a glob pattern, which may leave out the namespace."""
        names = tuple(entity.name for entity in self.entities)
        exact = tuple(name for name in names if pattern in _spellings(name))
        return exact or tuple(name for name in names if any(fnmatchcase(it, pattern) for it in _spellings(name)))


def diagram(snapshot: Snapshot) -> Diagram:
    """Return what a diagram shows of a snapshot."""
    tables = sorted(snapshot.tables, key=lambda table: (table.namespace or "", table.name))
    relations = sorted(
        (relation for table in tables for relation in _relations(table)),
        key=lambda it: (it.child, it.parent, it.columns, it.is_unique, it.is_required),
    )
    return Diagram(tuple(_entity(table) for table in tables), tuple(relations))


def _spellings(name: str) -> tuple[str, str]:
    return name, name.partition(".")[2] or name


def _full_name(namespace: str | None, name: str) -> str:
    return name if namespace is None else f"{namespace}.{name}"


def _entity(table: Table) -> Entity:
    foreign = {name for it in table.constraints if it.references for name in it.columns}
    keys = {"PK": set(table.primary_key), "FK": foreign, "UK": _unique_alone(table)}
    return Entity(
        _full_name(table.namespace, table.name),
        tuple(
            Field(it.name, it.type, _may_be_null(it), tuple(key for key, names in keys.items() if it.name in names))
            for it in table.columns
        ),
    )


def _unique_alone(table: Table) -> set[str]:
    primary = frozenset(table.primary_key)
    return {name for columns in _unique_sets(table) if len(columns) == 1 and columns != primary for name in columns}


def _relations(table: Table) -> Iterator[TableRelation]:
    unique = tuple(_unique_sets(table))
    for constraint in table.constraints:
        if constraint.references:
            yield TableRelation(
                _full_name(table.namespace, table.name),
                constraint.columns,
                _full_name(*constraint.references.table_id),
                is_unique=any(columns <= set(constraint.columns) for columns in unique),
                is_required=_is_required(table, constraint),
            )


def _unique_sets(table: Table) -> Iterator[frozenset[str]]:
    """Yield the columns of each key, and of each unique index on all rows that has no expression."""
    for constraint in table.constraints:
        if constraint.kind in {"PRIMARY KEY", "UNIQUE"} and constraint.columns:
            yield frozenset(constraint.columns)
    spelled = {spelling: it.name for it in table.columns for spelling in (it.name, f'"{it.name}"')}
    for index in table.indexes:
        is_whole = index.unique and index.valid and index.predicate is None
        if is_whole and index.keys and all(key in spelled for key in index.keys):
            yield frozenset(spelled[key] for key in index.keys)


def _is_required(table: Table, constraint: Constraint) -> bool:
    """Return whether a foreign key holds for every row: one NULL frees a row, with MATCH FULL only NULL in all."""
    can_be_null = [_may_be_null(it) for it in table.columns if it.name in constraint.columns]
    if "NOT VALID" in constraint.definition:
        return False
    if constraint.references and constraint.references.match == "FULL":
        return not all(can_be_null)
    return not any(can_be_null)


def _may_be_null(column: Column) -> bool:
    return column.nullable or "NOT VALID" in (column.not_null_note or "")
