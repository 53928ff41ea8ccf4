"""Write the structure of an SQLite database as SQL: the statements in sqlite_schema, arranged by table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dormatory.backends.missing_database import missing_database
from dormatory.backends.queries import VERSION_TABLE, version_inserts
from dormatory.backends.sqlite.dialect import DIALECT
from dormatory.backends.sqlite.engine import sqlite_driver_connection
from dormatory.errors import DatabaseNotEmptyError
from dormatory.sql.lexer import COMMENT_GROUPS, lexemes
from dormatory.sql.split import SpanKind, text_spans, without_trailing_space

if TYPE_CHECKING:
    import sqlite3

    from dormatory.backends.url import Target

# What SQLite creates by itself is left out: its own tables, the indexes behind constraints, which have no text, and the
# tables in which a virtual table stores its content.
_STATEMENTS = """
SELECT type, name, tbl_name, sql FROM sqlite_master
 WHERE sql IS NOT NULL AND substr(name, 1, 7) <> 'sqlite_'
   AND name NOT IN (SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow')
"""
_KIND_ORDER = {"table": 0, "view": 1, "index": 2, "trigger": 3}


def dump_schema(target: Target, *version_tables: str) -> str:
    """Return the structure and the revision of a database as SQL (see parts.Dump).

    Tables are sorted by name: SQLite looks for the other table of a foreign key, and for the tables of a view or a
    trigger, only when rows are read or written.
    """
    names = {name.lower() for name in version_tables or (VERSION_TABLE,)}
    if not target.path.exists():  # to open it would create it
        raise missing_database(target)
    with sqlite_driver_connection(target, writing=False) as driver:
        found = sorted(driver.execute(_STATEMENTS), key=lambda row: (_KIND_ORDER[row[0]], row[1]))
        owners = {name.lower(): (kind == "view", name) for kind, name, _, _ in found if kind in {"table", "view"}}
        rows = "".join(_revision_inserts(driver, owners[name][1]) for name in sorted(names & owners.keys()))
    blocks: dict[tuple[bool, bool, str], list[str]] = {}
    for kind, _, table, sql in found:
        is_view, name = owners[table.lower()]  # a trigger keeps the table's name as it was typed there
        key = (name.lower() in names, is_view, name)
        text = with_sorted_constraints(sql) if kind == "table" else sql
        blocks.setdefault(key, [f"-- {kind} {name}"]).append(_with_semicolon(text))
    texts = ["\n".join(statements) + "\n" for _, statements in sorted(blocks.items())]
    return "\n".join([*texts, rows] if rows else texts)


def load_schema(target: Target, text: str) -> None:
    """Execute a dump in an empty database (see parts.Dump)."""
    with sqlite_driver_connection(target, writing=True) as driver:
        if driver.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise DatabaseNotEmptyError(str(target))
        # Closing the connection rolls back what a failing statement leaves.
        driver.executescript(f"BEGIN IMMEDIATE;\n{text}\nCOMMIT;")


def _revision_inserts(driver: sqlite3.Connection, table: str) -> str:
    name = DIALECT.quote_identifier(table)
    rows = driver.execute(f"SELECT quote(version_num) FROM {name} ORDER BY version_num COLLATE BINARY")  # noqa: S608  # quoted
    return version_inserts(name, (row[0] for row in rows))


def _with_semicolon(sql: str) -> str:
    """Return a statement with its semicolon, on a line of its own where the statement ends with a comment."""
    text = without_trailing_space(sql, DIALECT)
    *_, end = text_spans(text, DIALECT)
    return text + ("\n;" if end.kind is SpanKind.COMMENT else ";")


_CONSTRAINT = re.compile(
    r"""(?:CONSTRAINT\s+(?:\w+|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|'(?:[^']|'')*')\s*)?"""
    r"(?P<kind>PRIMARY|UNIQUE|CHECK|FOREIGN)\b",
    re.IGNORECASE,
)
_CONSTRAINT_KINDS = ("PRIMARY", "UNIQUE", "CHECK", "FOREIGN")


def with_sorted_constraints(sql: str) -> str:
    """Return CREATE TABLE with its table constraints sorted by kind and name, in the places of table constraints.

    Columns keep their places, and so does everything in a text with comments: a comment belongs to what it is next to,
    and such a text was written by a person, always in the same order.
    """
    spans = [(start, end) for start, end in _definition_spans(sql) if _CONSTRAINT.match(sql, start, end)]
    ordered = sorted((sql[start:end] for start, end in spans), key=_constraint_sort_key)
    parts, position = list[str](), 0
    for (start, end), constraint in zip(spans, ordered, strict=True):
        parts += sql[position:start], constraint
        position = end
    return "".join(parts) + sql[position:]


def _constraint_sort_key(constraint: str) -> tuple[int, str]:
    found = _CONSTRAINT.match(constraint)
    return _CONSTRAINT_KINDS.index(found["kind"].upper()) if found else len(_CONSTRAINT_KINDS), constraint


def _definition_spans(sql: str) -> list[tuple[int, int]]:
    """Return the start and end of each column and constraint of a table; nothing for a text with comments."""
    spans: list[tuple[int, int]] = []
    depth = start = 0
    for group, position, end in lexemes(sql, DIALECT):
        if group in COMMENT_GROUPS:
            return []
        if group != "comma":
            continue
        mark = sql[position]
        depth += (mark == "(") - (mark == ")")
        if mark == "(" and depth == 1:
            start = end
        elif (mark == "," and depth == 1) or (mark == ")" and depth == 0):
            spans.append(_strip_span(sql, start, position))
            start = end
        if not depth:
            return spans  # what follows are the options of the table
    return []


def _strip_span(sql: str, start: int, end: int) -> tuple[int, int]:
    text = sql[start:end]
    return end - len(text.lstrip()), start + len(text.rstrip())
