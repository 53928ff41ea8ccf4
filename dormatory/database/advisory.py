"""One migration at a time on PostgreSQL: a session advisory lock on a connection of its own."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from dormatory.errors import BusyError, PoolerError

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_SECONDS = 60.0
_PAUSE_SECONDS = 0.2
_LOG = logging.getLogger("dormatory")

_HOLDER = """
SELECT a.pid, coalesce(nullif(a.application_name, ''), 'an unnamed program'),
       extract(epoch FROM clock_timestamp() - a.backend_start)::int
  FROM pg_locks l JOIN pg_stat_activity a USING (pid)
 WHERE l.locktype = 'advisory' AND l.granted
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND (l.classid::bigint << 32) + l.objid::bigint = %s::bigint
"""


@contextlib.contextmanager
def held(connection: Any, name: str, *, shown: str, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock called `name` on a psycopg2 connection, waiting for it at most `wait_seconds`.

    The lock is asked for again and again, never waited for: a session blocked in pg_advisory_lock() holds a
    snapshot, and CREATE INDEX CONCURRENTLY in the migration ahead would wait for that snapshot forever.
    Raises PoolerError where the lock could be left behind in another client's session, BusyError when somebody
    keeps it too long.
    """
    connection.autocommit = True
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
    with connection.cursor() as cursor:
        _refuse_pooler(connection, cursor, shown)
        began = monotonic()
        told = False
        while not _asked(cursor, "SELECT pg_try_advisory_lock(%s)", key):
            holder = _holder(cursor, key)
            if monotonic() - began > wait_seconds:
                raise BusyError(shown, holder, wait_seconds)
            if not told:
                _LOG.warning("another migration is running (%s); waiting for it", holder)
                told = True
            sleep(_PAUSE_SECONDS)
        try:
            yield
        finally:
            # A connection that broke has given the lock back already.
            if not connection.closed:
                _asked(cursor, "SELECT pg_advisory_unlock(%s)", key)


def _refuse_pooler(connection: Any, cursor: Any, shown: str) -> None:
    """Raise PoolerError when statements of one connection do not reach one session.

    The server tells its process id at the start of a session; a transaction pooler tells one of its own making,
    and hands each statement to whichever session is free.
    """
    pids = {connection.info.backend_pid, *(_asked(cursor, "SELECT pg_backend_pid()") for _ in range(2))}
    if len(pids) > 1:
        raise PoolerError(shown)


def _holder(cursor: Any, key: int) -> str:
    cursor.execute(_HOLDER, (key,))
    row = cursor.fetchone()
    return f"pid {row[0]}, {row[1]}, connected for {row[2]} s" if row else "its holder has just gone"


def _asked(cursor: Any, query: str, *values: object) -> Any:
    cursor.execute(query, values)
    return cursor.fetchone()[0]
