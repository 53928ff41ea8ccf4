"""The rows of sqlite_schema and PRAGMA table_xinfo, and which tables and views a change of them affects."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from dormatory.backends.sqlite.ddl import parse_table
from dormatory.backends.sqlite.dialect import DIALECT
from dormatory.sql.cursor import SQLParseError
from dormatory.sql.lexer import tokenize

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from dormatory.backends.sqlite.table import TableXinfoRow


_RELATION_KINDS = frozenset({"table", "view"})
_KINDS_WITH_BODY = frozenset({"trigger", "view"})


class SQLiteSchemaRow(NamedTuple):
    """A row of sqlite_schema."""

    type: str
    name: str
    table: str
    sql: str

    @property
    def is_virtual(self) -> bool:
        """Whether this is a virtual table."""
        return self.type == "table" and self.sql[:14].lower() == "create virtual"


class SQLiteCatalogCache:
    """The rows; tables and views by their names in lower case."""

    def __init__(self, ignored: Collection[str]) -> None:
        self._ignored = frozenset(ignored)
        self._objects: dict[int, SQLiteSchemaRow] = {}  # by rowid, as below
        self._columns: dict[str, list[TableXinfoRow]] = {}
        self._parts: dict[str, set[int]] = defaultdict(set)  # indexes and triggers by their table
        self._referencing: dict[str, set[int]] = defaultdict(set)  # tables by the parents of their foreign keys
        self._ambiguous: dict[str, set[int]] = defaultdict(set)  # views and triggers by possible strings in them
        self._virtual: set[int] = set()
        self.relations: dict[str, SQLiteSchemaRow] = {}  # tables and views
        self.name_counts: Counter[str] = Counter()  # of tables and columns
        self._previous_counts: dict[str, int] = {}  # the counts of those names whose count changes, before
        self.unread_tables: dict[str, str] = {}  # why tables could not be compared

    @property
    def has_virtual_tables(self) -> bool:
        """Whether there is a virtual table."""
        return bool(self._virtual)

    def columns(self, name: str) -> list[TableXinfoRow]:
        """Return the columns of a table."""
        return self._columns.get(name.lower(), [])

    def parts(self, name: str, kind: str) -> list[SQLiteSchemaRow]:
        """Return the indexes, or the triggers, of a table or view."""
        found = (self._objects[key] for key in self._parts.get(name.lower(), ()))
        return sorted((it for it in found if it.type == kind), key=lambda it: it.name)

    def parent(self, name: str) -> tuple[str, tuple[str, ...]]:
        """Return the name of a foreign key's parent as it was created, and the columns of its primary key."""
        found = self.relations.get(name.lower())
        keys = sorted((row.key, row.name) for row in self.columns(name) if row.key)
        is_table = found is not None and found.type == "table"
        return found.name if found is not None and is_table else name, tuple(column for _, column in keys)

    def update(
        self,
        objects: Mapping[int, SQLiteSchemaRow],
        columns: Mapping[str, list[TableXinfoRow]],
        removed: Collection[int],
    ) -> set[str]:
        """Add rows that are new or changed, remove others; return the tables and views that are affected."""
        self._previous_counts = {}
        affected = [self._objects[key] for key in (*removed, *objects) if key in self._objects]
        for key in self._objects.keys() & {*removed, *objects}:
            self._remove(key)
        self._columns |= {name.lower(): its for name, its in columns.items()}
        for key, found in objects.items():
            self._add(key, found)
        affected += objects.values()
        tables = {found.name.lower() for found in affected if found.type == "table"}
        keys = {key for name in tables for key in self._referencing.get(name, ())}
        keys |= {
            key
            for name, count in self._previous_counts.items()
            if bool(count) != bool(self.name_counts[name])
            for key in self._ambiguous.get(name, ())
        }
        return {found.table.lower() for found in affected} | {self._objects[key].table.lower() for key in keys}

    def _add(self, key: int, found: SQLiteSchemaRow) -> None:
        self._objects[key] = found
        self._register(key, 1)
        if found.type in _RELATION_KINDS and found.table.lower() not in self._ignored:
            self.relations[found.name.lower()] = found

    def _remove(self, key: int) -> None:
        self._register(key, -1)
        found = self._objects.pop(key)
        if found.type in _RELATION_KINDS:
            self.relations.pop(found.name.lower(), None)
            self._columns.pop(found.name.lower(), None)

    def _register(self, key: int, sign: int) -> None:
        """Add an object to the registers, or remove it with -1."""
        found = self._objects[key]
        if found.type == "table":
            own = [row.name.lower() for row in self.columns(found.name)]
            own += [found.name.lower()] * (found.table.lower() not in self._ignored)
            for name in own:
                self._previous_counts.setdefault(name, self.name_counts[name])
                self.name_counts[name] += sign
        entries = [(self._parts, found.table.lower())] * (found.type not in _RELATION_KINDS)
        entries += [(self._referencing, name) for name in _referenced_tables(found)]
        entries += [(self._ambiguous, name) for name in _ambiguous_names(found)]
        for register, name in entries:
            (register[name].add if sign > 0 else register[name].discard)(key)
        if found.is_virtual:
            (self._virtual.add if sign > 0 else self._virtual.discard)(key)


def _referenced_tables(found: SQLiteSchemaRow) -> Iterator[str]:
    """Yield the parents of a table's foreign keys, in lower case."""
    if found.type == "table" and not found.is_virtual:
        try:
            parts = parse_table(found.sql).constraints
        except SQLParseError:
            return
        yield from {part.table.lower() for part in parts if part.table}


def _ambiguous_names(found: SQLiteSchemaRow) -> Iterator[str]:
    """Yield, in lower case, quoted texts with capitals that are strings unless an object has that name."""
    if found.type in _KINDS_WITH_BODY:
        tokens = tokenize(found.sql, DIALECT)
        yield from {token.text.lower() for token in tokens if token.quote == '"' and token.text != token.text.lower()}
