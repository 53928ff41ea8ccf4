"""What a PostgreSQL server's complaint about rows means, as a condition that finds them all."""

from __future__ import annotations

import re
from typing import Any

from dormatory.backends.driver import fetch_rows
from dormatory.backends.postgresql.dialect import POSTGRESQL
from dormatory.backends.violation import Violation, duplicate_condition, split_expressions, text_in_parentheses

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_RULE_BY_SQLSTATE = {
    "23505": "UNIQUE",
    "23502": "NOT NULL",
    "23503": "FOREIGN KEY",
    "23514": "CHECK",
    "23P01": "EXCLUDE",
}
_INVALID_VALUE_CODES = frozenset({"22P02", "22001", "22003", "22007", "22008"})
_KEY = re.compile(r"Key \((.*?)\)=\(", re.DOTALL)
_SCHEMA_STATEMENT = re.compile(r"(?:\s+|--[^\n]*\n|/\*.*?\*/)*(?:ALTER|CREATE|REINDEX)\b", re.IGNORECASE | re.DOTALL)
_NAME = r'(?:"(?:[^"]|"")+"|[\w$]+)(?:\s*\.\s*(?:"(?:[^"]|"")+"|[\w$]+))?'
_TYPE_CHANGE = re.compile(
    rf"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?(?P<table>{_NAME})\s+ALTER\s+(?:COLUMN\s+)?(?P<column>{_NAME})\s+"
    rf"(?:SET\s+DATA\s+)?TYPE\s+(?P<type>.+?)(?:\s+USING\s+(?P<using>.+?))?\s*;?\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
_REFERENCES = re.compile(
    rf"FOREIGN\s+KEY\s*\((?P<here>[^)]*)\)\s*REFERENCES\s+(?P<parent>{_NAME})\s*(?:\((?P<there>[^)]*)\))?",
    re.IGNORECASE,
)
_CHECK = re.compile(r"\bCHECK\s*\(", re.IGNORECASE)
_EXCLUDE = re.compile(r"\bEXCLUDE\s*(?:USING\s+\w+\s*)?\(", re.IGNORECASE)
_EXCLUDE_ELEMENT = re.compile(r"(?P<what>.+?)\s+WITH\s+(?P<operator>\S+)\Z", re.IGNORECASE | re.DOTALL)

_COLUMNS = """
SELECT a.attname::text, coalesce(pg_catalog.array_position(i.indkey::int2[], a.attnum), -1)
FROM pg_catalog.pg_attribute AS a LEFT JOIN pg_catalog.pg_index AS i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = '{}'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 2, a.attnum"""
_DEFINITION = """
SELECT pg_catalog.pg_get_constraintdef(k.oid) FROM pg_catalog.pg_constraint AS k
WHERE k.conrelid = '{}'::regclass AND k.conname = {}"""


def find_postgresql_violation(error: BaseException, statement: str, raw: Any) -> Violation | None:
    """Return what rows violate, None for any other error; `raw` is the connection, just before the statement."""
    diagnosis, statement = getattr(error, "diag", None), statement.replace("%%", "%")  # as SQLAlchemy doubles it
    code = getattr(diagnosis, "sqlstate", "") or ""
    if code in _INVALID_VALUE_CODES:
        return _type_violation(statement, raw)
    table = getattr(diagnosis, "table_name", None)
    if code not in _RULE_BY_SQLSTATE or not table:
        return None
    namespace = getattr(diagnosis, "schema_name", None) or "public"
    name = POSTGRESQL.qualified_name(namespace, table)
    shown = table if namespace == "public" else f"{namespace}.{table}"
    present, keys = _columns_and_keys(raw, name)
    detail = str(getattr(diagnosis, "message_detail", None) or "")
    match = _KEY.search(detail)
    expressions = match[1] if match else ""
    rule, column = _RULE_BY_SQLSTATE[code], getattr(diagnosis, "column_name", None)
    columns, condition = (column,) if column else tuple(filter(None, map(_unquoted, expressions.split(", ")))), ""
    if _SCHEMA_STATEMENT.match(statement):  # rows that are there; another statement fails on one that it writes itself
        constraint = getattr(diagnosis, "constraint_name", None) or ""
        definition = _constraint_definition(raw, name, constraint) or statement
        if rule == "UNIQUE" and expressions:
            distinct = "NULLS NOT DISTINCT" not in statement.upper()
            condition = duplicate_condition(name, split_expressions(expressions), statement, distinct_nulls=distinct)
        elif rule == "NOT NULL":
            condition = f"c.{POSTGRESQL.quote_identifier(column)} IS NULL" if column in present else "TRUE"
        elif rule == "FOREIGN KEY":
            condition = _dangling_condition(definition, raw)
        elif rule == "EXCLUDE":
            condition = _exclusion_condition(name, statement)
        elif check := _CHECK.search(definition):
            condition = f"NOT ({text_in_parentheses(definition, check.start())})"
    return Violation(rule, shown, name, columns, condition, keys, present, POSTGRESQL)


def _type_violation(statement: str, raw: Any) -> Violation | None:
    """Return the values that the new type of a column cannot hold, where they are cast as they are."""
    match = _TYPE_CHANGE.match(statement.strip())
    if match is None:
        return None
    column, table = match["column"], match["table"]
    present, keys = _columns_and_keys(raw, table)
    plain = re.sub(r"\s", "", match["using"] or column).strip("()").lower()
    is_plain = plain == column.lower() or plain.startswith(f"{column.lower()}::")
    kind = match["type"].strip()
    literal = "'" + kind.replace("'", "''") + "'"
    condition = f"c.{column} IS NOT NULL AND NOT pg_catalog.pg_input_is_valid(c.{column}::text, {literal})"
    is_known = is_plain and raw.driver_connection.server_version >= 160000  # noqa: PLR2004  # which has that function
    names = (_unquoted(column),)
    return Violation(kind, table, table, names, condition if is_known else "", keys, present, POSTGRESQL)


def _dangling_condition(definition: str, raw: Any) -> str:
    match = _REFERENCES.search(definition)
    if match is None:
        return ""
    here = split_expressions(match["here"])
    there = split_expressions(match["there"] or "") or [
        POSTGRESQL.quote_identifier(key) for key in _columns_and_keys(raw, match["parent"])[1]
    ]
    given = " AND ".join(f"c.{name} IS NOT NULL" for name in here)
    joined = " AND ".join(f"p.{parent} = c.{child}" for child, parent in zip(here, there, strict=True))
    return f"{given} AND NOT EXISTS (SELECT FROM {match['parent']} AS p WHERE {joined})"  # the statement's own words


def _exclusion_condition(table: str, statement: str) -> str:
    """Return the condition of rows that another one excludes, where they are told apart by plain columns."""
    match = _EXCLUDE.search(statement)
    elements = (
        [_EXCLUDE_ELEMENT.match(part) for part in split_expressions(text_in_parentheses(statement, match.end() - 1))]
        if match
        else []
    )
    found = [(it["what"], it["operator"]) for it in elements if it and _unquoted(it["what"])]
    if not match or len(found) < len(elements) or re.match(r"\s*WHERE\b", statement[match.end() :], re.IGNORECASE):
        return ""
    pairs = " AND ".join(f"o.{column} {operator} c.{column}" for column, operator in found)
    return f"EXISTS (SELECT FROM {table} AS o WHERE (o.tableoid, o.ctid) <> (c.tableoid, c.ctid) AND {pairs})"


def _columns_and_keys(raw: Any, name: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the columns that a table has, and those of its primary key."""
    rows = fetch_rows(raw.cursor(), _COLUMNS.format(name.replace("'", "''")))
    return frozenset(name for name, _ in rows), tuple(name for name, place in rows if place >= 0)


def _constraint_definition(raw: Any, name: str, constraint: str) -> str:
    """Return a constraint that stands there already, not yet validated."""
    literal = "'" + constraint.replace("'", "''") + "'"
    rows = fetch_rows(raw.cursor(), _DEFINITION.format(name.replace("'", "''"), literal))
    return str(rows[0][0]) if rows else ""


def _unquoted(name: str) -> str:
    """Return a name without its quotes; "" for an expression."""
    name = name.strip()
    if name.startswith('"') and name.endswith('"'):
        return name[1:-1].replace('""', '"')
    return name if re.fullmatch(r"[\w$]+", name) else ""
