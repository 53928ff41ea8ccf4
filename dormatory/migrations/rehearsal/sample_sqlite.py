"""Some rows of each table of an SQLite file, and all that these refer to; the others are deleted from it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.database.sqlite import plain_connection
from dormatory.schema.tokens import Syntax, identifier

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

# Shadow tables, which virtual tables keep their own data in, and those that only views stand for are left as they are.
_TABLES = """
SELECT name, wr FROM pragma_table_list
WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"""
_REFERENCES = """
SELECT f.id, f."table", f."from", f."to" FROM pragma_foreign_key_list(?) AS f ORDER BY f.id, f.seq"""
# Knuth's multiplier spreads the rows that are taken over the table, and takes the same ones each time.
_SPREAD = "(rowid * 2654435761) % 4294967296"


@dataclass(frozen=True, slots=True)
class _Link:
    """A foreign key: the columns of a child and those of its parent."""

    child: str
    parent: str
    columns: tuple[tuple[str, str], ...]


def reduce(path: Path, rows: int, *, whole: str) -> tuple[str, ...]:
    """Leave at most so many rows in each table of a file besides those that are referred to.

    The table `whole` keeps all it has, and so do tables without a rowid, whose names are returned.
    """
    with closing(plain_connection(path, wait_seconds=30)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        found = connection.execute(_TABLES).fetchall()
        kept = tuple(name for name, is_keyed in found if is_keyed)
        tables = [name for name, _ in found]
        sampled = {name for name in tables if name not in kept and name != whole.rpartition(".")[2]}
        connection.execute("BEGIN")
        for number, name in enumerate(tables):
            connection.execute(f"CREATE TEMP TABLE kept_{number} (id INTEGER PRIMARY KEY)")
            limit = f"ORDER BY {_SPREAD} LIMIT {rows}" if name in sampled else ""
            if name not in kept:
                connection.execute(f"INSERT INTO temp.kept_{number} SELECT rowid FROM main.{_q(name)} {limit}")  # noqa: S608  # quoted
        _close(connection, tables, kept)
        _delete(connection, tables, sampled)
        connection.execute("COMMIT")
        connection.execute("VACUUM")
    return kept


def _close(connection: sqlite3.Connection, tables: list[str], keyed: tuple[str, ...]) -> None:
    """Add the parents of what is kept, and theirs, until there are no more: cycles and self references end, too."""
    places = {name.lower(): number for number, name in enumerate(tables)}
    links = [link for name in tables for link in _links(connection, name) if link.parent.lower() in places]
    is_growing = True
    while is_growing:
        is_growing = False
        for link in links:
            child, parent = places[link.child.lower()], places[link.parent.lower()]
            if tables[parent] in keyed:
                continue
            on = " AND ".join(f"p.{_q(there)} = c.{_q(here)}" for here, there in link.columns)
            taken = "" if tables[child] in keyed else f"WHERE c.rowid IN (SELECT id FROM temp.kept_{child})"  # noqa: S608  # a number
            cursor = connection.execute(
                f"INSERT OR IGNORE INTO temp.kept_{parent} SELECT p.rowid FROM main.{_q(link.child)} AS c "  # noqa: S608  # quoted
                f"JOIN main.{_q(link.parent)} AS p ON {on} {taken}"
            )
            is_growing |= cursor.rowcount > 0


def _links(connection: sqlite3.Connection, table: str) -> Iterator[_Link]:
    found: dict[int, tuple[str, list[tuple[str, str | None]]]] = {}
    for number, parent, here, there in connection.execute(_REFERENCES, (table,)):
        found.setdefault(number, (parent, []))[1].append((here, there))
    for parent, columns in found.values():
        keys = _keys(connection, parent)
        named = [
            (here, there or (keys[place] if place < len(keys) else "rowid"))
            for place, (here, there) in enumerate(columns)
        ]
        yield _Link(table, parent, tuple(named))


def _keys(connection: sqlite3.Connection, table: str) -> list[str]:
    query = "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk"
    return [name for (name,) in connection.execute(query, (table,))]


def _delete(connection: sqlite3.Connection, tables: list[str], sampled: set[str]) -> None:
    """Delete what is not kept; triggers are taken away meanwhile, since nobody deletes these rows for good."""
    query = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
    triggers = connection.execute(query).fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {_q(name)}")
    for number, name in enumerate(tables):
        if name in sampled:
            connection.execute(f"DELETE FROM main.{_q(name)} WHERE rowid NOT IN (SELECT id FROM temp.kept_{number})")  # noqa: S608  # quoted
        connection.execute(f"DROP TABLE temp.kept_{number}")
    for _, text in triggers:
        connection.execute(text)


def _q(name: str) -> str:
    return identifier(name, Syntax.SQLITE)
