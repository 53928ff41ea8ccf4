"""Rules about what a revision does to the transaction that it runs in: ends it, or sends what it makes useless."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule
from dormatory.checks.source.call_sites import DIRECTIONS
from dormatory.checks.source.raising import always_raises_after
from dormatory.checks.source.revision import executed_sql
from dormatory.checks.source.sql_text import sql_without_literals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.source.call_sites import CallSite
    from dormatory.checks.source.played_legs import PlayedLegs
    from dormatory.checks.source.revision import RevisionSource

_TRANSACTION_STATEMENT = re.compile(
    r"(?:^|;)\s*(?:COMMIT|END|ABORT|BEGIN|START\s+TRANSACTION|ROLLBACK(?!\s+(?:\w+\s+)?TO\b))\b\s*(?:\w+\s*)*(?:;|$)",
    re.IGNORECASE,
)
_ROLLBACK = re.compile(r"^[\s;]*(?:ROLLBACK|ABORT)\b[^;]*;?\s*$", re.IGNORECASE)
_BEGIN = re.compile(r"^[\s;]*(?:BEGIN|START)\b[^;]*;?\s*$", re.IGNORECASE)
_ROUTINE = re.compile(r"\b(?:TRIGGER|FUNCTION|PROCEDURE)\b|^\s*DO\b", re.IGNORECASE)
_REVISION_CONNECTION = re.compile(r"get_bind\(\)|get_context\(\)|\.connection\b|(^|\.)(bind|conn|connection)\b")
_OTHER_CONNECTION = re.compile(r"begin_nested\(\)|create_engine\(\)|\.connect\(\)|cursor\(\)")
_SESSION = re.compile(r"[Ss]ession(maker)?\b")

TRANSACTION_ENDED = Rule(
    "transaction-ended",
    "source",
    Severity.ERROR,
    meaning="a revision commits or rolls back by itself",
    why="""The transaction is Alembic's, and holds the entry in the version table, too. Ended early, the revision is
    half applied, or applied and not written down. Where the revision was played, only what really ended a transaction
    is reported; a rollback before an exception that stops the revision is none.""",
    recipe="""
    with op.get_context().autocommit_block():  # alone in its revision
        op.execute("ALTER TYPE grade ADD VALUE 'top'")
    """,
    replaces=("ban-uncommitted-transaction", "transaction-nesting"),
)
_NO_COMMIT = "remove it; what cannot run in a transaction goes into op.get_context().autocommit_block()"
_NO_ROLLBACK = "to undo a part only: with op.get_bind().begin_nested():"


def ended_transactions(source: RevisionSource, played: PlayedLegs) -> Iterator[Finding]:
    """Report calls that ended the transaction of a revision, or would where the revision was not played."""
    for site in source.call_sites:
        if not site.dialects & source.backends:
            continue
        has_passed = played.has_passed(site)
        if not has_passed and _is_rollback(source, site) and always_raises_after(source.resolver, site.call):
            continue  # the exception has Alembic roll back just the same
        measured = tuple(_measured_end(source, site, played))
        yield from measured
        if not measured and not has_passed:
            yield from _expected_end(source, site)


def _is_rollback(source: RevisionSource, site: CallSite) -> bool:
    return site.short_name == "rollback" or bool(_ROLLBACK.match(executed_sql(site, source.resolver) or ""))


def _measured_end(source: RevisionSource, site: CallSite, played: PlayedLegs) -> Iterator[Finding]:
    """Report a call at which a transaction ended in a replay."""
    for statement in played.statements_at(site):
        if statement.transaction and _is_transaction_statement(statement.sql) and not _BEGIN.match(statement.sql):
            message = f"{statement.sql} ends the transaction that the revision runs in"
            yield source.finding(TRANSACTION_ENDED, site.call, message, _NO_COMMIT, sql=statement.sql)
    for _, leg in played.legs:
        for end in leg.transaction_ends if site.direction in leg.direction.value else ():
            if site.short_name == end.verb.lower() and played.is_at(end.location.path, end.location.line, site.call):
                yield _call_finding(source, site)


def _expected_end(source: RevisionSource, site: CallSite) -> Iterator[Finding]:
    """Report a call that ends a transaction as far as its text shows."""
    severity = Severity.WARNING if site.in_autocommit else None
    sql = executed_sql(site, source.resolver)
    if sql is not None and _is_transaction_statement(sql):
        message = f"{sql.strip()} ends the transaction that the revision runs in"
        yield source.finding(TRANSACTION_ENDED, site.call, message, _NO_COMMIT, severity=severity, sql=sql)
    if site.short_name not in {"commit", "rollback"} or _OTHER_CONNECTION.search(site.name):
        return
    if _SESSION.search(site.name) and site.short_name == "commit":
        message = "commit() of a session on the revision's connection is not a commit of the revision"
        hint = "flush() is enough: Alembic commits"
        yield source.finding(TRANSACTION_ENDED, site.call, message, hint, severity=Severity.NOTE)
    elif _SESSION.search(site.name) or _REVISION_CONNECTION.search(site.name):
        yield _call_finding(source, site, severity=severity)
    elif "()" not in site.name and not site.name.startswith(tuple(f"{it}." for it in source.resolver.origins.values())):
        # Not of something else that the revision created or imported, such as a search index.
        message = f"{site.short_name}() may end the transaction that the revision runs in"
        yield source.finding(TRANSACTION_ENDED, site.call, message, _NO_COMMIT, severity=Severity.WARNING)


def _call_finding(source: RevisionSource, site: CallSite, *, severity: Severity | None = None) -> Finding:
    is_rollback = site.short_name == "rollback"
    of_session = " of a session" if _SESSION.search(site.name) else ""
    does = "rolls back" if is_rollback else "ends"
    message = f"{site.short_name}(){of_session} {does} the transaction that the revision runs in"
    hint = _NO_ROLLBACK if is_rollback else _NO_COMMIT
    return source.finding(TRANSACTION_ENDED, site.call, message, hint, severity=severity)


def _is_transaction_statement(sql: str) -> bool:
    code = sql_without_literals(sql)
    return bool(_TRANSACTION_STATEMENT.search(code)) and not _ROUTINE.search(code)


_FOREIGN_KEYS_PRAGMA = re.compile(r"\bPRAGMA\s+(?:\w+\.)?foreign_keys\s*[=(]\s*(?P<value>\w*)", re.IGNORECASE)
_AUTOCOMMIT_PRAGMA = """with op.get_context().autocommit_block():
    op.execute("PRAGMA foreign_keys = {}")"""

PRAGMA_FOREIGN_KEYS = Rule(
    "pragma-foreign-keys",
    "source",
    Severity.WARNING,
    meaning="a revision switches foreign keys with a PRAGMA, and SQLite ignores it or they stay switched",
    why="""Inside a transaction SQLite ignores it: the revision looks protected, and rebuilding a table deletes the
    rows that refer to it. Outside, it holds for everything that follows on this connection. SQLite was asked while
    the revision was played.""",
    recipe="""
    with op.get_context().autocommit_block():  # or nothing: DORMATORY's env.py switches them off and checks all rows
        op.execute("PRAGMA foreign_keys = OFF")
    with op.batch_alter_table("owners") as batch:
        batch.alter_column("name", type_=sa.String(120))
    with op.get_context().autocommit_block():
        op.execute("PRAGMA foreign_keys = ON")
    """,
)


def foreign_key_switches(source: RevisionSource, played: PlayedLegs) -> Iterator[Finding]:
    """Report PRAGMAs that SQLite ignored, and foreign keys that stay switched.

    Nothing is said of a revision that was not played: what a transaction contains depends on its env.py and driver.
    """
    for direction in DIRECTIONS:
        sites = [
            site
            for site in source.call_sites
            if site.direction == direction
            and source.is_reached(site, "sqlite")
            and _is_foreign_keys_pragma(source, site)
        ]
        yield from _measured_switches(source, sites, played)


def _is_foreign_keys_pragma(source: RevisionSource, site: CallSite) -> bool:
    sql = executed_sql(site, source.resolver)
    return sql is not None and bool(_FOREIGN_KEYS_PRAGMA.search(sql_without_literals(sql)))


def _measured_switches(source: RevisionSource, sites: list[CallSite], played: PlayedLegs) -> Iterator[Finding]:
    """Report a PRAGMA after which foreign keys stayed on, and one that left them switched at the end of the leg."""
    switches = [
        (site, statement, statement.foreign_keys)
        for site in sites
        for statement in played.statements_at(site)
        if statement.foreign_keys is not None
    ]
    for site, statement, (_, after) in switches:
        if after and not _is_on(statement.sql):
            message = "SQLite ignored this PRAGMA, a transaction was open: foreign keys stayed on"
            hint = _AUTOCOMMIT_PRAGMA.format("OFF")
            yield source.finding(PRAGMA_FOREIGN_KEYS, site.call, message, hint, sql=statement.sql)
    if switches and switches[0][2][0] is not switches[-1][2][1]:
        site, statement, (_, after) = next(it for it in reversed(switches) if it[2][0] is not it[2][1])
        message = f"foreign keys stay {'on' if after else 'off'} for everything that follows on this connection"
        hint = f"at the end:\n{_AUTOCOMMIT_PRAGMA.format('OFF' if after else 'ON')}"
        yield source.finding(PRAGMA_FOREIGN_KEYS, site.call, message, hint, severity=Severity.NOTE, sql=statement.sql)


def _is_on(sql: str) -> bool:
    """Return whether a PRAGMA asks for foreign keys to be enforced: https://www.sqlite.org/pragma.html."""
    found = _FOREIGN_KEYS_PRAGMA.search(sql)
    value = found["value"].lower() if found else ""
    return value in {"on", "yes", "true"} or (value.isdigit() and int(value) != 0)
