"""The check that two branches, joined by a merge or still to be joined, do not change the same thing."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.revision_files import finding_in
from dormatory.checks.rule import Rule
from dormatory.checks.source import read_revision
from dormatory.checks.source.resolver import UNKNOWN_TEXT, argument
from dormatory.checks.source.revision import CallKind, call_kind, changed_table, executed_sql
from dormatory.checks.source.sql_text import IF_EXISTS, NAME, name_in, sql_without_literals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.source.call_sites import CallSite
    from dormatory.checks.source.resolver import NameResolver
    from dormatory.project.graph import RevisionGraph
    from dormatory.project.script import Script

_OBJECT_STATEMENT = re.compile(
    r"\b(?:CREATE|DROP|ALTER)\s+(?:OR\s+REPLACE\s+)?(?:UNIQUE\s+|MATERIALIZED\s+|TEMP\s+)?"
    rf"(?P<kind>INDEX|VIEW|TRIGGER|TYPE|FUNCTION|SEQUENCE|EXTENSION)\s+(?:CONCURRENTLY\s+)?{IF_EXISTS}{NAME}",
    re.IGNORECASE,
)
_COLUMN_CLAUSE = re.compile(rf"\b(?:ADD|ALTER|DROP|RENAME)\s+COLUMN\s+{IF_EXISTS}{NAME}", re.IGNORECASE)
_CONSTRAINT_CLAUSE = re.compile(rf"\bCONSTRAINT\s+{IF_EXISTS}{NAME}", re.IGNORECASE)
_SET_CLAUSE = re.compile(rf"\bSET\s+{NAME}\s*=", re.IGNORECASE)
_TABLE_STATEMENT = re.compile(r"\b(?:CREATE|DROP)\s+(?:\w+\s+)?TABLE\b|\bRENAME\s+TO\b", re.IGNORECASE)
_COLUMN_OPERATIONS = frozenset({"add_column", "alter_column", "drop_column"})
_INDEX_OPERATIONS = frozenset({"create_index", "drop_index"})
_TABLE_OPERATIONS = frozenset({"create_table", "drop_table", "rename_table"})

BRANCHES_COLLIDE = Rule(
    "branches-collide",
    "graph",
    Severity.WARNING,
    meaning="branches that are joined change the same thing",
    why="Each was written without the other. Which of them is applied last is chance, and so is the result.",
    recipe="""
    # one after the other instead of side by side:
    down_revision = "014"
    # or, where the branches stay, in a declared order:
    depends_on = "014"
    """,
)


def branch_conflicts(graph: RevisionGraph) -> Iterator[Finding]:
    """Report what two branches both change, at the revision that joins them, or at the later head."""
    joins = [(name, parents) for name, parents in graph.parents.items() if len(parents) > 1]
    if len(graph.heads) > 1:
        joins.append((graph.heads[-1], graph.heads))
    for name, tips in joins:
        for left, right in combinations(tips, 2):
            before_left, before_right = graph.ancestors([left]), graph.ancestors([right])
            for what, one, other in _common_changes(graph, before_left - before_right, before_right - before_left):
                message = f"revisions {one} and {other}, each on a branch of its own, both change {what}"
                hint = "put one behind the other, or declare which comes first: depends_on"
                script = graph.scripts[name]
                yield finding_in(script, BRANCHES_COLLIDE, message, hint, name="down_revision", object_name=what)


@dataclass(frozen=True, slots=True, order=True)
class _ChangedObject:
    """What a revision changes; `name` is "" where it creates, drops or renames the table itself."""

    kind: str
    table: str = ""
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {'.'.join(part for part in (self.table, self.name) if part)}"

    def overlaps(self, other: _ChangedObject) -> bool:
        """Return whether two changes concern the same thing; a table overlaps with each of its columns."""
        kinds = {self.kind, other.kind}
        return self == other or (kinds == {"table", "column"} and self.table == other.table)


def _common_changes(graph: RevisionGraph, left: set[str], right: set[str]) -> Iterator[tuple[str, str, str]]:
    """Yield what the revisions of both branches change, and one revision of each that does."""
    revision_by_object = {changed: name for name in sorted(left) for changed in _changed_objects(graph.scripts[name])}
    seen = set[str]()
    for name in sorted(right):
        for changed in sorted(_changed_objects(graph.scripts[name])):
            counterpart = next((item for item in revision_by_object if item.overlaps(changed)), None)
            if counterpart and str(changed) not in seen:
                seen.add(str(changed))
                yield str(changed), revision_by_object[counterpart], name


def _changed_objects(script: Script) -> set[_ChangedObject]:
    """Return what the upgrade of a revision changes, as far as the names are known."""
    if script.tree is None or script.revision is None:
        return set()
    source = read_revision(script.tree, script.source, script.revision)
    return {
        changed
        for site in source.call_sites
        if site.direction == "upgrade" and call_kind(site, source.resolver) is not CallKind.OTHER
        for changed in _objects_changed_by(site, source.resolver)
        if UNKNOWN_TEXT not in changed.table + changed.name
    }


def _objects_changed_by(site: CallSite, resolver: NameResolver) -> Iterator[_ChangedObject]:
    table, sql = changed_table(site, resolver) or "", executed_sql(site, resolver)
    if sql is not None:
        is_data = call_kind(site, resolver) is CallKind.DATA
        yield from _objects_in_sql(sql_without_literals(sql), table, _SET_CLAUSE if is_data else _COLUMN_CLAUSE)
    elif site.short_name in _INDEX_OPERATIONS:
        yield from _named_object("index", "", resolver, site, argument(site.call, 0, "index_name"))
    elif site.short_name in _TABLE_OPERATIONS and table:
        yield _ChangedObject("table", table)
    elif site.short_name in _COLUMN_OPERATIONS and table:
        # A batch operation has its table from its block.
        argument_name = argument(site.call, 0 if site.name.startswith("batch.") else 1, "column_name", "column")
        column = resolver.value(argument_name)
        named = argument(column, 0, "name") if isinstance(column, ast.Call) else argument_name
        yield from _named_object("column", table, resolver, site, named)
    elif "constraint" in site.short_name or site.short_name in {"create_foreign_key", "create_primary_key"}:
        yield from _named_object("constraint", table, resolver, site, argument(site.call, 0, "constraint_name"))


def _objects_in_sql(code: str, table: str, columns: re.Pattern[str]) -> Iterator[_ChangedObject]:
    """Yield what a statement changes; `columns` finds the columns of its table."""
    for found in _OBJECT_STATEMENT.finditer(code):
        yield _ChangedObject(found["kind"].lower(), name=name_in(found))
    if table:
        for kind, pattern in (("column", columns), ("constraint", _CONSTRAINT_CLAUSE)):
            yield from (_ChangedObject(kind, table, name_in(found)) for found in pattern.finditer(code))
        if _TABLE_STATEMENT.search(code):
            yield _ChangedObject("table", table)


def _named_object(
    kind: str, table: str, resolver: NameResolver, site: CallSite, node: ast.expr | None
) -> Iterator[_ChangedObject]:
    name = resolver.text(node, site.parameter_texts)
    if name:
        yield _ChangedObject(kind, table, name)
