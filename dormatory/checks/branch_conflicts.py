"""The check that branches which are joined, or will have to be, do not change the same thing."""

from __future__ import annotations

import ast
import re
from itertools import combinations
from typing import TYPE_CHECKING, Any

from dormatory.checks.registry import finding
from dormatory.checks.source import read
from dormatory.checks.source.resolver import UNKNOWN, argument
from dormatory.checks.source.revision import Kind, bare, kind_of, sql_of, table_of
from dormatory.project.history import line_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.source.call_sites import Site
    from dormatory.checks.source.resolver import Reading
    from dormatory.project.graph import Links
    from dormatory.project.revision_files import Script

_WHOLE = ""  # a change of a table as such: it is made, dropped or renamed
_NAME = rf'(?:[\w"]+\.)?(?P<name>"[^"]+"|[\w{UNKNOWN}]+)'
_IF = r"(?:IF\s+(?:NOT\s+)?EXISTS\s+)?"
_OBJECT = re.compile(
    r"\b(?:CREATE|DROP|ALTER)\s+(?:OR\s+REPLACE\s+)?(?:UNIQUE\s+|MATERIALIZED\s+|TEMP\s+)?"
    rf"(?P<kind>INDEX|VIEW|TRIGGER|TYPE|FUNCTION|SEQUENCE|EXTENSION)\s+(?:CONCURRENTLY\s+)?{_IF}{_NAME}",
    re.IGNORECASE,
)
_COLUMN = re.compile(rf"\b(?:ADD|ALTER|DROP|RENAME)\s+COLUMN\s+{_IF}{_NAME}", re.IGNORECASE)
_CONSTRAINT = re.compile(rf"\bCONSTRAINT\s+{_IF}{_NAME}", re.IGNORECASE)
_SET = re.compile(rf"\bSET\s+{_NAME}\s*=", re.IGNORECASE)
_TABLES = re.compile(r"\b(?:CREATE|DROP)\s+(?:\w+\s+)?TABLE\b|\bRENAME\s+TO\b", re.IGNORECASE)
_COLUMNS = frozenset({"add_column", "alter_column", "drop_column"})
_INDEXES = frozenset({"create_index", "drop_index"})
_WHOLE_TABLES = frozenset({"create_table", "drop_table", "rename_table"})


def collisions(links: Links) -> Iterator[Finding]:
    """Report what two branches both change, at the revision that joins them, or at the later head."""
    joins = [(name, parents) for name, parents in links.parents.items() if len(parents) > 1]
    if len(links.heads) > 1:
        joins.append((links.heads[-1], links.heads))
    for name, tips in joins:
        script = links.scripts[name]
        for left, right in combinations(tips, 2):
            ours, theirs = links.ancestors([left]), links.ancestors([right])
            for what, one, other in _same(links, ours - theirs, theirs - ours):
                line = line_of(script.tree, "down_revision") if script.tree is not None else 0
                message = f"revisions {one} and {other}, each on a branch of its own, both change {what}"
                hint = "put one behind the other, or say which comes first: depends_on"
                where: dict[str, Any] = {"revision": name, "file": str(script.path), "line": line or 1, "object": what}
                yield finding("branches-collide", message, hint, **where)


def _same(links: Links, ours: set[str], theirs: set[str]) -> Iterator[tuple[str, str, str]]:
    """Yield what both sides change, and the revisions that do."""
    mine = {touched: name for name in sorted(ours) for touched in _touched(links.scripts[name])}
    seen = set[str]()
    for name in sorted(theirs):
        for kind, within, part in sorted(_touched(links.scripts[name])):
            met = next((item for item in mine if _is_same(item, (kind, within, part))), None)
            what = f"table {within}" if kind == "table" and part == _WHOLE else f"{kind} {within}{part}"
            if met and what not in seen:
                seen.add(what)
                yield what, mine[met], name


def _is_same(one: tuple[str, str, str], other: tuple[str, str, str]) -> bool:
    """Say whether two changes are of one thing; a table as such is the same as each of its columns."""
    of_tables = {one[0], other[0]} <= {"table", "column"}
    return one == other or (of_tables and one[1].rstrip(".") == other[1].rstrip(".") and "table" in {one[0], other[0]})


def _touched(script: Script) -> set[tuple[str, str, str]]:
    """Return what the upgrade of a revision changes: kind, table with a dot or nothing, name."""
    if script.tree is None or script.revision is None:
        return set()
    revised = read(script.tree, script.source, script.revision)
    found: set[tuple[str, str, str]] = set()
    for site in revised.sites:
        if site.direction == "upgrade" and kind_of(site, revised.reading) is not Kind.OTHER:
            found.update(item for item in _by(site, revised.reading) if UNKNOWN not in item[1] + item[2])
    return found


def _by(site: Site, reading: Reading) -> Iterator[tuple[str, str, str]]:
    table, sql = table_of(site, reading), sql_of(site, reading)
    if sql is not None:
        code = bare(sql)
        yield from ((found["kind"].lower(), "", found["name"].strip('"')) for found in _OBJECT.finditer(code))
        if table:
            pattern = _SET if kind_of(site, reading) is Kind.DATA else _COLUMN
            yield from (("column", f"{table}.", found["name"].strip('"')) for found in pattern.finditer(code))
            yield from (("constraint", f"{table}.", found["name"].strip('"')) for found in _CONSTRAINT.finditer(code))
            if _TABLES.search(code):
                yield "table", table, _WHOLE
    elif site.last in _INDEXES:
        yield from (("index", "", name) for name in _texts(reading, site, argument(site.call, 0, "index_name")))
    elif site.last in _WHOLE_TABLES and table:
        yield "table", table, _WHOLE
    elif site.last in _COLUMNS and table:
        # The table of a batch operation is its block's.
        named = argument(site.call, 0 if site.name.startswith("batch.") else 1, "column_name", "column")
        column = reading.value(named)
        named = argument(column, 0, "name") if isinstance(column, ast.Call) else named
        yield from (("column", f"{table}.", name) for name in _texts(reading, site, named))
    elif "constraint" in site.last or site.last in {"create_foreign_key", "create_primary_key"}:
        named = argument(site.call, 0, "constraint_name")
        yield from (("constraint", f"{table or ''}.", name) for name in _texts(reading, site, named))


def _texts(reading: Reading, site: Site, node: ast.expr | None) -> Iterator[str]:
    text = reading.text(node, site.texts)
    if text:
        yield text
