"""Rules about what a revision does inside a transaction that belongs outside, or the other way round."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule
from dormatory.checks.source.call_sites import DIRECTIONS
from dormatory.checks.source.resolver import is_true, keyword_argument
from dormatory.checks.source.revision import CallKind, call_kind, changed_table, executed_sql
from dormatory.checks.source.sql_text import sql_without_literals

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.source.call_sites import CallSite
    from dormatory.checks.source.played_legs import PlayedLegs
    from dormatory.checks.source.revision import RevisionSource

_CONCURRENTLY = re.compile(r"\b(?:INDEX|REINDEX|TABLE|SCHEMA|PARTITION\s+\S+)\s+CONCURRENTLY\b", re.IGNORECASE)


def transaction_problems(
    source: RevisionSource, large_tables: Collection[str], played: PlayedLegs
) -> Iterator[Finding]:
    """Report what needs to be outside a transaction, or keeps one open for too long."""
    for site in source.call_sites:
        yield from _concurrently_in_transaction(source, site)
    for direction in DIRECTIONS:
        yield from _autocommit_not_alone(source, direction)
        yield from _schema_and_data(source, direction, large_tables, played)


CONCURRENTLY_IN_TRANSACTION = Rule(
    "concurrently-in-transaction",
    "source",
    Severity.ERROR,
    meaning="CONCURRENTLY outside an autocommit block",
    why="PostgreSQL refuses to build or drop an index concurrently inside a transaction.",
    recipe="""
    with op.get_context().autocommit_block():
        op.create_index("ix_a_b", "a", ["b"], postgresql_concurrently=True)
    """,
)


def _concurrently_in_transaction(source: RevisionSource, site: CallSite) -> Iterator[Finding]:
    if site.in_autocommit or site.is_uncertain or not source.is_reached(site, "postgresql"):
        return
    word = keyword_argument(site.call, "postgresql_concurrently")
    sql = executed_sql(site, source.resolver)
    if is_true(word) or (sql is not None and _CONCURRENTLY.search(sql_without_literals(sql))):
        hint = "put it alone into: with op.get_context().autocommit_block():"
        message = "PostgreSQL refuses CONCURRENTLY inside a transaction"
        yield source.finding(CONCURRENTLY_IN_TRANSACTION, site.call, message, hint, sql=sql or "")


AUTOCOMMIT_NOT_ALONE = Rule(
    "autocommit-not-alone",
    "source",
    Severity.NOTE,
    meaning="an autocommit block is not alone in its revision",
    why="""The block commits all that ran before it. When the block or what follows fails, that stays, the revision is
    not written down, and the next attempt trips over it. It is a note because nobody has to wait for it, and what
    was built concurrently is often needed by the next statement.""",
    recipe="""
    def upgrade() -> None:  # and nothing else in this revision
        with op.get_context().autocommit_block():
            op.create_index("ix_a_b", "a", ["b"], postgresql_concurrently=True)
    """,
)


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
            yield source.finding(AUTOCOMMIT_NOT_ALONE, _autocommit_block(source, inside[0]), message, hint)
            return


def _autocommit_block(source: RevisionSource, site: CallSite) -> ast.AST:
    """Return the call that opens the block around a call, or the call itself."""
    for node in source.resolver.enclosing_nodes(site.call):
        if isinstance(node, ast.With):
            for item in node.items:
                if source.resolver.dotted_name(item.context_expr).endswith(".autocommit_block()"):
                    return item.context_expr
    return site.call


SCHEMA_AND_DATA = Rule(
    "schema-and-data",
    "source",
    Severity.NOTE,
    meaning="a revision changes a table's structure and its rows in one transaction",
    why="""The lock of the structure lasts until the last row is written. On a table that `large_tables` names it is a
    warning.""",
    recipe="""
    # 014: the column    015: the rows, in batches    016: NOT NULL
    with op.get_context().autocommit_block():
        while op.get_bind().execute(batch_of_a_thousand).rowcount: ...
    """,
)


def _schema_and_data(
    source: RevisionSource, direction: str, large_tables: Collection[str], played: PlayedLegs
) -> Iterator[Finding]:
    """Report rows that are written while the transaction holds the lock of a change of their table's structure.

    Where PostgreSQL has played the revision, the locks that it took are reported instead: backfill-with-ddl.
    """
    changed, created = set[str](), set[str]()
    written: dict[str, CallSite] = {}
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
        elif kind is not CallKind.DATA or table not in changed - created:
            continue
        elif table in large_tables or not played.has_passed(site, "postgresql"):
            written.setdefault(table, site)
    if written:
        tables = sorted(written)
        message = f"rows of {', '.join(tables)} are written while the lock of the new structure is held"
        hint = "change the structure in one revision, the rows in the next, in batches"
        severity = Severity.WARNING if set(tables) & set(large_tables) else None
        first = next(iter(written.values()))
        yield source.finding(
            SCHEMA_AND_DATA, first.call, message, hint, severity=severity, object_name=f"table {tables[0]}"
        )
