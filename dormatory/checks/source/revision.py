"""One revision as the rules of this package read it, and what its calls do to the database."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from dormatory.checks.source.resolver import UNKNOWN_TEXT, argument
from dormatory.checks.source.sql_text import IF_EXISTS, NAME, name_in, sql_without_literals
from dormatory.errors.location import Location

if TYPE_CHECKING:
    from dormatory.checks.finding import Finding, Severity
    from dormatory.checks.rule import Rule
    from dormatory.checks.source.call_sites import CallSite, CallSiteFinder
    from dormatory.checks.source.resolver import NameResolver
    from dormatory.project.script import Revision


class CallKind(Enum):
    """What a call does."""

    SCHEMA = "schema"
    DATA = "data"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class RevisionSource:
    """A revision, its text as read, the calls that it makes, and the backends for which it is checked."""

    revision: Revision
    resolver: NameResolver
    call_site_finder: CallSiteFinder
    call_sites: tuple[CallSite, ...]
    backends: frozenset[str]

    def finding(  # the fields of a finding, each by its name
        self,
        rule: Rule,
        node: ast.AST,
        message: str,
        hint: str,
        *,
        severity: Severity | None = None,
        backend: str = "",
        object_name: str = "",
        line: int = 0,
        end_line: int | None = None,
        sql: str = "",
    ) -> Finding:
        """Return a finding at a node, or at one line of it."""
        start, column = (line, 0) if line else (getattr(node, "lineno", 1), getattr(node, "col_offset", -1) + 1)
        return rule.finding(
            message,
            hint,
            severity=severity,
            backend=backend,
            object_name=object_name,
            revision=self.revision.id,
            location=Location(str(self.revision.path), start, column),
            end_line=(line or getattr(node, "end_lineno", 0) or 0) if end_line is None else end_line,
            sql=sql,
        )

    def is_reached(self, site: CallSite, backend: str) -> bool:
        """Return whether a call is reached on a backend for which the revision is checked."""
        return backend in self.backends and backend in site.dialects


_EXECUTE_METHODS = frozenset({"execute", "exec_driver_sql", "scalar", "scalars"})
_SCHEMA_OPERATIONS = frozenset(
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
_FIRST_WORD = re.compile(r"\s*(\w+)")
_SCHEMA_WORDS = frozenset({"create", "alter", "drop", "comment", "rename", "truncate", "reindex", "cluster"})
_DATA_WORDS = frozenset({"insert", "update", "delete", "merge", "replace", "copy", "with"})
_TABLE = rf"(?:ONLY\s+)?{NAME}"
_DATA_TABLE = re.compile(rf"\b(?:UPDATE|INSERT\s+INTO|DELETE\s+FROM|MERGE\s+INTO)\s+{_TABLE}", re.IGNORECASE)
_SCHEMA_TABLE = re.compile(rf"\b(?:ALTER|CREATE|DROP|TRUNCATE)\s+(?:\w+\s+)?TABLE\s+{IF_EXISTS}{_TABLE}", re.IGNORECASE)
_OPERATIONS_WITH_TABLE_FIRST = frozenset(
    {"add_column", "alter_column", "drop_column", "create_table", "drop_table", "rename_table"}
)
_DATA_CALLS = re.compile(r"\b(update|insert|delete)\(\)")


def executed_sql(site: CallSite, resolver: NameResolver) -> str | None:
    """Return the SQL text that a call executes, with UNKNOWN_TEXT for what is not known; None where it is no text."""
    if site.short_name not in _EXECUTE_METHODS:
        return None
    return resolver.text(argument(site.call, 0, "sqltext", "statement"), site.parameter_texts)


def call_kind(site: CallSite, resolver: NameResolver) -> CallKind:
    """Return whether a call changes the structure or the rows of the database."""
    is_operation = site.name.startswith(("alembic.op.", "batch."))
    if is_operation and site.short_name in _SCHEMA_OPERATIONS:
        return CallKind.SCHEMA
    if is_operation and site.short_name == "bulk_insert":
        return CallKind.DATA
    if site.short_name in {"create", "drop"} and site.name.startswith("sqlalchemy.") and "()" in site.name:
        return CallKind.SCHEMA
    if site.short_name not in _EXECUTE_METHODS:
        return CallKind.OTHER
    sql = executed_sql(site, resolver)
    if sql is None:
        statement = resolver.dotted_name(resolver.value(argument(site.call, 0, "sqltext", "statement")))
        return CallKind.DATA if _DATA_CALLS.search(statement) else CallKind.OTHER
    word = _FIRST_WORD.match(sql_without_literals(sql))
    first = word[1].lower() if word else ""
    return CallKind.SCHEMA if first in _SCHEMA_WORDS else CallKind.DATA if first in _DATA_WORDS else CallKind.OTHER


def changed_table(site: CallSite, resolver: NameResolver) -> str | None:
    """Return the table that a call changes, None where it is not known."""
    if site.name.startswith("batch."):
        return site.table
    if site.name.startswith("alembic.op.") and site.short_name in _SCHEMA_OPERATIONS:
        position = 0 if site.short_name in _OPERATIONS_WITH_TABLE_FIRST else 1
        return resolver.text(
            argument(site.call, position, "table_name", "source_table", "old_table_name"), site.parameter_texts
        )
    sql = executed_sql(site, resolver)
    if sql is not None:
        code = sql_without_literals(sql)
        found = _DATA_TABLE.search(code) or _SCHEMA_TABLE.search(code)
        return None if found is None or UNKNOWN_TEXT in found["name"] else name_in(found)
    if call_kind(site, resolver) is CallKind.DATA:
        return _table_of_expression(argument(site.call, 0, "sqltext", "statement"), resolver)
    return None


def _table_of_expression(node: ast.expr | None, resolver: NameResolver) -> str | None:
    """Return the name of the table that an expression of SQLAlchemy starts from."""
    for _ in range(20):
        value = resolver.value(node)
        if isinstance(value, ast.Call) and resolver.called_name(value.func) in {"table", "Table"}:
            return resolver.text(argument(value, 0, "name"))
        if (
            isinstance(value, ast.Call)
            and resolver.called_name(value.func) in {"update", "insert", "delete"}
            and value.args
        ):
            node = value.args[0]
        elif isinstance(value, ast.Call):
            node = value.func
        elif isinstance(value, ast.Attribute):
            node = value.value
        else:
            break
    return None
