"""Derive what a statement in autocommit did to tables: its locks are gone before the server can be queried."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.relations import named_locks, sorted_unique
from dormatory.backends.tracer import StatementEffects
from dormatory.sql.lock_modes import LOCK_MODES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dormatory.backends.postgresql.relations import Relation, RelationSurvey

LEADING_COMMENTS = r"(?>\s+|--[^\n]*\n|/\*(?s:.*?)\*/)*+"
_CREATE = re.compile(LEADING_COMMENTS + r"CREATE\b", re.IGNORECASE | re.DOTALL)
_CONCURRENTLY = re.compile(r"\bCONCURRENTLY\b", re.IGNORECASE)


def autocommit_effects(
    sql: str, before: RelationSurvey, after: RelationSurvey, known: Mapping[int, Relation]
) -> StatementEffects:
    """Return the effects of a statement on the `known` relations, from surveys of all relations before and after it.

    The lock follows from these for indexes that were created, dropped or rebuilt, and for tables that were dropped or
    rewritten. It stays unknown for other forms of ALTER TABLE, for changes of rows and for VACUUM.
    """
    ranks: dict[int, int] = {}
    rewritten = list[str]()
    for oid in before.relations.keys() | after.relations.keys():
        was, now = before.relations.get(oid), after.relations.get(oid)
        if was and now and was.file == now.file:
            continue
        if was and now and oid in known:
            rewritten.append(known[oid].name)
        table = (was.table if was else now.table if now else 0) or oid
        if table in known:
            ranks[table] = max(ranks.get(table, 0), LOCK_MODES.index(_lock_mode(sql, was, now)))
    if _CONCURRENTLY.search(sql):  # REINDEX CONCURRENTLY creates another index and gives it the name
        rewritten += _replaced_indexes(before.relations, after.relations)
    scanned = [
        relation.name
        for oid, count in after.scans.items()
        if count > before.scans.get(oid, 0) and (relation := known.get(oid)) and relation.is_table
    ]
    return StatementEffects(
        named_locks(known, ranks), sorted_unique(rewritten), sorted_unique(scanned), after.lock_timeout
    )


def _lock_mode(sql: str, was: Relation | None, now: Relation | None) -> str:
    """Return the lock on its table that was needed to create, drop or rewrite a relation."""
    if _CONCURRENTLY.search(sql):
        return "SHARE UPDATE EXCLUSIVE"
    is_index_build = _CREATE.match(sql) if was is None else now and was.table
    return "SHARE" if is_index_build else "ACCESS EXCLUSIVE"  # ALTER TABLE ADD UNIQUE creates an index as well


def _replaced_indexes(old: dict[int, Relation], new: dict[int, Relation]) -> list[str]:
    """Return the names that passed from one index to another one of the same table."""
    before = {(index.table, index.name) for oid, index in old.items() if index.table and oid not in new}
    after = {(index.table, index.name) for oid, index in new.items() if index.table and oid not in old}
    return [name for _, name in before & after]
