"""The structure of a SQLite database, from sqlite_schema and PRAGMA table_xinfo together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from dormatory.schema.cursor import UnreadableError
from dormatory.schema.snapshot import Index, Snapshot, Table, Trigger, View
from dormatory.schema.sqlite_ddl import parse_table
from dormatory.schema.sqlite_table import ColumnRow, written_table
from dormatory.schema.tokens import Kind, Syntax, Token, canonical, render, tokenize

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

NOT_COMPARED = ("PRAGMA application_id", "PRAGMA user_version", "names of NOT NULL constraints")

# An index without SQL belongs to a constraint.  Tables named sqlite_* are SQLite's own (statistics, sequences).
_OBJECTS = r"""
SELECT type, name, tbl_name, sql FROM main.sqlite_schema
WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY type, name"""
# A view whose table is gone, or a virtual table whose module is not loaded, makes table_xinfo fail: neither is asked.
_COLUMNS = r"""
SELECT m.name, x.name, x.type, x."notnull", x.dflt_value, x.pk, x.hidden
FROM main.sqlite_schema AS m, pragma_table_xinfo(m.name, 'main') AS x
WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\' AND m.sql NOT LIKE 'create virtual%'
ORDER BY m.name, x.cid"""
_SHADOWS = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'"
_HAS_TABLE_LIST = "SELECT count(*) FROM pragma_pragma_list WHERE name = 'table_list'"  # since 3.37
_SHADOW_ENDS = ("config", "content", "data", "docsize", "idx", "node", "parent", "rowid", "segdir", "segments", "stat")


class _Object(NamedTuple):
    type: str
    name: str
    table: str
    sql: str


def reflect(connection: Connection, ignore: Collection[str]) -> Snapshot:
    """Return the structure of the connected SQLite database; it only reads."""
    objects = [_Object(*row) for row in connection.exec_driver_sql(_OBJECTS)]
    columns: dict[str, list[ColumnRow]] = defaultdict(list)
    for row in connection.exec_driver_sql(_COLUMNS):
        columns[row[0]].append(ColumnRow(*row))
    left_out = {name.lower().removeprefix("main.") for name in ignore} | _shadows(connection, objects)
    kept = [found for found in objects if found.table.lower() not in left_out]
    return _Reader(kept, columns).snapshot()


def _shadows(connection: Connection, objects: Sequence[_Object]) -> set[str]:
    """Return the tables in which virtual tables keep their content, in small letters."""
    virtual = [found.name.lower() for found in objects if _is_virtual(found)]
    if not virtual:
        return set()
    if connection.exec_driver_sql(_HAS_TABLE_LIST).scalar_one():
        return {row[0].lower() for row in connection.exec_driver_sql(_SHADOWS)}
    return {f"{name}_{end}" for name in virtual for end in _SHADOW_ENDS}


def _is_virtual(found: _Object) -> bool:
    return found.type == "table" and found.sql[:14].lower() == "create virtual"


class _Reader:
    """Builds the snapshot from the rows of the two statements."""

    def __init__(self, objects: Sequence[_Object], columns: dict[str, list[ColumnRow]]) -> None:
        self._objects, self._columns = objects, columns
        self._by_table: dict[str, list[_Object]] = defaultdict(list)
        for found in objects:
            self._by_table[found.table.lower()].append(found)
        self._tables = {found.name.lower(): found.name for found in objects if found.type == "table"}
        self._names = frozenset(self._tables) | {row.name.lower() for rows in columns.values() for row in rows}
        self._not_compared = list(NOT_COMPARED)

    def snapshot(self) -> Snapshot:
        tables = [self._table(found) for found in self._objects if found.type == "table"]
        views = [self._view(found) for found in self._objects if found.type == "view"]
        return Snapshot(
            tables=tuple(sorted(tables, key=lambda table: table.name)),
            views=tuple(sorted(views, key=lambda view: view.name)),
            not_compared=tuple(sorted(self._not_compared)),
        )

    def _view(self, found: _Object) -> View:
        definition = self._body(found, 3)
        return View(None, found.name, definition, triggers=self._triggers(found.name))

    def _body(self, found: _Object, words: int) -> str:
        """Return a statement without its first words, which name the object."""
        tokens = tokenize(found.sql, Syntax.SQLITE)[words:]
        return render((self._name_or_string(token) for token in tokens), Syntax.SQLITE)

    def _name_or_string(self, token: Token) -> Token:
        """Return a token as it is, but what may be a string in double quotes keeps its case."""
        unknown = token.quote == '"' and token.text.lower() not in self._names
        return Token(Kind.STRING, f'"{token.text}"') if unknown and token.text != token.text.lower() else token

    def _triggers(self, table: str) -> tuple[Trigger, ...]:
        return tuple(
            Trigger(found.name, self._body(found, 3))
            for found in self._by_table[table.lower()]
            if found.type == "trigger"
        )

    def _table(self, found: _Object) -> Table:
        if _is_virtual(found):
            return Table(None, found.name, "virtual table", definition=self._body(found, 4))
        rows = tuple(self._columns[found.name])
        try:
            text = parse_table(found.sql)
            parents = tuple((part.table, *self._keys_of(part.table)) for part in text.parts if part.table)
            indexes = tuple(
                (other.name, other.sql) for other in self._by_table[found.name.lower()] if other.type == "index"
            )
            table = written_table(found.name, rows, found.sql, indexes, parents)
        except UnreadableError:
            return self._unread(found, rows)
        triggers = self._triggers(found.name)
        return replace(table, triggers=triggers) if triggers else table

    def _unread(self, found: _Object, rows: Sequence[ColumnRow]) -> Table:
        """Return a table whose statement the parser does not know: its text stands for what is in it."""
        self._not_compared.append(f"constraints of table {found.name}, one by one: its statement could not be read")
        return Table(
            None,
            found.name,
            columns=tuple(row.column() for row in rows),
            indexes=tuple(
                Index(other.name, canonical(other.sql, Syntax.SQLITE))
                for other in self._by_table[found.name.lower()]
                if other.type == "index"
            ),
            triggers=self._triggers(found.name),
            definition=canonical(found.sql, Syntax.SQLITE),
        )

    def _keys_of(self, table: str) -> tuple[str, tuple[str, ...]]:
        """Return the true name of a table and the columns of its primary key."""
        name = self._tables.get(table.lower(), table)
        keys = sorted((row.key, row.name) for row in self._columns.get(name, ()) if row.key)
        return name, tuple(column for _, column in keys)
