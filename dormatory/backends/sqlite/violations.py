"""What SQLite's complaint about rows means, as a condition that finds them all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dormatory.backends.cursor import asked
from dormatory.backends.violation import Violation, enclosed, repeated, split
from dormatory.sql.lexer import Syntax, identifier

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAID = re.compile(r"(UNIQUE|NOT NULL|CHECK|FOREIGN KEY) constraint failed(?:: (.*))?\Z", re.DOTALL)
_NEEDS_DEFAULT = "Cannot add a NOT NULL column"
_NAME = r'(?:"(?:[^"]|"")+"|`[^`]+`|\[[^\]]+\]|[\w$]+)'
_ADDS = re.compile(rf"ALTER\s+TABLE\s+(?P<table>{_NAME})\s+ADD\s+(?:COLUMN\s+)?(?P<column>{_NAME})", re.IGNORECASE)
_COPIES = re.compile(
    rf"INSERT\s+INTO\s+(?P<new>{_NAME}).*\bFROM\s+(?P<old>{_NAME})\s*;?\s*\Z", re.IGNORECASE | re.DOTALL
)
_INDEX = re.compile(rf"CREATE\s+UNIQUE\s+INDEX\b.*?\bON\s+(?P<table>{_NAME})\s*\(", re.IGNORECASE | re.DOTALL)
_DIRECTION = re.compile(r"\s+(?:ASC|DESC)\Z", re.IGNORECASE)


def violation(error: BaseException, statement: str, raw: Any) -> Violation | None:
    """Return what rows violate, None for any other error; `raw` is the connection, just before the statement."""
    text = str(error)
    if _NEEDS_DEFAULT in text and (added := _ADDS.search(statement)):
        return _made("NOT NULL", _bare(added["table"]), (_bare(added["column"]),), "TRUE", raw)
    match = _SAID.search(text)
    if match is None:
        return None
    rule, rest = match[1], (match[2] or "").strip()
    copies, index = _COPIES.match(statement.strip()), _INDEX.match(statement.strip())
    if rule == "UNIQUE":
        return _unique(rest, statement, index, copies, raw)
    if rule == "NOT NULL":
        table, _, column = rest.rpartition(".")
        table = _source(table, copies)
        is_there = column in _columns(raw, table)[0]
        condition = (f"c.{_q(column)} IS NULL" if is_there else "TRUE") if copies else ""
        return _made(rule, table, (column,), condition, raw)
    table = _bare(copies["old"]) if copies else ""
    if rule == "CHECK" and copies:
        expression = _check(raw, _bare(copies["new"]), rest)
        return _made(rule, table, (), f"NOT ({expression})" if expression else "", raw)
    return None


def orphans(raw: Any) -> Iterator[Violation]:
    """Yield each foreign key that rows violate, as SQLite's own check tells."""
    failing = sorted({(row[0], row[3]) for row in asked(raw.cursor(), "PRAGMA foreign_key_check")})
    for table, number in failing:
        query = 'SELECT "table", "from", "to" FROM pragma_foreign_key_list(?) WHERE id = ? ORDER BY seq'
        links = asked(raw.cursor(), query, (table, number))
        parent = links[0][0]
        keys = _columns(raw, parent)[1] or ("rowid",)
        pairs = [(here, there or keys[place]) for place, (_, here, there) in enumerate(links)]
        given = " AND ".join(f"c.{_q(here)} IS NOT NULL" for here, _ in pairs)
        joined = " AND ".join(f"p.{_q(there)} = c.{_q(here)}" for here, there in pairs)
        condition = f"{given} AND NOT EXISTS (SELECT 1 FROM {_q(parent)} AS p WHERE {joined})"  # noqa: S608  # quoted
        yield _made("FOREIGN KEY", table, tuple(here for here, _ in pairs), condition, raw)


def _unique(rest: str, statement: str, index: Any, copies: Any, raw: Any) -> Violation | None:
    if index:
        table = _bare(index["table"])
        expressions = [_DIRECTION.sub("", part) for part in split(enclosed(statement, index.end() - 1))]
        columns = tuple(_bare(it) for it in expressions if re.fullmatch(_NAME, it))
        return _made("UNIQUE", table, columns, repeated(_q(table), expressions, statement), raw)
    parts = [part.strip().rpartition(".") for part in rest.split(",")]
    if not all(table for table, _, _ in parts):
        return None
    table, columns = _source(parts[0][0], copies), tuple(column for _, _, column in parts)
    is_there = set(columns) <= _columns(raw, table)[0]
    condition = repeated(_q(table), [_q(column) for column in columns], "") if copies and is_there else ""
    return _made("UNIQUE", table, columns, condition, raw)


def _made(rule: str, table: str, columns: tuple[str, ...], condition: str, raw: Any) -> Violation:
    present, keys = _columns(raw, table)
    return Violation(rule, table, _q(table), columns, condition, keys or ("rowid",), present, Syntax.SQLITE)


def _source(table: str, copies: Any) -> str:
    """Return the table that rows come from where a batch copies them into its new one."""
    return _bare(copies["old"]) if copies and _bare(copies["new"]) == table else table


def _check(raw: Any, table: str, said: str) -> str:
    """Return the condition of a CHECK that SQLite calls by its name, or by itself where it has none."""
    (text,) = next(iter(asked(raw.cursor(), "SELECT sql FROM sqlite_schema WHERE name = ?", (table,))), ("",))
    quoted = re.escape(said)
    named = re.search(rf"""CONSTRAINT\s+["`\[]?{quoted}["`\]]?\s+CHECK\s*\(""", text, re.IGNORECASE)
    return enclosed(text, named.end() - 1) if named else said


def _columns(raw: Any, table: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the columns that a table has, and those of its primary key."""
    rows = asked(raw.cursor(), "SELECT name, pk FROM pragma_table_info(?)", (table,))
    keyed = sorted((place, name) for name, place in rows if place)
    return frozenset(name for name, _ in rows), tuple(name for _, name in keyed)


def _bare(name: str) -> str:
    if name[:1] in '"`[' and len(name) > 1:
        return name[1:-1].replace('""', '"')
    return name


def _q(name: str) -> str:
    return identifier(name, Syntax.SQLITE)
