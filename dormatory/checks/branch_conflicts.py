"""The check that branches which are joined, or will have to be, do not change the same thing."""

from __future__ import annotations

import ast
import re
from itertools import combinations
from typing import TYPE_CHECKING, Any

from dormatory.checks.registry import finding
from dormatory.checks.source import read_revision
from dormatory.checks.source.resolver import UNKNOWN_TEXT, argument
from dormatory.checks.source.revision import CallKind, call_kind, changed_table, executed_sql, sql_without_literals
from dormatory.project.script import function_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.source.call_sites import CallSite
    from dormatory.checks.source.resolver import NameResolver
    from dormatory.project.graph import RevisionGraph
    from dormatory.project.script import Script

_WHOLE_TABLE = ""  # a change of a table as such: it is made, dropped or renamed
_NAME_IN_SQL = rf'(?:[\w"]+\.)?(?P<name>"[^"]+"|[\w{UNKNOWN_TEXT}]+)'
_IF_EXISTS = r"(?:IF\s+(?:NOT\s+)?EXISTS\s+)?"
_OBJECT_STATEMENT = re.compile(
    r"\b(?:CREATE|DROP|ALTER)\s+(?:OR\s+REPLACE\s+)?(?:UNIQUE\s+|MATERIALIZED\s+|TEMP\s+)?"
    rf"(?P<kind>INDEX|VIEW|TRIGGER|TYPE|FUNCTION|SEQUENCE|EXTENSION)\s+(?:CONCURRENTLY\s+)?{_IF_EXISTS}{_NAME_IN_SQL}",
    re.IGNORECASE,
)
_COLUMN_CLAUSE = re.compile(rf"\b(?:ADD|ALTER|DROP|RENAME)\s+COLUMN\s+{_IF_EXISTS}{_NAME_IN_SQL}", re.IGNORECASE)
_CONSTRAINT_CLAUSE = re.compile(rf"\bCONSTRAINT\s+{_IF_EXISTS}{_NAME_IN_SQL}", re.IGNORECASE)
_SET_CLAUSE = re.compile(rf"\bSET\s+{_NAME_IN_SQL}\s*=", re.IGNORECASE)
_TABLE_STATEMENT = re.compile(r"\b(?:CREATE|DROP)\s+(?:\w+\s+)?TABLE\b|\bRENAME\s+TO\b", re.IGNORECASE)
_COLUMN_OPERATIONS = frozenset({"add_column", "alter_column", "drop_column"})
_INDEX_OPERATIONS = frozenset({"create_index", "drop_index"})
_TABLE_OPERATIONS = frozenset({"create_table", "drop_table", "rename_table"})


def branch_conflicts(graph: RevisionGraph) -> Iterator[Finding]:
    """Report what two branches both change, at the revision that joins them, or at the later head."""
    joins = [(name, parents) for name, parents in graph.parents.items() if len(parents) > 1]
    if len(graph.heads) > 1:
        joins.append((graph.heads[-1], graph.heads))
    for name, tips in joins:
        script = graph.scripts[name]
        for left, right in combinations(tips, 2):
            ours, theirs = graph.ancestors([left]), graph.ancestors([right])
            for what, one, other in _common_changes(graph, ours - theirs, theirs - ours):
                line = function_line(script.tree, "down_revision") if script.tree is not None else 0
                message = f"revisions {one} and {other}, each on a branch of its own, both change {what}"
                hint = "put one behind the other, or say which comes first: depends_on"
                where: dict[str, Any] = {"revision": name, "file": str(script.path), "line": line or 1, "object": what}
                yield finding("branches-collide", message, hint, **where)


def _common_changes(graph: RevisionGraph, ours: set[str], theirs: set[str]) -> Iterator[tuple[str, str, str]]:
    """Yield what both sides change, and the revisions that do."""
    our_revisions = {touched: name for name in sorted(ours) for touched in _changed_objects(graph.scripts[name])}
    seen = set[str]()
    for name in sorted(theirs):
        for kind, within, part in sorted(_changed_objects(graph.scripts[name])):
            counterpart = next((item for item in our_revisions if _is_same(item, (kind, within, part))), None)
            what = f"table {within}" if kind == "table" and part == _WHOLE_TABLE else f"{kind} {within}{part}"
            if counterpart and what not in seen:
                seen.add(what)
                yield what, our_revisions[counterpart], name


def _is_same(one: tuple[str, str, str], other: tuple[str, str, str]) -> bool:
    """Say whether two changes are of one thing; a table as such is the same as each of its columns."""
    of_tables = {one[0], other[0]} <= {"table", "column"}
    return one == other or (of_tables and one[1].rstrip(".") == other[1].rstrip(".") and "table" in {one[0], other[0]})


def _changed_objects(script: Script) -> set[tuple[str, str, str]]:
    """Return what the upgrade of a revision changes: kind, table with a dot or nothing, name."""
    if script.tree is None or script.revision is None:
        return set()
    source = read_revision(script.tree, script.source, script.revision)
    found: set[tuple[str, str, str]] = set()
    for site in source.call_sites:
        if site.direction == "upgrade" and call_kind(site, source.resolver) is not CallKind.OTHER:
            found.update(
                item for item in _objects_changed_by(site, source.resolver) if UNKNOWN_TEXT not in item[1] + item[2]
            )
    return found


def _objects_changed_by(site: CallSite, resolver: NameResolver) -> Iterator[tuple[str, str, str]]:
    table, sql = changed_table(site, resolver), executed_sql(site, resolver)
    if sql is not None:
        code = sql_without_literals(sql)
        yield from ((found["kind"].lower(), "", found["name"].strip('"')) for found in _OBJECT_STATEMENT.finditer(code))
        if table:
            pattern = _SET_CLAUSE if call_kind(site, resolver) is CallKind.DATA else _COLUMN_CLAUSE
            yield from (("column", f"{table}.", found["name"].strip('"')) for found in pattern.finditer(code))
            yield from (
                ("constraint", f"{table}.", found["name"].strip('"')) for found in _CONSTRAINT_CLAUSE.finditer(code)
            )
            if _TABLE_STATEMENT.search(code):
                yield "table", table, _WHOLE_TABLE
    elif site.short_name in _INDEX_OPERATIONS:
        yield from (("index", "", name) for name in _known_texts(resolver, site, argument(site.call, 0, "index_name")))
    elif site.short_name in _TABLE_OPERATIONS and table:
        yield "table", table, _WHOLE_TABLE
    elif site.short_name in _COLUMN_OPERATIONS and table:
        # The table of a batch operation is its block's.
        named = argument(site.call, 0 if site.name.startswith("batch.") else 1, "column_name", "column")
        column = resolver.value(named)
        named = argument(column, 0, "name") if isinstance(column, ast.Call) else named
        yield from (("column", f"{table}.", name) for name in _known_texts(resolver, site, named))
    elif "constraint" in site.short_name or site.short_name in {"create_foreign_key", "create_primary_key"}:
        named = argument(site.call, 0, "constraint_name")
        yield from (("constraint", f"{table or ''}.", name) for name in _known_texts(resolver, site, named))


def _known_texts(resolver: NameResolver, site: CallSite, node: ast.expr | None) -> Iterator[str]:
    text = resolver.text(node, site.parameter_texts)
    if text:
        yield text
