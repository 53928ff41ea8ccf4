"""Reduce an SQLite file to some rows of each table and all rows they refer to; the others are deleted."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.backends.sqlite.connection import sqlite_connection
from dormatory.backends.sqlite.dialect import DIALECT

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

_quote = DIALECT.quote_identifier
# Shadow tables of virtual tables, and views, are not changed. A column can hide one of the three names of the rowid.
_TABLES = """
SELECT t.name, CASE WHEN NOT t.wr THEN (SELECT n.column1 FROM (VALUES ('rowid'), ('oid'), ('_rowid_')) AS n
    WHERE n.column1 NOT IN (SELECT lower(c.name) FROM pragma_table_xinfo(t.name) AS c) LIMIT 1) END
FROM pragma_table_list AS t
WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY t.name"""
_REFERENCES = """
SELECT f.id, f."table", f."from", f."to" FROM pragma_foreign_key_list(?) AS f ORDER BY f.id, f.seq"""
# Knuth's multiplier chooses rows from the whole table, and the same ones each time.
_SAMPLE_ORDER = "({} * 2654435761) % 4294967296"


@dataclass(frozen=True, slots=True)
class _ForeignKey:
    """A foreign key: the columns of a child and those of its parent."""

    child: str
    parent: str
    columns: tuple[tuple[str, str], ...]


def reduce_to_sample(path: Path, rows: int, *, whole_table: str) -> tuple[str, ...]:
    """Leave at most so many rows in each table of a file, besides the rows that others refer to.

    `whole_table` keeps all rows, and so do tables without a rowid, whose names are returned.
    """
    with closing(sqlite_connection(path, wait_seconds=30)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        rowids: dict[str, str | None] = dict(connection.execute(_TABLES))
        sampled = {name for name, id_ in rowids.items() if id_ and name != whole_table.rpartition(".")[2]}
        connection.execute("BEGIN")
        for place, (name, id_) in enumerate(rowids.items()):
            connection.execute(f"CREATE TEMP TABLE kept_{place} (id INTEGER PRIMARY KEY, round INTEGER)")
            connection.execute(f"CREATE INDEX temp.ix_kept_{place} ON kept_{place} (round)")
            if id_:
                limit = f"ORDER BY {_SAMPLE_ORDER.format(id_)} LIMIT {rows}" if name in sampled else ""
                connection.execute(f"INSERT INTO temp.kept_{place} SELECT {id_}, 0 FROM main.{_quote(name)} {limit}")  # noqa: S608  # quoted
        _add_parents(connection, rowids)
        _delete_unkept_rows(connection, rowids, sampled)
        connection.execute("COMMIT")
        connection.execute("VACUUM")
    return tuple(name for name, id_ in rowids.items() if not id_)


def _add_parents(connection: sqlite3.Connection, rowids: dict[str, str | None]) -> None:
    """Keep the parents of all kept rows, and their parents, until none is new; this ends in cycles as well.

    Each round takes the rows that the previous round has added: a chain may be as long as its table.
    """
    tables = list(rowids)
    places = {name.lower(): place for place, name in enumerate(tables)}
    links = [link for name in tables for link in _foreign_keys(connection, name) if link.parent.lower() in places]
    added, turn = 1, 0
    while added:
        added, turn = 0, turn + 1
        for link in links:
            child, parent = places[link.child.lower()], places[link.parent.lower()]
            number, of_child = rowids[tables[parent]], rowids[tables[child]]
            if not number or (not of_child and turn > 1):
                continue
            on = " AND ".join(
                f"p.{_quote(parent_column)} = c.{_quote(column)}" for column, parent_column in link.columns
            )
            new = f"WHERE c.{of_child} IN (SELECT id FROM temp.kept_{child} WHERE round = {turn - 1})"  # noqa: S608  # numbers
            added += connection.execute(
                f"INSERT OR IGNORE INTO temp.kept_{parent} SELECT p.{number}, {turn} "  # noqa: S608  # quoted
                f"FROM main.{_quote(link.child)} AS c "
                f"JOIN main.{_quote(link.parent)} AS p ON {on} {new if of_child else ''}"
            ).rowcount


def _foreign_keys(connection: sqlite3.Connection, table: str) -> Iterator[_ForeignKey]:
    found: dict[int, tuple[str, list[tuple[str, str | None]]]] = {}
    for number, parent, column, parent_column in connection.execute(_REFERENCES, (table,)):
        found.setdefault(number, (parent, []))[1].append((column, parent_column))
    for parent, columns in found.values():
        keys = _primary_key(connection, parent)
        named = [
            (column, parent_column or (keys[place] if place < len(keys) else "rowid"))
            for place, (column, parent_column) in enumerate(columns)
        ]
        yield _ForeignKey(table, parent, tuple(named))


def _primary_key(connection: sqlite3.Connection, table: str) -> list[str]:
    query = "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk"
    return [name for (name,) in connection.execute(query, (table,))]


def _delete_unkept_rows(connection: sqlite3.Connection, rowids: dict[str, str | None], sampled: set[str]) -> None:
    """Delete all other rows; triggers are dropped meanwhile, since this is not a change that they are made for."""
    query = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
    triggers = connection.execute(query).fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {_quote(name)}")
    for place, (name, id_) in enumerate(rowids.items()):
        if name in sampled:
            delete = f"DELETE FROM main.{_quote(name)} WHERE {id_}"  # noqa: S608  # quoted
            connection.execute(f"{delete} NOT IN (SELECT id FROM temp.kept_{place})")  # noqa: S608  # a number
        connection.execute(f"DROP TABLE temp.kept_{place}")
    for _, text in triggers:
        connection.execute(text)
