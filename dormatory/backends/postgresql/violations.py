"""Turn a PostgreSQL server's error about rows into a condition that finds all of these rows."""

from __future__ import annotations

import re
from typing import Any

from dormatory.backends.driver import fetch_rows
from dormatory.backends.postgresql.dialect import DIALECT
from dormatory.backends.violation import (
    TableColumns,
    Violation,
    duplicate_condition,
    read_columns,
    unquoted_name,
)
from dormatory.sql.literals import quote_literal
from dormatory.sql.split import split_expressions, text_in_parentheses

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
    rf"FOREIGN\s+KEY\s*\((?P<columns>[^)]*)\)\s*REFERENCES\s+(?P<parent>{_NAME})\s*(?:\((?P<parent_columns>[^)]*)\))?",
    re.IGNORECASE,
)
_CHECK = re.compile(r"\bCHECK\s*\(", re.IGNORECASE)
_EXCLUDE = re.compile(r"\bEXCLUDE\s*(?:USING\s+\w+\s*)?\(", re.IGNORECASE)
_EXCLUDE_ELEMENT = re.compile(r"(?P<what>.+?)\s+WITH\s+(?P<operator>\S+)\Z", re.IGNORECASE | re.DOTALL)

_COLUMNS = """
SELECT a.attname::text, coalesce(pg_catalog.array_position(i.indkey::int2[], a.attnum) + 1, 0)
FROM pg_catalog.pg_attribute AS a LEFT JOIN pg_catalog.pg_index AS i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = {}::regclass AND a.attnum > 0 AND NOT a.attisdropped"""
_DEFINITION = """
SELECT pg_catalog.pg_get_constraintdef(k.oid) FROM pg_catalog.pg_constraint AS k
WHERE k.conrelid = {}::regclass AND k.conname = {}"""


def find_violation(error: BaseException, statement: str, raw: Any) -> Violation | None:
    """Return the rule that rows violate, or None for any other error; `raw` is the connection before the statement."""
    diagnosis, statement = getattr(error, "diag", None), statement.replace("%%", "%")  # SQLAlchemy doubles it
    code = getattr(diagnosis, "sqlstate", "") or ""
    if code in _INVALID_VALUE_CODES:
        return _type_violation(statement, raw)
    rule, table = _RULE_BY_SQLSTATE.get(code), getattr(diagnosis, "table_name", None)
    if not rule or not table:
        return None
    namespace = getattr(diagnosis, "schema_name", None) or "public"
    name = DIALECT.qualified_name(namespace, table)
    found = _columns(raw, name)
    match = _KEY.search(str(getattr(diagnosis, "message_detail", None) or ""))
    expressions = match[1] if match else ""
    column = getattr(diagnosis, "column_name", None)
    columns = (column,) if column else tuple(filter(None, map(unquoted_name, expressions.split(", "))))
    condition = ""
    if _SCHEMA_STATEMENT.match(statement):  # it fails on rows that exist, any other statement on one that it writes
        if rule == "UNIQUE":
            condition = _duplicate_condition(name, expressions, statement)
        elif rule == "NOT NULL":
            condition = f"c.{DIALECT.quote_identifier(column)} IS NULL" if column in found.names else "TRUE"
        elif rule == "EXCLUDE":
            condition = _exclusion_condition(name, statement)
        else:
            constraint = getattr(diagnosis, "constraint_name", None) or ""
            definition = _constraint_definition(raw, name, constraint) or statement
            condition = _dangling_condition(definition, raw) if rule == "FOREIGN KEY" else _check_condition(definition)
    shown = table if namespace == "public" else f"{namespace}.{table}"
    return Violation(rule, shown, name, columns, condition, found.key, found.names, DIALECT)


def find_dangling_rows(_raw: Any) -> tuple[Violation, ...]:
    """Return nothing: the server checks foreign keys itself."""
    return ()


def _type_violation(statement: str, raw: Any) -> Violation | None:
    """Return the values that do not fit the new type of a column, if the statement casts them unchanged."""
    match = _TYPE_CHANGE.match(statement.strip())
    if match is None:
        return None
    column, table = match["column"], match["table"]
    found = _columns(raw, table)
    plain = re.sub(r"\s", "", match["using"] or column).strip("()").lower()
    is_plain = plain == column.lower() or plain.startswith(f"{column.lower()}::")
    kind = match["type"].strip()
    condition = f"c.{column} IS NOT NULL AND NOT pg_catalog.pg_input_is_valid(c.{column}::text, {quote_literal(kind)})"
    is_known = is_plain and raw.driver_connection.server_version >= 160000  # noqa: PLR2004  # which has that function
    names = (unquoted_name(column),)
    return Violation(kind, table, table, names, condition if is_known else "", found.key, found.names, DIALECT)


def _duplicate_condition(table: str, expressions: str, statement: str) -> str:
    if not expressions:
        return ""
    distinct_nulls = "NULLS NOT DISTINCT" not in statement.upper()
    keys = split_expressions(expressions, DIALECT)
    return duplicate_condition(table, keys, statement, distinct_nulls=distinct_nulls)


def _check_condition(definition: str) -> str:
    check = _CHECK.search(definition)
    return f"NOT ({text_in_parentheses(definition[check.start() :], DIALECT)})" if check else ""


def _dangling_condition(definition: str, raw: Any) -> str:
    match = _REFERENCES.search(definition)
    if match is None:
        return ""
    columns = split_expressions(match["columns"], DIALECT)
    parent_columns = split_expressions(match["parent_columns"] or "", DIALECT) or [
        DIALECT.quote_identifier(key) for key in _columns(raw, match["parent"]).key
    ]
    given = " AND ".join(f"c.{name} IS NOT NULL" for name in columns)
    joined = " AND ".join(f"p.{parent} = c.{child}" for child, parent in zip(columns, parent_columns, strict=True))
    return f"{given} AND NOT EXISTS (SELECT FROM {match['parent']} AS p WHERE {joined})"  # the statement's own words


def _exclusion_condition(table: str, statement: str) -> str:
    """Return the condition of rows that another row excludes, "" where expressions are compared."""
    match = _EXCLUDE.search(statement)
    listed = text_in_parentheses(statement[match.end() - 1 :], DIALECT) if match else ""
    elements = [_EXCLUDE_ELEMENT.match(part) for part in split_expressions(listed, DIALECT)]
    found = [(it["what"], it["operator"]) for it in elements if it and unquoted_name(it["what"])]
    if not match or len(found) < len(elements) or re.match(r"\s*WHERE\b", statement[match.end() :], re.IGNORECASE):
        return ""
    pairs = " AND ".join(f"o.{column} {operator} c.{column}" for column, operator in found)
    return f"EXISTS (SELECT FROM {table} AS o WHERE (o.tableoid, o.ctid) <> (c.tableoid, c.ctid) AND {pairs})"


def _columns(raw: Any, name: str) -> TableColumns:
    return read_columns(raw, _COLUMNS.format(quote_literal(name)))


def _constraint_definition(raw: Any, name: str, constraint: str) -> str:
    """Return the definition of a constraint that exists already but is not validated yet."""
    rows = fetch_rows(raw.cursor(), _DEFINITION.format(quote_literal(name), quote_literal(constraint)))
    return str(rows[0][0]) if rows else ""
