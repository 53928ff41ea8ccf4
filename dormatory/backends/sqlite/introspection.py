"""The structure of a SQLite database, from sqlite_schema and PRAGMA table_xinfo together."""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from typing import TYPE_CHECKING, Any

from dormatory.backends.sqlite.builder import Builder
from dormatory.backends.sqlite.catalog import Memory, Object
from dormatory.backends.sqlite.table import ColumnRow
from dormatory.schema.snapshot_cache import Shelf

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy import Connection

    from dormatory.schema.snapshot import Snapshot

NOT_COMPARED = ("PRAGMA application_id", "PRAGMA user_version", "names of NOT NULL constraints")

# An index without SQL belongs to a constraint.  Tables named sqlite_* are SQLite's own (statistics, sequences).
_OWN = r"sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\'"
# A trigger that cannot be read moves with its table, if SQLite is told to look away, and its text stays as it is.
_STATEMENTS = f"SELECT rowid, tbl_name || ' ' || sql FROM main.sqlite_schema WHERE {_OWN} ORDER BY rowid"  # noqa: S608
_OBJECTS = f"SELECT rowid, type, name, tbl_name, sql FROM main.sqlite_schema WHERE {_OWN}"  # noqa: S608
# A view whose table is gone, or a virtual table whose module is not loaded, makes table_xinfo fail: neither is asked.
_COLUMNS = rf"""
SELECT m.name, x.name, x.type, x."notnull", x.dflt_value, x.pk, x.hidden
FROM (SELECT name, type, sql FROM main.sqlite_schema WHERE {_OWN}) AS m, pragma_table_xinfo(m.name, 'main') AS x
WHERE m.type = 'table' AND m.sql NOT LIKE 'create virtual%'"""  # noqa: S608
_SHADOWS = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'"
_HAS_TABLE_LIST = "SELECT count(*) FROM pragma_pragma_list WHERE name = 'table_list'"  # since 3.37
_SHADOW_ENDS = ("config", "content", "data", "docsize", "idx", "node", "parent", "rowid", "segdir", "segments", "stat")
_ASKED_AT_ONCE = 100  # tables: SQLite allows 999 parameters in one statement


class SQLiteReader:
    """Reads the structure again and again, and only what changed since the last time."""

    def __init__(self, ignore: Collection[str]) -> None:
        self._ignore = frozenset(name.lower().removeprefix("main.") for name in ignore)
        self._shelf = Shelf(namespaces=False)
        self._statements: dict[int, str] = {}
        self._version, self._is_told = -1, True
        self._memory: Memory | None = None

    def read(self, connection: Connection) -> Snapshot:
        """Return the structure, the very same objects where nothing changed."""
        version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
        statements = dict(_asked(connection, _STATEMENTS))
        if self._memory is not None and statements == self._statements:
            return self._shelf.snapshot
        memory, self._memory = self._memory, None
        changed = [key for key, sql in statements.items() if self._statements.get(key) != sql]
        gone = self._statements.keys() - statements.keys()
        # Who writes to sqlite_schema without a word to SQLite has the columns of before, until nobody knows when.
        self._is_told &= version != self._version
        self._statements, self._version = statements, version
        if memory is None or not self._is_told or not self._follow(connection, memory, changed, gone):
            memory = self._read_all(connection)
        self._memory = memory if self._is_told else None
        return self._shelf.snapshot

    def _follow(self, connection: Connection, memory: Memory, changed: Sequence[int], gone: Collection[int]) -> bool:
        """Read again what changed; return whether that was possible: what is virtual has shadows elsewhere."""
        objects = _objects(connection, changed)
        if memory.has_virtual or any(it.is_virtual for it in objects.values()):
            return False
        tables = [it.name for it in objects.values() if it.type == "table"]
        columns: dict[str, list[ColumnRow]] = {name: [] for name in tables}
        for place in range(0, len(tables), _ASKED_AT_ONCE):
            some = tables[place : place + _ASKED_AT_ONCE]
            for row in _asked(connection, f"{_COLUMNS} AND m.name IN ({', '.join('?' * len(some))})", *some):
                columns[row[0]].append(ColumnRow(*row))
        self._build(memory, memory.renew(objects, columns, gone))
        return True

    def _read_all(self, connection: Connection) -> Memory:
        objects = _objects(connection)
        columns: dict[str, list[ColumnRow]] = defaultdict(list)
        for row in _asked(connection, _COLUMNS):
            columns[row[0]].append(ColumnRow(*row))
        memory = Memory(self._ignore | _shadows(connection, objects.values()))
        self._build(memory, memory.renew(objects, columns, ()) | set(self._shelf.names("relation")))
        return memory

    def _build(self, memory: Memory, stale: Iterable[str]) -> None:
        builder = Builder(memory)
        for name in stale:
            self._shelf.put(("relation", name), builder.relation(name))
        self._shelf.take((*NOT_COMPARED, *memory.unread.values()))


def reflect(connection: Connection, ignore: Collection[str]) -> Snapshot:
    """Return the structure of the connected SQLite database; it only reads."""
    return SQLiteReader(ignore).read(connection)


def _asked(connection: Connection, query: str, *parameters: Any) -> list[Any]:
    """Return plain rows: there are many, and SQLAlchemy's own take as long again as the reading."""
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())


def _objects(connection: Connection, keys: Sequence[int] | None = None) -> dict[int, Object]:
    limit = "" if keys is None else f" AND rowid IN ({', '.join(map(str, keys))})"
    return {row[0]: Object(*row[1:]) for row in _asked(connection, _OBJECTS + limit)}


def _shadows(connection: Connection, objects: Iterable[Object]) -> set[str]:
    """Return the tables in which virtual tables keep their content, in small letters."""
    virtual = [it.name.lower() for it in objects if it.is_virtual]
    if not virtual:
        return set()
    if connection.exec_driver_sql(_HAS_TABLE_LIST).scalar_one():
        return {row[0].lower() for row in connection.exec_driver_sql(_SHADOWS)}
    return {f"{name}_{end}" for name in virtual for end in _SHADOW_ENDS}
