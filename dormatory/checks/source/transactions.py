"""Rules of what a revision does with its transaction."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.registry import severity_at_most_warning
from dormatory.checks.source.call_sites import DIRECTIONS
from dormatory.checks.source.resolver import is_true, keyword_argument
from dormatory.checks.source.revision import CallKind, call_kind, changed_table, executed_sql, sql_without_literals

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.source.call_sites import CallSite
    from dormatory.checks.source.revision import RevisionSource

_FOREIGN_KEYS_PRAGMA = re.compile(r"\bPRAGMA\s+(?:\w+\.)?foreign_keys\s*[=(]", re.IGNORECASE)
_TRANSACTION_STATEMENT = re.compile(
    r"(?:^|;)\s*(?:COMMIT|END|ABORT|BEGIN|START\s+TRANSACTION|ROLLBACK(?!\s+(?:\w+\s+)?TO\b))\b\s*(?:\w+\s*)*(?:;|$)",
    re.IGNORECASE,
)
_ROUTINE = re.compile(r"\b(?:TRIGGER|FUNCTION|PROCEDURE)\b|^\s*DO\b", re.IGNORECASE)
_CONCURRENTLY = re.compile(r"\b(?:INDEX|REINDEX|TABLE|SCHEMA|PARTITION\s+\S+)\s+CONCURRENTLY\b", re.IGNORECASE)
_REVISION_CONNECTION = re.compile(r"get_bind\(\)|get_context\(\)|\.connection\b|(^|\.)(bind|conn|connection)\b")
_OTHER_CONNECTION = re.compile(r"begin_nested\(\)|create_engine\(\)|\.connect\(\)|cursor\(\)")
_SESSION = re.compile(r"[Ss]ession(maker)?\b")


def transaction_problems(source: RevisionSource, large_tables: Collection[str]) -> Iterator[Finding]:
    """Report what ends a transaction, needs to be outside one, or keeps one open for too long."""
    for site in source.call_sites:
        yield from _foreign_keys_pragma(source, site)
        yield from _ended_transaction(source, site)
        yield from _concurrently_in_transaction(source, site)
    for direction in DIRECTIONS:
        yield from _autocommit_not_alone(source, direction)
        yield from _schema_and_data(source, direction, large_tables)


def _foreign_keys_pragma(source: RevisionSource, site: CallSite) -> Iterator[Finding]:
    sql = executed_sql(site, source.resolver)
    if (
        sql is None
        or not _FOREIGN_KEYS_PRAGMA.search(sql_without_literals(sql))
        or not source.is_reached(site, "sqlite")
    ):
        return
    if site.in_autocommit:
        message = "it switches foreign keys for everything that follows on this connection"
        hint = "switch them back in another autocommit block, or leave it to env.py"
    else:
        message = "SQLite ignores this PRAGMA inside a transaction"
        hint = "remove it: env.py switches foreign keys off before the transaction; elsewhere use an autocommit block"
    severity = Severity.NOTE if site.in_autocommit else None
    yield source.finding("pragma-foreign-keys", site.call, message, hint, severity=severity, sql=sql)


def _ended_transaction(source: RevisionSource, site: CallSite) -> Iterator[Finding]:
    hint = "remove it; what cannot run in a transaction goes into op.get_context().autocommit_block()"
    severity = severity_at_most_warning("transaction-ended") if site.in_autocommit else None
    sql = executed_sql(site, source.resolver)
    if (
        sql is not None
        and _TRANSACTION_STATEMENT.search(code := sql_without_literals(sql))
        and not _ROUTINE.search(code)
    ):
        message = f"{sql.strip()} ends the transaction that the revision runs in"
        yield source.finding("transaction-ended", site.call, message, hint, severity=severity, sql=sql)
    if site.short_name not in {"commit", "rollback"} or _OTHER_CONNECTION.search(site.name):
        return
    if _SESSION.search(site.name):
        message = (
            f"{site.short_name}() of a session on the revision's connection is not a {site.short_name} of the revision"
        )
        severity, hint = Severity.NOTE, "flush() is enough: Alembic commits"
    elif _REVISION_CONNECTION.search(site.name):
        message = f"{site.short_name}() ends the transaction that the revision runs in"
    elif "()" in site.name or site.name.startswith(tuple(f"{name}." for name in source.resolver.origins.values())):
        return  # of something else that the revision made or imported, such as a search index
    else:
        message = f"{site.short_name}() may end the transaction that the revision runs in"
        severity = severity_at_most_warning("transaction-ended")
    yield source.finding("transaction-ended", site.call, message, hint, severity=severity)


def _concurrently_in_transaction(source: RevisionSource, site: CallSite) -> Iterator[Finding]:
    if site.in_autocommit or site.is_uncertain or not source.is_reached(site, "postgresql"):
        return
    word = keyword_argument(site.call, "postgresql_concurrently")
    sql = executed_sql(site, source.resolver)
    if is_true(word) or (sql is not None and _CONCURRENTLY.search(sql_without_literals(sql))):
        hint = "put it alone into: with op.get_context().autocommit_block():"
        message = "PostgreSQL refuses CONCURRENTLY inside a transaction"
        yield source.finding("concurrently-in-transaction", site.call, message, hint, sql=sql or "")


def _autocommit_not_alone(source: RevisionSource, direction: str) -> Iterator[Finding]:
    """Report an autocommit block in a direction that changes something outside it on the same backend."""
    for backend in sorted(source.backends):
        changes = [
            site
            for site in source.call_sites
            if site.direction == direction
            and backend in site.dialects
            and call_kind(site, source.resolver) is not CallKind.OTHER
        ]
        inside = [site for site in changes if site.in_autocommit]
        outside = [site for site in changes if not site.in_autocommit]
        if inside and outside:
            lines = ", ".join(str(line) for line in sorted({site.call.lineno for site in outside}))
            message = f"the autocommit block commits by itself, and the {direction} changes more in line {lines}"
            hint = "give the block a revision of its own"
            yield source.finding("autocommit-not-alone", _autocommit_block(source, inside[0]), message, hint)
            return


def _autocommit_block(source: RevisionSource, site: CallSite) -> ast.AST:
    """Return the call that opens the block that a call stands in, or the call itself."""
    for node in source.resolver.enclosing_nodes(site.call):
        if isinstance(node, ast.With):
            for item in node.items:
                if source.resolver.dotted_name(item.context_expr).endswith(".autocommit_block()"):
                    return item.context_expr
    return site.call


def _schema_and_data(source: RevisionSource, direction: str, large_tables: Collection[str]) -> Iterator[Finding]:
    """Report rows that are written while the lock of a change of their table's structure is held."""
    changed, created = set[str](), set[str]()
    for site in source.call_sites:
        if site.direction != direction or site.in_autocommit or site.is_uncertain:
            continue
        table = changed_table(site, source.resolver)
        if table is None or not source.is_reached(site, "postgresql"):
            continue
        kind = call_kind(site, source.resolver)
        if kind is CallKind.SCHEMA:
            is_new = (
                site.short_name == "create_table"
                or "create table" in (executed_sql(site, source.resolver) or "").lower()
            )
            (created if is_new else changed).add(table)
        elif kind is CallKind.DATA and table in changed - created:
            message = f"rows of {table} are written while the lock of its new structure is held"
            hint = "change the structure in one revision, the rows in the next, in batches"
            severity = Severity.WARNING if table in large_tables else None
            yield source.finding(
                "schema-and-data", site.call, message, hint, severity=severity, object=f"table {table}"
            )
