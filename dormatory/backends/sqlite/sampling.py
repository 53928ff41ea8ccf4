"""Some rows of each table of an SQLite file, and all that these refer to; the others are deleted from it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.backends.sqlite.connection import plain_connection
from dormatory.sql.lexer import Syntax, identifier

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

# Shadow tables, which virtual tables keep their own data in, and those that only views stand for are left as they are.
# A column may have one of the three names of the rowid, and hides it then.
_TABLES = """
SELECT t.name, CASE WHEN NOT t.wr THEN (SELECT n.column1 FROM (VALUES ('rowid'), ('oid'), ('_rowid_')) AS n
    WHERE n.column1 NOT IN (SELECT lower(c.name) FROM pragma_table_xinfo(t.name) AS c) LIMIT 1) END
FROM pragma_table_list AS t
WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY t.name"""
_REFERENCES = """
SELECT f.id, f."table", f."from", f."to" FROM pragma_foreign_key_list(?) AS f ORDER BY f.id, f.seq"""
# Knuth's multiplier spreads the rows that are taken over the table, and takes the same ones each time.
_SPREAD = "({} * 2654435761) % 4294967296"


@dataclass(frozen=True, slots=True)
class _Link:
    """A foreign key: the columns of a child and those of its parent."""

    child: str
    parent: str
    columns: tuple[tuple[str, str], ...]


def reduce(path: Path, rows: int, *, whole: str) -> tuple[str, ...]:
    """Leave at most so many rows in each table of a file besides those that are referred to.

    The table `whole` keeps all it has, and so do tables whose rows have no number to go by, whose names are returned.
    """
    with closing(plain_connection(path, wait_seconds=30)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        numbers: dict[str, str | None] = dict(connection.execute(_TABLES))
        sampled = {name for name, id_ in numbers.items() if id_ and name != whole.rpartition(".")[2]}
        connection.execute("BEGIN")
        for place, (name, id_) in enumerate(numbers.items()):
            connection.execute(f"CREATE TEMP TABLE kept_{place} (id INTEGER PRIMARY KEY, round INTEGER)")
            connection.execute(f"CREATE INDEX temp.ix_kept_{place} ON kept_{place} (round)")
            if id_:
                limit = f"ORDER BY {_SPREAD.format(id_)} LIMIT {rows}" if name in sampled else ""
                connection.execute(f"INSERT INTO temp.kept_{place} SELECT {id_}, 0 FROM main.{_q(name)} {limit}")  # noqa: S608  # quoted
        _close(connection, numbers)
        _delete(connection, numbers, sampled)
        connection.execute("COMMIT")
        connection.execute("VACUUM")
    return tuple(name for name, id_ in numbers.items() if not id_)


def _close(connection: sqlite3.Connection, numbers: dict[str, str | None]) -> None:
    """Add the parents of what is kept, and theirs, until there are no more: cycles and self references end, too.

    Each round looks at the rows that the one before has added: a chain may be as long as its table.
    """
    tables = list(numbers)
    places = {name.lower(): place for place, name in enumerate(tables)}
    links = [link for name in tables for link in _links(connection, name) if link.parent.lower() in places]
    added, turn = 1, 0
    while added:
        added, turn = 0, turn + 1
        for link in links:
            child, parent = places[link.child.lower()], places[link.parent.lower()]
            number, of_child = numbers[tables[parent]], numbers[tables[child]]
            if not number or (not of_child and turn > 1):
                continue
            on = " AND ".join(f"p.{_q(there)} = c.{_q(here)}" for here, there in link.columns)
            new = f"WHERE c.{of_child} IN (SELECT id FROM temp.kept_{child} WHERE round = {turn - 1})"  # noqa: S608  # numbers
            added += connection.execute(
                f"INSERT OR IGNORE INTO temp.kept_{parent} SELECT p.{number}, {turn} FROM main.{_q(link.child)} AS c "  # noqa: S608  # quoted
                f"JOIN main.{_q(link.parent)} AS p ON {on} {new if of_child else ''}"
            ).rowcount


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


def _delete(connection: sqlite3.Connection, numbers: dict[str, str | None], sampled: set[str]) -> None:
    """Delete what is not kept; triggers are taken away meanwhile, since nobody deletes these rows for good."""
    query = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
    triggers = connection.execute(query).fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {_q(name)}")
    for place, (name, id_) in enumerate(numbers.items()):
        if name in sampled:
            connection.execute(f"DELETE FROM main.{_q(name)} WHERE {id_} NOT IN (SELECT id FROM temp.kept_{place})")  # noqa: S608  # quoted
        connection.execute(f"DROP TABLE temp.kept_{place}")
    for _, text in triggers:
        connection.execute(text)


def _q(name: str) -> str:
    return identifier(name, Syntax.SQLITE)
