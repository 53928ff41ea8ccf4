"""Which tables' rows may have changed: altered tables, and those reached by triggers, rules, cascades and inheritance.

Rows that have changed must not be missed, so the result may name too many tables: a name stands for the tables of that
name in all namespaces, and code that is not understood may affect every table.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dormatory.sql.names import has_unknown_effects, names_in
from dormatory.system.identity_cache import cache_by_identity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from dormatory.schema.snapshot import Reference, Snapshot, Table, TableId, View
    from dormatory.sql.dialect import Dialect


_ACTIONS_WITHOUT_WRITES = frozenset({"NO ACTION", "RESTRICT"})


def altered_tables(before: Snapshot, after: Snapshot, dialect: Dialect) -> frozenset[TableId]:
    """Return the tables that were created, dropped or altered, and those with columns of a changed type."""
    old, new = differing_tables(before, after)
    changed_types = _changed_types(before, after)
    if changed_types:
        old += [table for table in before.tables if _dependencies(table, dialect).types & changed_types]
        new += [table for table in after.tables if _dependencies(table, dialect).types & changed_types]
    return frozenset(table.id for table in (*old, *new))


def affected_by_inserts(ids: Iterable[TableId], schema: Snapshot, dialect: Dialect) -> frozenset[TableId] | None:
    """Return the tables whose rows may change when rows are inserted into these; None for any table.

    They are those that triggers, rules, views, routines, partitions and inheritance lead to, and the foreign keys with
    actions from there.
    """
    index = schema_index(schema, dialect)
    reachable = reachable_names(index, {name.lower() for _, name in ids}, dialect)
    if reachable is None:
        return None
    tables = (table for name in reachable for table in index.tables.get(name, ()))
    return frozenset(table.id for table in tables)


def related_tables(ids: Collection[TableId], schema: Snapshot, dialect: Dialect) -> Iterator[TableId]:
    """Yield these tables of a schema, those with foreign keys to them, and the tables that all of these refer to."""
    index = schema_index(schema, dialect)
    names = {name.lower() for _, name in ids}
    names |= {child for name in names for child, _ in index.children.get(name, ())}
    joined = [table for name in names for table in index.tables.get(name, ())]
    names |= {parent for table in joined for parent, _ in _dependencies(table, dialect).foreign_keys}
    yield from (table.id for name in names for table in index.tables.get(name, ()))


def tables_by_id(ids: Iterable[TableId], schema: Snapshot, dialect: Dialect) -> dict[TableId, Table]:
    """Return the tables of a schema that have one of these ids."""
    tables_by_name = schema_index(schema, dialect).tables
    return {id_: table for id_ in ids for table in tables_by_name.get(id_[1].lower(), ()) if table.id == id_}


def differing_tables(before: Snapshot, after: Snapshot) -> tuple[list[Table], list[Table]]:
    """Return the tables that only one of two structures has, or that differ: the old ones, and the new ones."""
    if before is after:
        return [], []
    unchanged = set(map(id, before.tables)) & set(map(id, after.tables))
    old, new = ({table.id: table for table in it.tables if id(table) not in unchanged} for it in (before, after))
    return (
        [table for name, table in old.items() if new.get(name) != table],
        [table for name, table in new.items() if old.get(name) != table],
    )


@dataclass(frozen=True, slots=True)
class _Dependencies:
    """What leads from a table to others, in lower case."""

    foreign_keys: tuple[tuple[str, bool], ...]  # the tables they refer to, and whether they have actions
    types: frozenset[str]  # the words of its columns' types
    names_in_triggers: frozenset[str]  # the names in its triggers and rules


@cache_by_identity()
def _dependencies(table: Table, dialect: Dialect) -> _Dependencies:
    references = [it.references for it in table.constraints if it.references]
    return _Dependencies(
        tuple((it.table.lower(), _has_action(it)) for it in references),
        frozenset().union(*(names_in(column.type, dialect) for column in table.columns)),
        _names_in_triggers(table, dialect),
    )


def _has_action(reference: Reference) -> bool:
    return not {reference.on_delete, reference.on_update} <= _ACTIONS_WITHOUT_WRITES


class SchemaIndex:
    """A snapshot, indexed by names."""

    def __init__(self, schema: Snapshot, dialect: Dialect) -> None:
        self.schema, self._dialect = schema, dialect
        self.tables: dict[str, list[Table]] = defaultdict(list)
        for table in schema.tables:
            self.tables[table.name.lower()].append(table)
        self.views: dict[str, list[View]] = defaultdict(list)
        for view in schema.views:
            self.views[view.name.lower()].append(view)
        self.routines: dict[str, list[str]] = defaultdict(list)
        for routine in schema.functions:
            self.routines[routine.name.lower()].append(routine.definition)

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of tables, views and routines."""
        return frozenset(self.tables) | frozenset(self.views) | frozenset(self.routines)

    @cached_property
    def inheritance(self) -> dict[str, set[str]]:
        """For each table, its partitions, the tables that inherit from it, and those that it belongs to."""
        found: dict[str, set[str]] = defaultdict(set)
        for table in self.schema.tables:
            for parent in map(_unqualified_name, table.inherits):
                found[parent].add(table.name.lower())
                found[table.name.lower()].add(parent)
        return found

    @cached_property
    def children(self) -> dict[str, set[tuple[str, bool]]]:
        """For each table, those with foreign keys to it, and whether these have actions."""
        found: dict[str, set[tuple[str, bool]]] = defaultdict(set)
        for table in self.schema.tables:
            for parent, acts in _dependencies(table, self._dialect).foreign_keys:
                found[parent].add((table.name.lower(), acts))
        return found


def reachable_names(
    index: SchemaIndex, names: set[str], dialect: Dialect, *, follows_foreign_keys: bool = False
) -> set[str] | None:
    """Return these names with all names that they lead to, None if a routine may lead anywhere.

    With `follows_foreign_keys`, rows are not only inserted, so foreign keys act, too.
    """
    found: set[str] = set()
    frontier = names & index.names
    while frontier:
        found |= frontier
        reached: set[str] = set()
        for name in frontier:
            reached |= index.inheritance.get(name, set())
            reached |= {child for child, acts in index.children.get(name, ()) if acts and follows_foreign_keys}
            reached.update(*_names_in_executed_code(index, name, dialect))
            if any(has_unknown_effects(text, dialect) for text in index.routines.get(name, ())):
                return None
        frontier = (reached & index.names) - found
    if not follows_foreign_keys and found != names & index.names:
        # What happens to the rows of the names that were reached is unknown: they may be updated or deleted.
        return reachable_names(index, found, dialect, follows_foreign_keys=True)
    return found


def _names_in_executed_code(index: SchemaIndex, name: str, dialect: Dialect) -> Iterator[frozenset[str]]:
    """Yield the names in the code that runs when rows of a table or view are written, or a routine is called."""
    for table in index.tables.get(name, ()):
        yield _dependencies(table, dialect).names_in_triggers
        if index.routines:
            yield _names_in_expressions(table, dialect)
    for view in index.views.get(name, ()):
        yield names_in(view.definition, dialect)
        yield _names_in_triggers(view, dialect)
    for text in index.routines.get(name, ()):
        yield names_in(text, dialect)


@cache_by_identity(max_entries=8)
def schema_index(schema: Snapshot, dialect: Dialect) -> SchemaIndex:
    """Return a snapshot's index, made once."""
    return SchemaIndex(schema, dialect)


@cache_by_identity()
def _names_in_expressions(table: Table, dialect: Dialect) -> frozenset[str]:
    """Return the names in expressions that are evaluated when a row of a table is written."""
    texts = [it.definition for it in table.constraints] + [it.definition for it in table.indexes]
    texts += [text for column in table.columns for text in (column.default, column.generated) if text]
    texts += [text for it in table.policies for text in (it.using, it.check) if text]
    return frozenset().union(*(names_in(text, dialect) for text in texts))


def _names_in_triggers(table: Table | View, dialect: Dialect) -> frozenset[str]:
    texts = [it.definition for it in table.triggers] + [it.definition for it in table.rules]
    return frozenset().union(*(names_in(text, dialect) for text in texts))


def _changed_types(before: Snapshot, after: Snapshot) -> set[str]:
    """Return the names of types that have changed, or that are made of such types."""
    old, new = _types_by_name(before), _types_by_name(after)
    changed = {name for name in old.keys() & new.keys() if old[name] != new[name]}
    texts = [(name, repr(it).lower()) for types in (old, new) for name, it in types.items()] if changed else []
    size = 0
    while size != len(changed):
        size = len(changed)
        changed |= {name for name, text in texts if any(it in text for it in changed)}
    return changed


def _types_by_name(schema: Snapshot) -> dict[str, object]:
    """Return the user-defined types of a schema."""
    definitions = (schema.enums, schema.domains, schema.composites, schema.ranges)
    return {it.name.lower(): it for kind in definitions for it in kind}


def _unqualified_name(name: str) -> str:
    """Return the last part of a name as SQL writes it, without quotes."""
    return name.rpartition(".")[2].strip('"').lower()
