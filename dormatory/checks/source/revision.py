"""One revision as the rules of its text see it, and what its calls do to the database."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from dormatory.checks.registry import finding
from dormatory.checks.source.resolver import UNKNOWN, argument

if TYPE_CHECKING:
    from dormatory.checks.finding import Finding, Severity
    from dormatory.checks.source.call_sites import Paths, Site
    from dormatory.checks.source.resolver import Reading
    from dormatory.project.history import Revision


class Kind(Enum):
    """What a call does."""

    SCHEMA = "schema"
    DATA = "data"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Revised:
    """A revision, its text as read, the calls that it makes, and the backends that it is judged for."""

    revision: Revision
    reading: Reading
    paths: Paths
    sites: tuple[Site, ...]
    backends: frozenset[str]

    def finding(self, rule: str, node: ast.AST, message: str, hint: str, **more: Any) -> Finding:
        """Return a finding at a node."""
        severity: Severity | None = more.pop("severity", None)
        where = {
            "revision": self.revision.id,
            "file": str(self.revision.path),
            "line": getattr(node, "lineno", 1),
            "end_line": getattr(node, "end_lineno", 0) or 0,
            "column": getattr(node, "col_offset", -1) + 1,
        }
        return finding(rule, message, hint, severity=severity, **(where | more))

    def runs_on(self, site: Site, backend: str) -> bool:
        """Say whether a call is reached on a backend that the revision is judged for."""
        return backend in self.backends and backend in site.dialects


_EXECUTE = frozenset({"execute", "exec_driver_sql", "scalar", "scalars"})
_SCHEMA = frozenset(
    {
        *("add_column", "alter_column", "drop_column", "create_index", "drop_index", "create_table", "drop_table"),
        *(
            "rename_table",
            "create_foreign_key",
            "create_unique_constraint",
            "create_check_constraint",
            "drop_constraint",
        ),
        *("create_primary_key", "create_exclude_constraint", "create_table_comment", "drop_table_comment"),
    }
)
_WORD = re.compile(r"\s*(\w+)")
_SCHEMA_WORDS = frozenset({"create", "alter", "drop", "comment", "rename", "truncate", "reindex", "cluster"})
_DATA_WORDS = frozenset({"insert", "update", "delete", "merge", "replace", "copy", "with"})
_LITERALS = re.compile(r"'(?:[^']|'')*(?:'|\Z)|--[^\n]*|/\*.*?(?:\*/|\Z)|\$(\w*)\$.*?(?:\$\1\$|\Z)", re.DOTALL)
_TABLE = rf'(?:ONLY\s+)?(?:[\w"]+\.)?(?P<table>"[^"]+"|[\w{UNKNOWN}]+)'
_DATA_TABLE = re.compile(rf"\b(?:UPDATE|INSERT\s+INTO|DELETE\s+FROM|MERGE\s+INTO)\s+{_TABLE}", re.IGNORECASE)
_IF = r"(?:IF\s+(?:NOT\s+)?EXISTS\s+)?"
_SCHEMA_TABLE = re.compile(rf"\b(?:ALTER|CREATE|DROP|TRUNCATE)\s+(?:\w+\s+)?TABLE\s+{_IF}{_TABLE}", re.IGNORECASE)
_TABLE_FIRST = frozenset({"add_column", "alter_column", "drop_column", "create_table", "drop_table", "rename_table"})
_DATA_CALLS = re.compile(r"\b(update|insert|delete)\(\)")


def sql_of(site: Site, reading: Reading) -> str | None:
    """Return the SQL text that a call executes, with UNKNOWN for what is not known; None where it is no text."""
    if site.last not in _EXECUTE:
        return None
    return reading.text(argument(site.call, 0, "sqltext", "statement"), site.texts)


def bare(sql: str) -> str:
    """Return SQL with blanks in place of literals and comments; every other character stays where it is."""
    return _LITERALS.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), sql)


def kind_of(site: Site, reading: Reading) -> Kind:
    """Say whether a call changes the structure or the rows of the database."""
    is_operation = site.name.startswith(("alembic.op.", "batch."))
    if is_operation and site.last in _SCHEMA:
        return Kind.SCHEMA
    if is_operation and site.last == "bulk_insert":
        return Kind.DATA
    if site.last in {"create", "drop"} and site.name.startswith("sqlalchemy.") and "()" in site.name:
        return Kind.SCHEMA
    if site.last not in _EXECUTE:
        return Kind.OTHER
    sql = sql_of(site, reading)
    if sql is None:
        done = reading.dotted(reading.value(argument(site.call, 0, "sqltext", "statement")))
        return Kind.DATA if _DATA_CALLS.search(done) else Kind.OTHER
    word = _WORD.match(bare(sql))
    first = word[1].lower() if word else ""
    return Kind.SCHEMA if first in _SCHEMA_WORDS else Kind.DATA if first in _DATA_WORDS else Kind.OTHER


def table_of(site: Site, reading: Reading) -> str | None:
    """Return the table that a call changes, None where it is not known."""
    if site.name.startswith("batch."):
        return site.table
    if site.name.startswith("alembic.op.") and site.last in _SCHEMA:
        position = 0 if site.last in _TABLE_FIRST else 1
        return reading.text(argument(site.call, position, "table_name", "source_table", "old_table_name"), site.texts)
    sql = sql_of(site, reading)
    if sql is not None:
        found = _DATA_TABLE.search(bare(sql)) or _SCHEMA_TABLE.search(bare(sql))
        return None if found is None or UNKNOWN in found["table"] else found["table"].strip('"')
    if kind_of(site, reading) is Kind.DATA:
        return _described(argument(site.call, 0, "sqltext", "statement"), reading)
    return None


def _described(node: ast.expr | None, reading: Reading) -> str | None:
    """Return the name of the table that an expression of SQLAlchemy's starts from."""
    for _ in range(20):
        value = reading.value(node)
        if isinstance(value, ast.Call) and reading.called(value.func) in {"table", "Table"}:
            return reading.text(argument(value, 0, "name"))
        if isinstance(value, ast.Call) and reading.called(value.func) in {"update", "insert", "delete"} and value.args:
            node = value.args[0]
        elif isinstance(value, ast.Call):
            node = value.func
        elif isinstance(value, ast.Attribute):
            node = value.value
        else:
            break
    return None
