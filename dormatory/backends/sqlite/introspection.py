"""Read the structure of a SQLite database from sqlite_schema and PRAGMA table_xinfo together."""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from typing import TYPE_CHECKING, Any

from dormatory.backends.schema_tracker import SchemaReading
from dormatory.backends.sqlite.builder import SQLiteObjectBuilder
from dormatory.backends.sqlite.catalog import SQLiteCatalogCache, SQLiteSchemaRow
from dormatory.backends.sqlite.table import TableXinfoRow
from dormatory.schema.snapshot_cache import SnapshotCache

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy import Connection

    from dormatory.schema.snapshot import Snapshot

SQLITE_NOT_COMPARED = ("PRAGMA application_id", "PRAGMA user_version", "names of NOT NULL constraints")

# An index without SQL belongs to a constraint.  Tables named sqlite_* are SQLite's own (statistics, sequences).
_USER_OBJECTS = r"sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\'"
# With legacy_alter_table, a trigger that SQLite cannot parse follows its renamed table without a change of its text.
_STATEMENTS = f"SELECT rowid, tbl_name || ' ' || sql FROM main.sqlite_schema WHERE {_USER_OBJECTS} ORDER BY rowid"  # noqa: S608
_SCHEMA_ROWS = f"SELECT rowid, type, name, tbl_name, sql FROM main.sqlite_schema WHERE {_USER_OBJECTS}"  # noqa: S608
# table_xinfo fails for a view without its table and for a virtual table without its module: both are left out.
_COLUMNS = rf"""
SELECT m.name, x.name, x.type, x."notnull", x.dflt_value, x.pk, x.hidden
FROM (SELECT name, type, sql FROM main.sqlite_schema WHERE {_USER_OBJECTS}) AS m,
    pragma_table_xinfo(m.name, 'main') AS x
WHERE m.type = 'table' AND m.sql NOT LIKE 'create virtual%'"""  # noqa: S608
_SHADOW_TABLES = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'"
_HAS_TABLE_LIST = "SELECT count(*) FROM pragma_pragma_list WHERE name = 'table_list'"  # since 3.37
_SHADOW_TABLE_SUFFIXES = (
    "config", "content", "data", "docsize", "idx", "node", "parent", "rowid", "segdir", "segments", "stat",
)  # fmt: skip
_TABLES_PER_QUERY = 100  # tables: SQLite allows 999 parameters in one statement


class SQLiteSchemaTracker:
    """Reads the structure repeatedly, each time only what changed since."""

    def __init__(self, ignore: Collection[str]) -> None:
        self._ignore = frozenset(name.lower().removeprefix("main.") for name in ignore)
        self._snapshot_cache = SnapshotCache(namespaces=False)
        self._statements: dict[int, str] = {}
        self._version, self._is_version_reliable = -1, True
        self._cache: SQLiteCatalogCache | None = None

    def begin(self, connection: Connection) -> None:
        """Do nothing: SQLite needs no start, `read` finds the changes itself."""

    def end(self, connection: Connection) -> bool:  # noqa: ARG002  # part of the protocol
        """Return False: a reading does not know which rows changed."""
        return False

    def read(self, connection: Connection) -> SchemaReading:
        """Return the structure, the same objects where nothing changed."""
        self._update(connection)
        return SchemaReading(self._snapshot_cache.snapshot)

    def _update(self, connection: Connection) -> None:
        version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
        statements = dict(_fetch_rows(connection, _STATEMENTS))
        if self._cache is not None and statements == self._statements:
            return
        cache, self._cache = self._cache, None
        changed = [key for key, sql in statements.items() if self._statements.get(key) != sql]
        removed = self._statements.keys() - statements.keys()
        # After a direct write to sqlite_schema SQLite shows the old columns, for an unknown time.
        self._is_version_reliable &= version != self._version
        self._statements, self._version = statements, version
        if cache is None or not self._is_version_reliable or not self._refresh(connection, cache, changed, removed):
            cache = self._read_all(connection)
        self._cache = cache if self._is_version_reliable else None

    def _refresh(
        self, connection: Connection, cache: SQLiteCatalogCache, changed: Sequence[int], removed: Collection[int]
    ) -> bool:
        """Read again what changed; return whether that was possible: a virtual table has shadow tables as well."""
        objects = _schema_rows(connection, changed)
        if cache.has_virtual_tables or any(it.is_virtual for it in objects.values()):
            return False
        tables = [it.name for it in objects.values() if it.type == "table"]
        columns: dict[str, list[TableXinfoRow]] = {name: [] for name in tables}
        for place in range(0, len(tables), _TABLES_PER_QUERY):
            some = tables[place : place + _TABLES_PER_QUERY]
            for row in _fetch_rows(connection, f"{_COLUMNS} AND m.name IN ({', '.join('?' * len(some))})", *some):
                columns[row[0]].append(TableXinfoRow(*row))
        self._build(cache, cache.update(objects, columns, removed))
        return True

    def _read_all(self, connection: Connection) -> SQLiteCatalogCache:
        objects = _schema_rows(connection)
        columns: dict[str, list[TableXinfoRow]] = defaultdict(list)
        for row in _fetch_rows(connection, _COLUMNS):
            columns[row[0]].append(TableXinfoRow(*row))
        cache = SQLiteCatalogCache(self._ignore | _shadow_tables(connection, objects.values()))
        self._build(cache, cache.update(objects, columns, ()) | set(self._snapshot_cache.keys("relation")))
        return cache

    def _build(self, cache: SQLiteCatalogCache, stale: Iterable[str]) -> None:
        builder = SQLiteObjectBuilder(cache)
        for name in stale:
            self._snapshot_cache.put(("relation", name), builder.relation(name))
        self._snapshot_cache.update_snapshot((*SQLITE_NOT_COMPARED, *cache.unread_tables.values()))


def read_catalog(connection: Connection, ignore: Collection[str]) -> Snapshot:
    """Return the structure of the connected SQLite database; it only reads."""
    return SQLiteSchemaTracker(ignore).read(connection).snapshot


def schema_tracker(ignore: Collection[str]) -> SQLiteSchemaTracker:
    """Return a reader of the structure that reads again only what changed."""
    return SQLiteSchemaTracker(ignore)


def _fetch_rows(connection: Connection, query: str, *parameters: Any) -> list[Any]:
    """Return the driver's rows: there are many, and making SQLAlchemy's rows of them takes as long as the reading."""
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())


def _schema_rows(connection: Connection, keys: Sequence[int] | None = None) -> dict[int, SQLiteSchemaRow]:
    limit = "" if keys is None else f" AND rowid IN ({', '.join(map(str, keys))})"
    return {row[0]: SQLiteSchemaRow(*row[1:]) for row in _fetch_rows(connection, _SCHEMA_ROWS + limit)}


def _shadow_tables(connection: Connection, objects: Iterable[SQLiteSchemaRow]) -> set[str]:
    """Return the tables in which virtual tables store their content, in lower case."""
    virtual = [it.name.lower() for it in objects if it.is_virtual]
    if not virtual:
        return set()
    if connection.exec_driver_sql(_HAS_TABLE_LIST).scalar_one():
        return {row[0].lower() for row in connection.exec_driver_sql(_SHADOW_TABLES)}
    return {f"{name}_{end}" for name in virtual for end in _SHADOW_TABLE_SUFFIXES}
