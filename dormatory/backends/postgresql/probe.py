"""Try a PostgreSQL table as a reader or a writer does, once per call."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psycopg2
from psycopg2 import errors, sql

from dormatory.backends.postgresql.engine import postgresql_driver_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dormatory.backends.url import Target

READERS_CAN_WAIT_TO_WRITE = True
MAX_PROBED_TABLES = 20  # each takes two of the throwaway server's hundred connections
_READ = "SELECT 1 FROM {} LIMIT 1"
# The lock of every INSERT, UPDATE and DELETE, and a row that the revision may be writing as well; nothing is written.
_WRITE = "LOCK TABLE {0} IN ROW EXCLUSIVE MODE; SELECT 1 FROM {0} LIMIT 1 FOR NO KEY UPDATE"
# A writer that waits for a row can block the revision that waits for the table.  The server must not end the revision
# to break that deadlock, so no probe waits longer than this at a time; it tries again at once.
_SET_LOCK_TIMEOUT = "SET lock_timeout = '100ms'"


def split_by_limit(tables: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the tables to probe, and those that are left out because there are too many."""
    return tables[:MAX_PROBED_TABLES], tables[MAX_PROBED_TABLES:]


@contextlib.contextmanager
def open_probe(target: Target, table: str, *, writes: bool) -> Iterator[Callable[[], bool | None]]:
    """Provide a function that tries a table once and returns False when it is locked, None when it cannot be used."""
    with postgresql_driver_connection(target) as connection, connection.cursor() as cursor:
        cursor.execute(_SET_LOCK_TIMEOUT)
        connection.commit()
        namespace, _, name = table.rpartition(".")
        statement = sql.SQL(_WRITE if writes else _READ).format(sql.Identifier(namespace or "public", name))

        def attempt() -> bool | None:
            try:
                cursor.execute(statement)
            except (errors.LockNotAvailable, errors.DeadlockDetected):
                return False
            except psycopg2.Error:
                return None
            finally:
                connection.rollback()
            return True

        yield attempt
