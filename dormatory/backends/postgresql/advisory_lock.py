"""One migration at a time on PostgreSQL: a session advisory lock on a connection of its own."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2.sql import SQL, Identifier

from dormatory.backends.postgresql.blockers import shorten_query
from dormatory.backends.postgresql.connection import has_dedicated_session, lift_timeouts
from dormatory.errors import DatabaseLockedError, PoolerError

if TYPE_CHECKING:
    from collections.abc import Iterator

UPGRADE_LOCK_WAIT_SECONDS = 60.0
_PAUSE_SECONDS = 0.2
_LOG = logging.getLogger("dormatory")

# The holder's session was opened for the lock; it also watches who blocks the migration, so its state changes.
_HOLDER_QUERY = """
SELECT a.pid, coalesce(nullif(a.application_name, ''), 'an unnamed program'),
       to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
  FROM pg_locks l JOIN pg_stat_activity a USING (pid)
 WHERE l.locktype = 'advisory' AND l.granted
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND (l.classid::bigint << 32) + l.objid::bigint = %s::bigint
"""
# Another session of the same program and user runs the statements.
_RUNNING_QUERY = """
SELECT a.pid, coalesce(nullif(a.application_name, ''), 'an unnamed program'),
       to_char(CASE l.locktype WHEN 'advisory' THEN a.backend_start ELSE a.xact_start END AT TIME ZONE 'UTC',
               'YYYY-MM-DD HH24:MI:SS'),
       (SELECT s.query FROM pg_stat_activity s
         WHERE s.datname = current_database() AND s.pid <> pg_backend_pid() AND s.state <> 'idle'
           AND s.application_name = a.application_name AND s.usesysid = a.usesysid
         ORDER BY s.state <> 'active', s.xact_start LIMIT 1)
  FROM pg_locks l JOIN pg_stat_activity a USING (pid)
 WHERE l.granted AND l.pid <> pg_backend_pid()
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND (l.locktype = 'advisory' AND (l.classid::bigint << 32) + l.objid::bigint = %(key)s::bigint
     OR l.locktype = 'relation' AND l.relation = to_regclass(%(table)s)
        AND l.mode NOT IN ('AccessShareLock', 'RowShareLock'))
 ORDER BY l.locktype LIMIT 1
"""


@contextlib.contextmanager
def hold_upgrade_lock(
    connection: Any,
    database: str,
    version_table: str,
    *,
    masked_url: str,
    wait_seconds: float = UPGRADE_LOCK_WAIT_SECONDS,
) -> Iterator[None]:
    """Hold the lock of a database and a version table on a psycopg2 connection, waiting at most `wait_seconds` for it.

    The lock is tried again and again, never waited for: a session blocked in pg_advisory_lock() holds a
    snapshot, and CREATE INDEX CONCURRENTLY in the migration ahead would wait for that snapshot forever.
    Raises PoolerError where the lock could stay in another client's session, DatabaseLockedError when
    another session keeps it too long.
    """
    connection.autocommit = True
    key = _lock_key(database, version_table)
    with connection.cursor() as cursor:
        if not has_dedicated_session(connection):
            raise PoolerError(masked_url)
        lift_timeouts(connection)  # the holder is idle for as long as the migration lasts
        began, has_warned = monotonic(), False
        while not _fetch_value(cursor, "SELECT pg_try_advisory_lock(%s)", key):
            holder = _holder_description(cursor, key, version_table)
            if monotonic() - began >= wait_seconds:
                fix = "wait for it to end; if its client is gone: SELECT pg_terminate_backend(pid)"
                raise DatabaseLockedError(masked_url, holder, wait_seconds, fix=fix)
            if not has_warned:
                _LOG.warning("another migration is running (%s); waiting at most %g s for it", holder, wait_seconds)
                has_warned = True
            sleep(_PAUSE_SECONDS)
        try:
            yield
        except BaseException:
            _release(cursor, key)
            raise
        if not _release(cursor, key):  # no failure of what is done by now
            text = "the session that kept other migrations of %s away was ended meanwhile: see inv db.status"
            _LOG.warning(text, masked_url)


def running_migration(connection: Any, database: str, version_table: str) -> str:
    """Return which session is migrating, since when, and its statement; "" if none is.

    It holds the lock, or, without our env.py, has written to the version table and not yet committed.
    """
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(_RUNNING_QUERY, {"key": _lock_key(database, version_table), "table": version_table})
        row = cursor.fetchone()
        if row is None:
            return ""
        pid, program, since, statement = row
        when = f"since {since} UTC" if since else "since a time it does not show us"
        position = _revision_description(cursor, version_table)
    return f"pid {pid}, {program}, {when}, {position}" + (f", running: {shorten_query(statement)}" if statement else "")


def _lock_key(database: str, version_table: str) -> int:
    name = f"dormatory {database} {version_table}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)


def _release(cursor: Any, key: int) -> bool:
    """Release the lock, and return whether we still held it; a session that has ended has released it already."""
    try:
        return bool(_fetch_value(cursor, "SELECT pg_advisory_unlock(%s)", key))
    except psycopg2.Error:
        return False


def _holder_description(cursor: Any, key: int, version_table: str) -> str:
    """Return which process and program holds the lock, since when, and the current revision of the database."""
    cursor.execute(_HOLDER_QUERY, (key,))
    row = cursor.fetchone()
    if row is None:
        return "its holder has just gone"
    since = f"since {row[2]} UTC" if row[2] else "since a time it does not show us"
    return f"pid {row[0]}, {row[1]}, {since}, {_revision_description(cursor, version_table)}"


def _revision_description(cursor: Any, version_table: str) -> str:
    """Return the revision that is committed in the version table, without waiting for a lock on it."""
    try:
        cursor.execute("SET lock_timeout = '200ms'")
        query = SQL("SELECT string_agg(version_num, ', ' ORDER BY version_num) FROM {}")
        cursor.execute(query.format(Identifier(*version_table.split("."))))
        return f"database at {cursor.fetchone()[0] or 'base'}"
    except psycopg2.errors.UndefinedTable:
        return "database at base"
    except psycopg2.Error:
        return "its revision cannot be read"


def _fetch_value(cursor: Any, query: str, *values: object) -> Any:
    cursor.execute(query, values)
    return cursor.fetchone()[0]
