"""Which tables' rows are others than they were, told from structures: where it changed, and where rows set off more.

Whoever reads rows again only where they may have changed must not miss one, so this errs on the other side: a name
stands for every table of that name, and what is not understood touches everything.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from dormatory.sql.names import is_dynamic, names_in
from dormatory.system.identity_cache import by_identity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from dormatory.schema.snapshot import Reference, Snapshot, Table, View
    from dormatory.sql.lexer import Syntax

Id: TypeAlias = "tuple[str | None, str]"  # of a table: its namespace and name

_SLEEPING = frozenset({"NO ACTION", "RESTRICT"})


def reshaped(before: Snapshot, after: Snapshot, syntax: Syntax) -> frozenset[Id]:
    """Return the tables that came, went or changed their structure, those with columns of a changed type included."""
    old, new = changes(before, after)
    types = _changed_types(before, after)
    if types:
        old += [table for table in before.tables if _facts(table, syntax).types & types]
        new += [table for table in after.tables if _facts(table, syntax).types & types]
    return frozenset((table.namespace, table.name) for table in (*old, *new))


def written(ids: Iterable[Id], schema: Snapshot, syntax: Syntax) -> frozenset[Id] | None:
    """Return the tables in which rows may be others once some were put into these; None for any table.

    They are those that triggers, rules, views, routines, partitions and inheritance lead to, and the foreign keys with
    actions from there.
    """
    there = _structure(schema, syntax)
    names = _closed(there, {name.lower() for _, name in ids}, syntax)
    if names is None:
        return None
    tables = (table for name in names for table in there.tables.get(name, ()))
    return frozenset((table.namespace, table.name) for table in tables)


def around(ids: Collection[Id], schema: Snapshot, syntax: Syntax) -> Iterator[Id]:
    """Yield these tables of a schema, those that a foreign key joins to them, and what these name in turn."""
    there = _structure(schema, syntax)
    names = {name.lower() for _, name in ids}
    names |= {child for name in names for child, _ in there.children.get(name, ())}
    joined = [table for name in names for table in there.tables.get(name, ())]
    names |= {parent for table in joined for parent, _ in _facts(table, syntax).links}
    yield from ((table.namespace, table.name) for name in names for table in there.tables.get(name, ()))


def found(ids: Iterable[Id], schema: Snapshot, syntax: Syntax) -> dict[Id, Table]:
    """Return those of some tables that a schema has."""
    there = _structure(schema, syntax).tables
    return {
        id_: table for id_ in ids for table in there.get(id_[1].lower(), ()) if (table.namespace, table.name) == id_
    }


def changes(before: Snapshot, after: Snapshot) -> tuple[list[Table], list[Table]]:
    """Return the tables that one structure has and the other has not, or not in this form: the old ones, the new."""
    if before is after:
        return [], []
    same = set(map(id, before.tables)) & set(map(id, after.tables))
    old, new = (
        {(table.namespace, table.name): table for table in it.tables if id(table) not in same} for it in (before, after)
    )
    return (
        [table for name, table in old.items() if new.get(name) != table],
        [table for name, table in new.items() if old.get(name) != table],
    )


@dataclass(frozen=True, slots=True)
class _Facts:
    """What leads from a table to others, all in small letters."""

    links: tuple[tuple[str, bool], ...]  # the tables its foreign keys name, and whether these act on anything
    types: frozenset[str]  # the words of its columns' types
    attached: frozenset[str]  # the names in its triggers and rules


@by_identity()
def _facts(table: Table, syntax: Syntax) -> _Facts:
    references = [it.references for it in table.constraints if it.references]
    return _Facts(
        tuple((it.table.lower(), _acts(it)) for it in references),
        frozenset().union(*(names_in(column.type, syntax) for column in table.columns)),
        _attached(table, syntax),
    )


def _acts(reference: Reference) -> bool:
    return not {reference.on_delete, reference.on_update} <= _SLEEPING


class _Structure:
    """A snapshot by the names in it."""

    def __init__(self, schema: Snapshot, syntax: Syntax) -> None:
        self.schema, self._syntax = schema, syntax
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
    def known(self) -> frozenset[str]:
        """The names of all that has rows or makes them."""
        return frozenset(self.tables) | frozenset(self.views) | frozenset(self.routines)

    @cached_property
    def heirs(self) -> dict[str, set[str]]:
        """For each table its partitions and heirs, and what it is one of."""
        found: dict[str, set[str]] = defaultdict(set)
        for table in self.schema.tables:
            for whole in map(_bare, table.inherits):
                found[whole].add(table.name.lower())
                found[table.name.lower()].add(whole)
        return found

    @cached_property
    def children(self) -> dict[str, set[tuple[str, bool]]]:
        """For each table those with foreign keys to it, and whether these act on anything."""
        found: dict[str, set[tuple[str, bool]]] = defaultdict(set)
        for table in self.schema.tables:
            for parent, acts in _facts(table, self._syntax).links:
                found[parent].add((table.name.lower(), acts))
        return found


def _closed(there: _Structure, names: set[str], syntax: Syntax, *, is_more: bool = False) -> set[str] | None:
    """Return the names of what has rows with all those that they lead to, None where a routine may lead anywhere.

    With `is_more` rows are not only added, so that foreign keys act, too.
    """
    found: set[str] = set()
    fresh = names & there.known
    while fresh:
        found |= fresh
        led: set[str] = set()
        for name in fresh:
            led |= there.heirs.get(name, set())
            led |= {child for child, acts in there.children.get(name, ()) if acts and is_more}
            led.update(*_awake(there, name, syntax))
            if any(is_dynamic(text, syntax) for text in there.routines.get(name, ())):
                return None
        fresh = (led & there.known) - found
    if not is_more and found != names & there.known:
        return _closed(there, found, syntax, is_more=True)  # nobody knows what happens to the rows of those
    return found


def _awake(structure: _Structure, name: str, syntax: Syntax) -> Iterator[frozenset[str]]:
    """Yield the names in what runs when rows are written under a name."""
    for table in structure.tables.get(name, ()):
        yield _facts(table, syntax).attached
        if structure.routines:
            yield _called(table, syntax)
    for view in structure.views.get(name, ()):
        yield names_in(view.definition, syntax)
        yield _attached(view, syntax)
    for text in structure.routines.get(name, ()):
        yield names_in(text, syntax)


@by_identity(most=8)
def _structure(schema: Snapshot, syntax: Syntax) -> _Structure:
    return _Structure(schema, syntax)


@by_identity()
def _called(table: Table, syntax: Syntax) -> frozenset[str]:
    """Return the names in expressions that are worked out when a row of a table is written."""
    texts = [it.definition for it in table.constraints] + [it.definition for it in table.indexes]
    texts += [text for column in table.columns for text in (column.default, column.generated) if text]
    texts += [text for it in table.policies for text in (it.using, it.check) if text]
    return frozenset().union(*(names_in(text, syntax) for text in texts))


def _attached(table: Table | View, syntax: Syntax) -> frozenset[str]:
    texts = [it.definition for it in table.triggers] + [it.definition for it in table.rules]
    return frozenset().union(*(names_in(text, syntax) for text in texts))


def _changed_types(before: Snapshot, after: Snapshot) -> set[str]:
    """Return the names of types that are made otherwise now, or of such ones."""
    old, new = _types(before), _types(after)
    changed = {name for name in old.keys() & new.keys() if old[name] != new[name]}
    texts = [(name, repr(it).lower()) for types in (old, new) for name, it in types.items()] if changed else []
    size = 0
    while size != len(changed):
        size = len(changed)
        changed |= {name for name, text in texts if any(it in text for it in changed)}
    return changed


def _types(schema: Snapshot) -> dict[str, object]:
    """Return the types made in a schema."""
    made = (schema.enums, schema.domains, schema.composites, schema.ranges)
    return {it.name.lower(): it for kind in made for it in kind}


def _bare(name: str) -> str:
    """Return the last part of a name as SQL writes it, without quotes."""
    return name.rpartition(".")[2].strip('"').lower()
