"""Rules of what a revision does with its transaction."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.registry import lessened
from dormatory.checks.source.call_sites import DIRECTIONS
from dormatory.checks.source.resolver import is_true, keyword
from dormatory.checks.source.revision import Kind, bare, kind_of, sql_of, table_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.source.call_sites import Site
    from dormatory.checks.source.revision import Revised

_PRAGMA = re.compile(r"\bPRAGMA\s+(?:\w+\.)?foreign_keys\s*[=(]", re.IGNORECASE)
_ENDING = re.compile(
    r"(?:^|;)\s*(?:COMMIT|END|ABORT|BEGIN|START\s+TRANSACTION|ROLLBACK(?!\s+(?:\w+\s+)?TO\b))\b\s*(?:\w+\s*)*(?:;|$)",
    re.IGNORECASE,
)
_ROUTINE = re.compile(r"\b(?:TRIGGER|FUNCTION|PROCEDURE)\b|^\s*DO\b", re.IGNORECASE)
_CONCURRENTLY = re.compile(r"\b(?:INDEX|REINDEX|TABLE|SCHEMA|PARTITION\s+\S+)\s+CONCURRENTLY\b", re.IGNORECASE)
_OWN = re.compile(r"get_bind\(\)|get_context\(\)|\.connection\b|(^|\.)(bind|conn|connection)\b")
_ELSEWHERE = re.compile(r"begin_nested\(\)|create_engine\(\)|\.connect\(\)|cursor\(\)")
_SESSION = re.compile(r"[Ss]ession(maker)?\b")


def transactions(revised: Revised, large_tables: Collection[str]) -> Iterator[Finding]:
    """Report what ends a transaction, needs to be outside one, or keeps one open for too long."""
    for site in revised.sites:
        yield from _pragma(revised, site)
        yield from _ended(revised, site)
        yield from _concurrently(revised, site)
    for direction in DIRECTIONS:
        yield from _not_alone(revised, direction)
        yield from _schema_and_data(revised, direction, large_tables)


def _pragma(revised: Revised, site: Site) -> Iterator[Finding]:
    sql = sql_of(site, revised.reading)
    if sql is None or not _PRAGMA.search(bare(sql)) or not revised.runs_on(site, "sqlite"):
        return
    if site.in_autocommit:
        message = "it switches foreign keys for everything that follows on this connection"
        hint = "switch them back in another autocommit block, or leave it to env.py"
    else:
        message = "SQLite ignores this PRAGMA inside a transaction"
        hint = "remove it: env.py switches foreign keys off before the transaction; elsewhere use an autocommit block"
    severity = Severity.NOTE if site.in_autocommit else None
    yield revised.finding("pragma-foreign-keys", site.call, message, hint, severity=severity, sql=sql)


def _ended(revised: Revised, site: Site) -> Iterator[Finding]:
    hint = "remove it; what cannot run in a transaction goes into op.get_context().autocommit_block()"
    severity = lessened("transaction-ended") if site.in_autocommit else None
    sql = sql_of(site, revised.reading)
    if sql is not None and _ENDING.search(code := bare(sql)) and not _ROUTINE.search(code):
        message = f"{sql.strip()} ends the transaction that the revision runs in"
        yield revised.finding("transaction-ended", site.call, message, hint, severity=severity, sql=sql)
    if site.last not in {"commit", "rollback"} or _ELSEWHERE.search(site.name):
        return
    if _SESSION.search(site.name):
        message = f"{site.last}() of a session on the revision's connection is not a {site.last} of the revision"
        severity, hint = Severity.NOTE, "flush() is enough: Alembic commits"
    elif _OWN.search(site.name):
        message = f"{site.last}() ends the transaction that the revision runs in"
    elif "()" in site.name or site.name.startswith(tuple(f"{name}." for name in revised.reading.origins.values())):
        return  # of something else that the revision made or imported, such as a search index
    else:
        message = f"{site.last}() may end the transaction that the revision runs in"
        severity = lessened("transaction-ended")
    yield revised.finding("transaction-ended", site.call, message, hint, severity=severity)


def _concurrently(revised: Revised, site: Site) -> Iterator[Finding]:
    if site.in_autocommit or site.is_vague or not revised.runs_on(site, "postgresql"):
        return
    word = keyword(site.call, "postgresql_concurrently")
    sql = sql_of(site, revised.reading)
    if is_true(word) or (sql is not None and _CONCURRENTLY.search(bare(sql))):
        hint = "put it alone into: with op.get_context().autocommit_block():"
        message = "PostgreSQL refuses CONCURRENTLY inside a transaction"
        yield revised.finding("concurrently-in-transaction", site.call, message, hint, sql=sql or "")


def _not_alone(revised: Revised, direction: str) -> Iterator[Finding]:
    """Report an autocommit block in a direction that changes something outside it on the same backend."""
    for backend in sorted(revised.backends):
        changes = [
            site
            for site in revised.sites
            if site.direction == direction
            and backend in site.dialects
            and kind_of(site, revised.reading) is not Kind.OTHER
        ]
        inside = [site for site in changes if site.in_autocommit]
        outside = [site for site in changes if not site.in_autocommit]
        if inside and outside:
            lines = ", ".join(str(line) for line in sorted({site.call.lineno for site in outside}))
            message = f"the autocommit block commits by itself, and the {direction} changes more in line {lines}"
            hint = "give the block a revision of its own"
            yield revised.finding("autocommit-not-alone", _block(revised, inside[0]), message, hint)
            return


def _block(revised: Revised, site: Site) -> ast.AST:
    """Return the call that opens the block that a call stands in, or the call itself."""
    for node in revised.reading.enclosing(site.call):
        if isinstance(node, ast.With):
            for item in node.items:
                if revised.reading.dotted(item.context_expr).endswith(".autocommit_block()"):
                    return item.context_expr
    return site.call


def _schema_and_data(revised: Revised, direction: str, large_tables: Collection[str]) -> Iterator[Finding]:
    """Report rows that are written while the lock of a change of their table's structure is held."""
    changed, made = set[str](), set[str]()
    for site in revised.sites:
        if site.direction != direction or site.in_autocommit or site.is_vague:
            continue
        table = table_of(site, revised.reading)
        if table is None or not revised.runs_on(site, "postgresql"):
            continue
        kind = kind_of(site, revised.reading)
        if kind is Kind.SCHEMA:
            is_new = site.last == "create_table" or "create table" in (sql_of(site, revised.reading) or "").lower()
            (made if is_new else changed).add(table)
        elif kind is Kind.DATA and table in changed - made:
            message = f"rows of {table} are written while the lock of its new structure is held"
            hint = "change the structure in one revision, the rows in the next, in batches"
            severity = Severity.WARNING if table in large_tables else None
            yield revised.finding(
                "schema-and-data", site.call, message, hint, severity=severity, object=f"table {table}"
            )
