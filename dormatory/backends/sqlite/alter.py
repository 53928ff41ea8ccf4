"""The SQL that turns one structure of an SQLite database into another (see parts.Alter).

SQLite adds and drops plain columns (see column_change.py); every other change of a table is a rebuild (see rebuild.py).
A view or trigger that mentions a table which is rebuilt is dropped first and created again last: SQLite renames no
table, and drops no column, as long as one of them cannot be resolved.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from dormatory.backends.sqlite.column_change import find_column_change, without_parts
from dormatory.backends.sqlite.conversion import type_conversion
from dormatory.backends.sqlite.definitions import create_index, create_table, create_trigger, create_view
from dormatory.backends.sqlite.dialect import DIALECT
from dormatory.backends.sqlite.occupied_tables import occupy_tables
from dormatory.backends.sqlite.rebuild import rebuild_statements
from dormatory.schema.alteration import AlterStatement
from dormatory.sql.lexer import tokenize
from dormatory.sql.literals import quote_literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from dormatory.backends.sqlite.column_change import ColumnChange
    from dormatory.schema.alteration import ColumnId, Conversions
    from dormatory.schema.snapshot import Snapshot, Table, Trigger, View

__all__ = ["alter_statements", "occupy_tables", "type_conversion"]

_NO_CONVERSIONS: Mapping[ColumnId, str] = {}
_quote = DIALECT.quote_identifier


def alter_statements(
    before: Snapshot, after: Snapshot, conversions: Conversions = _NO_CONVERSIONS
) -> tuple[AlterStatement, ...]:
    """Return statements that give a database with the structure `before` the structure `after` (see parts.Alter).

    They may run in a transaction. Foreign keys should not be enforced, as in the migrations of this workflow: where
    they are, and a table has rows that refers to a rebuilt or dropped one, the first statement fails, because DROP
    TABLE would delete those rows.
    """
    return tuple(AlterStatement(sql) for sql in _Alteration(before, after, conversions).statements())


class _Alteration:
    """What stays, what goes and what comes; tables and views by their names in small letters.

    Virtual tables are left alone.
    """

    def __init__(self, before: Snapshot, after: Snapshot, conversions: Conversions) -> None:
        self._old = {table.name.lower(): table for table in before.tables if table.kind == "table"}
        self._new = {table.name.lower(): table for table in after.tables if table.kind == "table"}
        self._old_views = {view.name.lower(): view for view in before.views}
        self._new_views = {view.name.lower(): view for view in after.views}
        self._conversions: dict[str, dict[str, str]] = {}
        for ((_, table), column), expression in conversions.items():
            self._conversions.setdefault(table.lower(), {})[column] = expression
        self._removed = self._old.keys() - self._new.keys()
        changed = [name for name in self._old.keys() & self._new.keys() if self._is_changed(name)]
        self._changes = {name: self._column_change(name) for name in changed}
        self._rebuilt = {name for name in changed if self._changes[name] is None}
        dropping = {name for name, change in self._changes.items() if change and change.dropped}
        self._unresolved = self._with_views(self._rebuilt | self._removed | dropping)

    def statements(self) -> Iterator[str]:
        """Yield the statements in their order."""
        yield from self._guards()
        yield from self._drop_views_and_triggers()
        yield from self._drop_indexes()
        yield from (create_table(self._new[name]) for name in sorted(self._new.keys() - self._old.keys()))
        order = _children_first(self._old)
        for name in (name for name in order if name in self._changes):
            old, new, change = self._old[name], self._new[name], self._changes[name]
            conversions = self._conversions.get(name, {})
            yield from change.statements(new) if change else rebuild_statements(old, new, conversions)
        yield from (f"DROP TABLE {_quote(self._old[name].name)}" for name in order if name in self._removed)
        yield from self._create_indexes()
        yield from self._create_views_and_triggers()

    def _is_changed(self, name: str) -> bool:
        return name in self._conversions or without_parts(self._old[name]) != without_parts(self._new[name])

    def _column_change(self, name: str) -> ColumnChange | None:
        return None if name in self._conversions else find_column_change(self._old[name], self._new[name])

    def _with_views(self, names: Collection[str]) -> set[str]:
        """Return names with those of the views that mention one of them, directly or not."""
        found, unresolved = set[str](), set(names)
        while unresolved != found:
            found = set(unresolved)
            unresolved |= {name for name, view in self._old_views.items() if _mentions(view.definition, found)}
        return found

    def _guards(self) -> Iterator[str]:
        """Yield a statement that fails, for each table whose DROP TABLE would delete or change rows of others."""
        for name in sorted(self._rebuilt | self._removed):
            children = sorted(
                child.name
                for key, child in self._new.items()
                if key != name and key in self._old and name in _parents(child)
            )
            if children:
                yield _refuse_enforced_keys(self._old[name].name, children)

    def _dropped_views(self) -> set[str]:
        """Return the views that go, with their triggers, for good or until the end."""
        changed = {
            name
            for name, view in self._old_views.items()
            if name not in self._new_views or view.definition != self._new_views[name].definition
        }
        return changed | (self._unresolved & self._old_views.keys())

    def _kept_triggers(self) -> set[Trigger]:
        """Return the triggers that nothing happens to."""
        old = _triggers(self._old, self._without(self._dropped_views()))
        new = {trigger for _, trigger in _triggers(self._new, self._new_views)}
        return {trigger for _, trigger in old if trigger in new and not _mentions(trigger.definition, self._unresolved)}

    def _drop_views_and_triggers(self) -> Iterator[str]:
        views, kept = self._dropped_views(), self._kept_triggers()
        old = _triggers(self._old, self._without(views))
        yield from (f"DROP TRIGGER {_quote(name)}" for name, trigger in old if trigger not in kept)
        yield from (f"DROP VIEW {_quote(self._old_views[name].name)}" for name in sorted(views))

    def _create_views_and_triggers(self) -> Iterator[str]:
        views, kept = self._without(self._dropped_views()), self._kept_triggers()
        yield from (create_view(view) for name, view in sorted(self._new_views.items()) if name not in views)
        new = _triggers(self._new, self._new_views)
        yield from (create_trigger(trigger) for _, trigger in new if trigger not in kept)

    def _without(self, dropped: Collection[str]) -> dict[str, View]:
        return {name: view for name, view in self._old_views.items() if name not in dropped}

    def _drop_indexes(self) -> Iterator[str]:
        for name in sorted(self._old.keys() & self._new.keys() - self._rebuilt):
            kept = self._new[name].indexes
            yield from (f"DROP INDEX {_quote(it.name)}" for it in self._old[name].indexes if it not in kept)

    def _create_indexes(self) -> Iterator[str]:
        for name, table in sorted(self._new.items()):
            kept = self._old[name].indexes if name in self._old and name not in self._rebuilt else ()
            yield from (create_index(table, it) for it in table.indexes if it not in kept)


def _triggers(tables: Mapping[str, Table], views: Mapping[str, View]) -> list[tuple[str, Trigger]]:
    """Return the triggers of tables and views with their names, sorted."""
    of_tables = (it for table in tables.values() for it in table.triggers)
    of_views = (it for view in views.values() for it in view.triggers)
    return sorted(((it.name, it) for it in (*of_tables, *of_views)), key=lambda named: named[0])


def _mentions(definition: str, names: Collection[str]) -> bool:
    """Return whether the text of a view or a trigger may refer to a table or view with one of these names."""
    return any(token.text.lower() in names for token in tokenize(definition, DIALECT))


def _parents(table: Table) -> set[str]:
    """Return the tables that the foreign keys of a table refer to, in small letters."""
    return {it.references.table.lower() for it in table.constraints if it.references}


def _children_first(tables: Mapping[str, Table]) -> list[str]:
    """Return the names in an order in which a table stands before those that it refers to, as far as there is one."""
    names = sorted(tables)
    children = {name: [it for it in names if it != name and name in _parents(tables[it])] for name in names}
    try:
        return list(TopologicalSorter(children).static_order())
    except CycleError:
        return names


def _refuse_enforced_keys(table: str, children: Collection[str]) -> str:
    """Return a statement that fails, with its text as the error, where rows refer to a table and that is enforced."""
    message = f"PRAGMA foreign_keys is on: to drop {table} would delete rows of {', '.join(children)}"
    rows = " OR ".join(f"EXISTS (SELECT 1 FROM {_quote(child)})" for child in children)  # noqa: S608  # quoted
    error = f"json_extract('{{}}', {quote_literal(message)})"
    return f"SELECT {error} FROM pragma_foreign_keys WHERE foreign_keys AND ({rows})"  # noqa: S608  # quoted
