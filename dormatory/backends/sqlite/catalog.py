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
        schema_rows = (self._objects[key] for key in self._parts.get(name.lower(), ()))
        return sorted((it for it in schema_rows if it.type == kind), key=lambda it: it.name)

    def parent(self, name: str) -> tuple[str, tuple[str, ...]]:
        """Return the name of a foreign key's parent as it was created, and the columns of its primary key."""
        schema_row = self.relations.get(name.lower())
        keys = sorted((row.key, row.name) for row in self.columns(name) if row.key)
        is_table = schema_row is not None and schema_row.type == "table"
        return schema_row.name if schema_row is not None and is_table else name, tuple(column for _, column in keys)

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
        self._columns |= {name.lower(): rows for name, rows in columns.items()}
        for key, schema_row in objects.items():
            self._add(key, schema_row)
        affected += objects.values()
        tables = {schema_row.name.lower() for schema_row in affected if schema_row.type == "table"}
        keys = {key for name in tables for key in self._referencing.get(name, ())}
        keys |= {
            key
            for name, count in self._previous_counts.items()
            if bool(count) != bool(self.name_counts[name])
            for key in self._ambiguous.get(name, ())
        }
        return {schema_row.table.lower() for schema_row in affected} | {
            self._objects[key].table.lower() for key in keys
        }

    def _add(self, key: int, schema_row: SQLiteSchemaRow) -> None:
        self._objects[key] = schema_row
        self._register(key, 1)
        if schema_row.type in _RELATION_KINDS and schema_row.table.lower() not in self._ignored:
            self.relations[schema_row.name.lower()] = schema_row

    def _remove(self, key: int) -> None:
        self._register(key, -1)
        schema_row = self._objects.pop(key)
        if schema_row.type in _RELATION_KINDS:
            self.relations.pop(schema_row.name.lower(), None)
            self._columns.pop(schema_row.name.lower(), None)

    def _register(self, key: int, sign: int) -> None:
        """Add an object to the registers, or remove it with -1."""
        schema_row = self._objects[key]
        if schema_row.type == "table":
            own = [row.name.lower() for row in self.columns(schema_row.name)]
            own += [schema_row.name.lower()] * (schema_row.table.lower() not in self._ignored)
            for name in own:
                self._previous_counts.setdefault(name, self.name_counts[name])
                self.name_counts[name] += sign
        entries = [(self._parts, schema_row.table.lower())] * (schema_row.type not in _RELATION_KINDS)
        entries += [(self._referencing, name) for name in _referenced_tables(schema_row)]
        entries += [(self._ambiguous, name) for name in _ambiguous_names(schema_row)]
        for register, name in entries:
            (register[name].add if sign > 0 else register[name].discard)(key)
        if schema_row.is_virtual:
            (self._virtual.add if sign > 0 else self._virtual.discard)(key)


def _referenced_tables(schema_row: SQLiteSchemaRow) -> Iterator[str]:
    """Yield the parents of a table's foreign keys, in lower case."""
    if schema_row.type == "table" and not schema_row.is_virtual:
        try:
            parts = parse_table(schema_row.sql).constraints
        except SQLParseError:
            return
        yield from {part.table.lower() for part in parts if part.table}


def _ambiguous_names(schema_row: SQLiteSchemaRow) -> Iterator[str]:
    """Yield, in lower case, quoted texts with capitals that are strings unless an object has that name."""
    if schema_row.type in _KINDS_WITH_BODY:
        tokens = tokenize(schema_row.sql, DIALECT)
        yield from {token.text.lower() for token in tokens if token.quote == '"' and token.text != token.text.lower()}
