"""What sqlite_schema and PRAGMA table_xinfo answered, and which tables and views a change of it concerns."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from dormatory.backends.sqlite.ddl import parse_table
from dormatory.sql.cursor import UnreadableError
from dormatory.sql.lexer import Syntax, tokenize

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from dormatory.backends.sqlite.table import ColumnRow


_RELATIONS = frozenset({"table", "view"})
_WITH_BODY = frozenset({"trigger", "view"})


class Object(NamedTuple):
    """A row of sqlite_schema."""

    type: str
    name: str
    table: str
    sql: str

    @property
    def is_virtual(self) -> bool:
        """Whether this is a virtual table."""
        return self.type == "table" and self.sql[:14].lower() == "create virtual"


class Memory:
    """The rows, tables and views by their names in small letters."""

    def __init__(self, left_out: Collection[str]) -> None:
        self._left_out = frozenset(left_out)
        self._objects: dict[int, Object] = {}  # by rowid, as below
        self._columns: dict[str, list[ColumnRow]] = {}
        self._parts: dict[str, set[int]] = defaultdict(set)  # indexes and triggers by their table
        self._referring: dict[str, set[int]] = defaultdict(set)  # tables by what their foreign keys name
        self._doubtful: dict[str, set[int]] = defaultdict(set)  # views and triggers by what may be a string in them
        self._virtual: set[int] = set()
        self.relations: dict[str, Object] = {}  # tables and views
        self.names: Counter[str] = Counter()  # of tables and columns
        self._before: dict[str, int] = {}  # how often there were those names of which that changes
        self.unread: dict[str, str] = {}  # why tables could not be compared

    @property
    def has_virtual(self) -> bool:
        """Whether there is a virtual table."""
        return bool(self._virtual)

    def columns(self, name: str) -> list[ColumnRow]:
        """Return the columns of a table."""
        return self._columns.get(name.lower(), [])

    def parts(self, name: str, kind: str) -> list[Object]:
        """Return the indexes, or the triggers, of a table or view."""
        found = (self._objects[key] for key in self._parts.get(name.lower(), ()))
        return sorted((it for it in found if it.type == kind), key=lambda it: it.name)

    def parent(self, name: str) -> tuple[str, tuple[str, ...]]:
        """Return the true name of a table that a foreign key names, and the columns of its primary key."""
        found = self.relations.get(name.lower())
        keys = sorted((row.key, row.name) for row in self.columns(name) if row.key)
        is_table = found is not None and found.type == "table"
        return found.name if found is not None and is_table else name, tuple(column for _, column in keys)

    def renew(
        self, objects: Mapping[int, Object], columns: Mapping[str, list[ColumnRow]], gone: Collection[int]
    ) -> set[str]:
        """Take rows that are new or that changed, forget others; return the tables and views this concerns."""
        self._before = {}
        touched = [self._objects[key] for key in (*gone, *objects) if key in self._objects]
        for key in self._objects.keys() & {*gone, *objects}:
            self._forget(key)
        self._columns |= {name.lower(): its for name, its in columns.items()}
        for key, found in objects.items():
            self._take(key, found)
        touched += objects.values()
        tables = {found.name.lower() for found in touched if found.type == "table"}
        keys = {key for name in tables for key in self._referring.get(name, ())}
        keys |= {
            key
            for name, count in self._before.items()
            if bool(count) != bool(self.names[name])
            for key in self._doubtful.get(name, ())
        }
        return {found.table.lower() for found in touched} | {self._objects[key].table.lower() for key in keys}

    def _take(self, key: int, found: Object) -> None:
        self._objects[key] = found
        self._count(key, 1)
        if found.type in _RELATIONS and found.table.lower() not in self._left_out:
            self.relations[found.name.lower()] = found

    def _forget(self, key: int) -> None:
        self._count(key, -1)
        found = self._objects.pop(key)
        if found.type in _RELATIONS:
            self.relations.pop(found.name.lower(), None)
            self._columns.pop(found.name.lower(), None)

    def _count(self, key: int, sign: int) -> None:
        """Put an object into the registers, or take it out with -1."""
        found = self._objects[key]
        if found.type == "table":
            own = [row.name.lower() for row in self.columns(found.name)]
            own += [found.name.lower()] * (found.table.lower() not in self._left_out)
            for name in own:
                self._before.setdefault(name, self.names[name])
                self.names[name] += sign
        entries = [(self._parts, found.table.lower())] * (found.type not in _RELATIONS)
        entries += [(self._referring, name) for name in _parents(found)]
        entries += [(self._doubtful, name) for name in _doubts(found)]
        for register, name in entries:
            (register[name].add if sign > 0 else register[name].discard)(key)
        if found.is_virtual:
            (self._virtual.add if sign > 0 else self._virtual.discard)(key)


def _parents(found: Object) -> Iterator[str]:
    """Yield what a table's foreign keys name, in small letters."""
    if found.type == "table" and not found.is_virtual:
        try:
            parts = parse_table(found.sql).parts
        except UnreadableError:
            return
        yield from {part.table.lower() for part in parts if part.table}


def _doubts(found: Object) -> Iterator[str]:
    """Yield, in small letters, what is a string unless something has that name, and would keep its capitals."""
    if found.type in _WITH_BODY:
        tokens = tokenize(found.sql, Syntax.SQLITE)
        yield from {token.text.lower() for token in tokens if token.quote == '"' and token.text != token.text.lower()}
