"""Which tables' rows a leg may have touched, told from its statements and the structure before and after them.

Whoever reads rows again only where they may have changed must not miss one, so this errs on the other side: a name
stands for every table of that name, and what is not understood touches everything.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from dormatory.migrations.memo import by_identity
from dormatory.migrations.touching import Effect, is_dynamic, names_in, said

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from dormatory.migrations.recording import Statement
    from dormatory.schema.snapshot import Reference, Snapshot, Table, View
    from dormatory.schema.tokens import Syntax

Id: TypeAlias = "tuple[str | None, str]"  # of a table: its namespace and name

# What happens to rows, and the words that tell so; what tells nothing may do anything.
_VERBS = {
    "add": {"copy", "insert"},
    "delete": {"delete", "drop", "merge", "replace", "truncate"},
    "update": {"merge", "update"},
}
_ALL = frozenset(_VERBS)
_WHATEVER = "truncate"  # empties the tables of all foreign keys, whatever they act on
_SLEEPING = frozenset({"NO ACTION", "RESTRICT"})
# Extensions none of whose functions writes rows of a table that is not its own.
_TAMED = """btree_gin btree_gist citext cube earthdistance fuzzystrmatch hstore intarray isn ltree moddatetime
pg_stat_statements pg_trgm pgcrypto plpgsql postgis postgis_topology seg tablefunc unaccent uuid-ossp vector"""
_TAME = frozenset(_TAMED.split())


def reached(statements: Iterable[Statement], before: Snapshot, after: Snapshot, syntax: Syntax) -> frozenset[Id] | None:
    """Return the tables whose rows may not be what they were, those that came or went included; None for any table.

    They are those whose structure changed, those that a statement names, and all that foreign keys with actions,
    triggers, rules, views, routines, partitions and inheritance lead to from there. A cursor of the driver's own, past
    SQLAlchemy, shows no statement: what it wrote is for the database to tell (`unheard`, `Touched.rows`).
    """
    leg = _Leg(before, after, syntax)
    names = leg.names(statements)
    if names is None:
        return None
    old, new = changes(before, after)
    changed = {(table.namespace, table.name) for table in (*old, *new)}
    return leg.ids(names | {name.lower() for _, name in changed}) | changed


def written(ids: Iterable[Id], schema: Snapshot, syntax: Syntax) -> frozenset[Id] | None:
    """Return the tables in which rows may be others once some were put into these; None for any table."""
    leg = _Leg(schema, schema, syntax)
    names = leg.closed({name.lower() for _, name in ids}, frozenset({"add"}))
    return None if names is None else leg.ids(names)


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

    links: tuple[tuple[str, frozenset[str]], ...]  # the tables its foreign keys name, and on what these act
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


def _acts(reference: Reference) -> frozenset[str]:
    ways = {"delete": reference.on_delete, "update": reference.on_update}
    return frozenset(verb for verb, action in ways.items() if action not in _SLEEPING)


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
    def children(self) -> dict[str, set[tuple[str, frozenset[str]]]]:
        """For each table those with foreign keys to it, and on what these act."""
        found: dict[str, set[tuple[str, frozenset[str]]]] = defaultdict(set)
        for table in self.schema.tables:
            for parent, acts in _facts(table, self._syntax).links:
                found[parent].add((table.name.lower(), acts))
        return found


class _Leg:
    """The structure before and after some statements."""

    def __init__(self, before: Snapshot, after: Snapshot, syntax: Syntax) -> None:
        self._syntax = syntax
        self.before = _structure(before, syntax)
        self.after = self.before if after is before else _structure(after, syntax)
        self._both = (self.before,) if after is before else (self.before, self.after)

    def names(self, statements: Iterable[Statement]) -> set[str] | None:
        """Return the names of all tables that the statements may have touched, None for any."""
        if any("event trigger" in it.kind for both in self._both for it in both.schema.others):
            return None  # every change of the structure runs it
        found: set[str] = set()
        verbs: set[str] = set()
        for statement in statements:
            text = said(statement.sql, self._syntax)
            effect = self._effect(text.effect, text.names)
            if effect is Effect.ANYTHING:
                return None
            if effect is not Effect.NOTHING and (statement.line or self._knows(text.names)):
                found |= text.names  # without a line it is Alembic's own book-keeping
                if effect is not Effect.SHAPES:
                    verbs |= {verb for verb, words in _VERBS.items() if words & text.names} or _ALL
                if {"truncate", "cascade"} <= text.names:
                    verbs |= {_WHATEVER}
        if verbs and self._is_wild():
            return None
        found |= self._of_types(found)
        return self.closed(found, frozenset(verbs))

    def ids(self, names: Iterable[str]) -> frozenset[Id]:
        """Return the tables of these names, in any namespace and in both structures."""
        tables = (table for it in self._both for name in names for table in it.tables.get(name, ()))
        return frozenset((table.namespace, table.name) for table in tables)

    def _effect(self, effect: Effect, names: frozenset[str]) -> Effect:
        """Return what a statement does when what it names may run a routine."""
        if effect not in {Effect.READS, Effect.SHAPES}:
            return effect
        calls = any(names & (it.routines.keys() | it.views.keys()) for it in self._both if it.routines)
        if calls or (effect is Effect.READS and self._is_wild() and self._knows(names)):
            return Effect.WRITES
        return Effect.NOTHING if effect is Effect.READS else effect

    def _knows(self, names: frozenset[str]) -> bool:
        return any(names & it.known for it in self._both)

    def _is_wild(self) -> bool:
        """Tell whether functions may be called that no snapshot holds and that write."""
        return any(it.name not in _TAME for both in self._both for it in both.schema.extensions)

    def _of_types(self, names: Collection[str]) -> set[str]:
        """Return the tables with columns of a type that changed or is spoken of: a label may have another name now."""
        old, new = (_types(it.schema) for it in (self.before, self.after))
        changed = {name for name in old.keys() & new.keys() if old[name] != new[name]}
        if "type" in names or "domain" in names:
            changed |= (old.keys() | new.keys()) & set(names)
        if not changed:
            return set()
        texts = [(name, repr(it).lower()) for types in (old, new) for name, it in types.items()]
        size = 0
        while size != len(changed):  # a type made of changed ones has changed
            size = len(changed)
            changed |= {name for name, text in texts if any(it in text for it in changed)}
        tables = (table for it in self._both for table in it.schema.tables)
        return {table.name.lower() for table in tables if _facts(table, self._syntax).types & changed}

    def closed(self, names: Collection[str], verbs: frozenset[str]) -> set[str] | None:
        """Return the names of what has rows with all those that they lead to, None where a routine may lead anywhere.

        `verbs` are what happens to rows; without any, triggers and foreign keys sleep.
        """
        known = set[str]().union(*(it.known for it in self._both))
        found: set[str] = set()
        fresh = known.intersection(names)
        while fresh:
            found |= fresh
            led: set[str] = set()
            for name in fresh:
                for it in self._both:
                    led |= it.heirs.get(name, set())
                    if verbs:
                        led |= {
                            child for child, acts in it.children.get(name, ()) if acts & verbs or _WHATEVER in verbs
                        }
                        led.update(*self._awake(it, name))
                        if any(is_dynamic(text, self._syntax) for text in it.routines.get(name, ())):
                            return None
            fresh = (led & known) - found
        if verbs and not verbs >= _ALL and not found.issubset(names):
            return self.closed(found, verbs | _ALL)  # nobody knows what happens to the rows of those
        return found

    def _awake(self, structure: _Structure, name: str) -> Iterator[frozenset[str]]:
        """Yield the names in what runs when rows are written under a name."""
        for table in structure.tables.get(name, ()):
            yield _facts(table, self._syntax).attached
            if structure.routines:
                yield _called(table, self._syntax)
        for view in structure.views.get(name, ()):
            yield names_in(view.definition, self._syntax)
            yield _attached(view, self._syntax)
        for text in structure.routines.get(name, ()):
            yield names_in(text, self._syntax)


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


def _types(schema: Snapshot) -> dict[str, object]:
    """Return the types made in a schema."""
    made = (schema.enums, schema.domains, schema.composites, schema.ranges)
    return {it.name.lower(): it for kind in made for it in kind}


def _bare(name: str) -> str:
    """Return the last part of a name as SQL writes it, without quotes."""
    return name.rpartition(".")[2].strip('"').lower()
