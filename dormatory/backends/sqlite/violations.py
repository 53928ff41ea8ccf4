"""Turn SQLite's error about rows into a condition that finds all of these rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dormatory.backends.driver import fetch_rows
from dormatory.backends.sqlite.dialect import DIALECT
from dormatory.backends.violation import (
    TableColumns,
    Violation,
    duplicate_condition,
    read_columns,
    unquoted_name,
)
from dormatory.sql.split import split_expressions, text_in_parentheses

if TYPE_CHECKING:
    from collections.abc import Iterator

_quote = DIALECT.quote_identifier
_CONSTRAINT_FAILED = re.compile(r"(UNIQUE|NOT NULL|CHECK|FOREIGN KEY) constraint failed(?:: (.*))?\Z", re.DOTALL)
_NEEDS_DEFAULT = "Cannot add a NOT NULL column"
_NAME = r'(?:"(?:[^"]|"")+"|`[^`]+`|\[[^\]]+\]|[\w$]+)'
_ADD_COLUMN = re.compile(
    rf"ALTER\s+TABLE\s+(?P<table>{_NAME})\s+ADD\s+(?:COLUMN\s+)?(?P<column>{_NAME})", re.IGNORECASE
)
_COPY_ROWS = re.compile(
    rf"INSERT\s+INTO\s+(?P<new>{_NAME}).*\bFROM\s+(?P<old>{_NAME})\s*;?\s*\Z", re.IGNORECASE | re.DOTALL
)
_UNIQUE_INDEX = re.compile(rf"CREATE\s+UNIQUE\s+INDEX\b.*?\bON\s+(?P<table>{_NAME})\s*\(", re.IGNORECASE | re.DOTALL)
_SORT_DIRECTION = re.compile(r"\s+(?:ASC|DESC)\Z", re.IGNORECASE)


def find_violation(error: BaseException, statement: str, raw: Any) -> Violation | None:
    """Return the rule that rows violate, or None for any other error; `raw` is the connection before the statement."""
    text = str(error)
    if _NEEDS_DEFAULT in text and (added := _ADD_COLUMN.search(statement)):
        return _make_violation(
            "NOT NULL", unquoted_name(added["table"]), (unquoted_name(added["column"]),), "TRUE", raw
        )
    match = _CONSTRAINT_FAILED.search(text)
    if match is None:
        return None
    rule, rest = match[1], (match[2] or "").strip()
    copies, index = _COPY_ROWS.match(statement.strip()), _UNIQUE_INDEX.match(statement.strip())
    if rule == "UNIQUE":
        return _unique_violation(rest, statement, index, copies, raw)
    if rule == "NOT NULL":
        table, _, column = rest.rpartition(".")
        table = _source_table(table, copies)
        is_there = column in _columns(raw, table).names
        condition = (f"c.{_quote(column)} IS NULL" if is_there else "TRUE") if copies else ""
        return _make_violation(rule, table, (column,), condition, raw)
    table = unquoted_name(copies["old"]) if copies else ""
    if rule == "CHECK" and copies:
        expression = _check_condition(raw, unquoted_name(copies["new"]), rest)
        return _make_violation(rule, table, (), f"NOT ({expression})" if expression else "", raw)
    return None


def find_dangling_rows(raw: Any) -> Iterator[Violation]:
    """Yield each foreign key that rows violate, as SQLite's own check reports it."""
    failing = sorted({(row[0], row[3]) for row in fetch_rows(raw.cursor(), "PRAGMA foreign_key_check")})
    for table, number in failing:
        query = 'SELECT "table", "from", "to" FROM pragma_foreign_key_list(?) WHERE id = ? ORDER BY seq'
        links = fetch_rows(raw.cursor(), query, (table, number))
        parent = links[0][0]
        keys = _columns(raw, parent).key or ("rowid",)
        pairs = [(column, parent_column or keys[place]) for place, (_, column, parent_column) in enumerate(links)]
        given = " AND ".join(f"c.{_quote(column)} IS NOT NULL" for column, _ in pairs)
        joined = " AND ".join(f"p.{_quote(parent_column)} = c.{_quote(column)}" for column, parent_column in pairs)
        condition = f"{given} AND NOT EXISTS (SELECT 1 FROM {_quote(parent)} AS p WHERE {joined})"  # noqa: S608  # quoted
        yield _make_violation("FOREIGN KEY", table, tuple(column for column, _ in pairs), condition, raw)


def _unique_violation(rest: str, statement: str, index: Any, copies: Any, raw: Any) -> Violation | None:
    if index:
        table = unquoted_name(index["table"])
        keys = text_in_parentheses(statement[index.end() - 1 :], DIALECT)
        expressions = [_SORT_DIRECTION.sub("", part) for part in split_expressions(keys, DIALECT)]
        columns = tuple(unquoted_name(it) for it in expressions if re.fullmatch(_NAME, it))
        return _make_violation(
            "UNIQUE", table, columns, duplicate_condition(_quote(table), expressions, statement), raw
        )
    parts = [part.strip().rpartition(".") for part in rest.split(",")]
    if not all(table for table, _, _ in parts):
        return None
    table, columns = _source_table(parts[0][0], copies), tuple(column for _, _, column in parts)
    is_there = set(columns) <= _columns(raw, table).names
    condition = (
        duplicate_condition(_quote(table), [_quote(column) for column in columns], "") if copies and is_there else ""
    )
    return _make_violation("UNIQUE", table, columns, condition, raw)


def _make_violation(rule: str, table: str, columns: tuple[str, ...], condition: str, raw: Any) -> Violation:
    found = _columns(raw, table)
    return Violation(rule, table, _quote(table), columns, condition, found.key or ("rowid",), found.names, DIALECT)


def _source_table(table: str, copies: Any) -> str:
    """Return the table that rows come from where a batch copies them into its new one."""
    return unquoted_name(copies["old"]) if copies and unquoted_name(copies["new"]) == table else table


def _check_condition(raw: Any, table: str, constraint: str) -> str:
    """Return the condition of a CHECK; `constraint` is its name, or the condition itself where it has no name."""
    (text,) = next(iter(fetch_rows(raw.cursor(), "SELECT sql FROM sqlite_schema WHERE name = ?", (table,))), ("",))
    quoted = re.escape(constraint)
    named = re.search(rf"""CONSTRAINT\s+["`\[]?{quoted}["`\]]?\s+CHECK\s*\(""", text, re.IGNORECASE)
    return text_in_parentheses(text[named.end() - 1 :], DIALECT) if named else constraint


def _columns(raw: Any, table: str) -> TableColumns:
    return read_columns(raw, "SELECT name, pk FROM pragma_table_info(?)", (table,))
