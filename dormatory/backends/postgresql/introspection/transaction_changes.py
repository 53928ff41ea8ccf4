"""Find out what a transaction changed, from what PostgreSQL counts and locks for it between its start and its end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dormatory.backends import driver

if TYPE_CHECKING:
    from sqlalchemy import Connection

# The system's own objects have smaller OIDs (FirstNormalObjectId in access/transam.h).
_FIRST_USER_OID = 16384
# Statements that write to these keep the lock on them. Otherwise only a statement that writes to a catalog as to an
# ordinary table keeps a lock on it.
_LOCKED_BY_COMMANDS = frozenset({"pg_description", "pg_shdescription", "pg_authid", "pg_auth_members", "pg_depend"})

_CATALOGS = """
SELECT oid, relname::text FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'
ORDER BY oid"""
_COUNTS = """
SELECT now()::text, pg_current_xact_id_if_assigned()::xid::text, current_setting('track_counts') = 'on',
    array_agg(pg_stat_get_xact_tuples_inserted(c) ORDER BY c),
    array_agg(pg_stat_get_xact_tuples_updated(c) ORDER BY c),
    array_agg(pg_stat_get_xact_tuples_deleted(c) ORDER BY c), {locks}
FROM unnest('{{{catalogs}}}'::oid[]) AS c"""
# A relation that is created, altered or dropped stays locked until the end of the transaction.
_LOCKS = """
(SELECT json_agg(json_build_array(l.relation::bigint, l.strong, pg_stat_get_xact_tuples_inserted(l.relation)
        + pg_stat_get_xact_tuples_updated(l.relation) + pg_stat_get_xact_tuples_deleted(l.relation) > 0))
    FROM (SELECT relation, bool_or(mode <> 'RowExclusiveLock') AS strong FROM pg_locks
        WHERE locktype = 'relation' AND pid = pg_backend_pid() AND granted
            AND mode NOT IN ('AccessShareLock', 'RowShareLock') GROUP BY relation) AS l)::text"""


@dataclass(frozen=True, slots=True)
class TransactionChanges:
    """What one transaction changed: more may be named than changed, never less.

    `inserted`, `updated` and `deleted` are the system catalogs with such rows; by their OIDs, `locked` are the
    relations that it may have altered, and `written` those into which it may have written rows.
    """

    transaction_id: str | None
    inserted: frozenset[str]
    updated: frozenset[str]
    deleted: frozenset[str]
    locked_relations: frozenset[int]
    written_relations: frozenset[int]
    attribute_writes: int  # how often rows of pg_attribute were written

    @property
    def catalogs(self) -> frozenset[str]:
        """The system catalogs that changed."""
        return self.inserted | self.updated | self.deleted


class TransactionMonitor:
    """Measures one transaction after the other on a connection."""

    def __init__(self) -> None:
        self._catalogs: dict[int, str] = {}
        self._start: Any = None

    def begin(self, connection: Connection) -> None:
        """Measure the state of a transaction; call it in the transaction, before it does anything."""
        if not self._catalogs:
            self._catalogs = {row[0]: row[1] for row in connection.exec_driver_sql(_CATALOGS)}
        self._start = self._read_state(connection, "NULL")

    def end(self, connection: Connection) -> TransactionChanges | None:
        """Return what the transaction changed since `begin`, just before it ends; None where that is unknown.

        It is unknown if another transaction has begun since, or if a statement wrote to a catalog directly.
        """
        start, self._start = self._start, None
        if start is None:
            return None
        end = self._read_state(connection, _LOCKS)
        if end[0] != start[0] or not (start[2] and end[2]):
            return None
        names = self._catalogs.values()
        inserted, updated, deleted = (
            frozenset(name for name, old, new in zip(names, start[place], end[place], strict=True) if new != old)
            for place in (3, 4, 5)
        )
        locks = json.loads(end[6] or "[]")
        if any(oid < _FIRST_USER_OID and self._catalogs.get(oid) not in _LOCKED_BY_COMMANDS for oid, *_ in locks):
            return None
        locked = frozenset(oid for oid, is_strong, _ in locks if is_strong and oid >= _FIRST_USER_OID)
        written = frozenset(oid for oid, _, is_written in locks if is_written and oid >= _FIRST_USER_OID)
        place = list(names).index("pg_attribute")
        attributes = sum(end[kind][place] - start[kind][place] for kind in (3, 4))
        return TransactionChanges(end[1], inserted, updated, deleted, locked, written, attributes)

    def _read_state(self, connection: Connection, locks: str) -> Any:
        query = _COUNTS.format(locks=locks, catalogs=",".join(map(str, self._catalogs)))
        return driver.fetch_rows(driver.open_cursor(connection), query)[0]
