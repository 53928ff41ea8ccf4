"""Sessions that create, replace and drop databases: at the server itself, and without the time-outs of a role."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from dormatory.backends.postgresql.connection import has_dedicated_session, lift_timeouts, postgresql_connection
from dormatory.backends.postgresql.dialect import DIALECT
from dormatory.backends.postgresql.markers import MAINTENANCE_DATABASES
from dormatory.errors import MissingDatabaseError, PoolerError, ReadOnlyDefaultError, StandbyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.url import Target
    from dormatory.errors import DormatoryError

_WRITABLE_QUERY = """
SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on', source, current_user
  FROM pg_catalog.pg_settings WHERE name = 'default_transaction_read_only'
"""


@contextlib.contextmanager
def maintenance_connection(target: Target) -> Iterator[Any]:
    """Connect to the first maintenance database that accepts us, each statement a transaction of its own.

    Raises what `refuse_unwritable` raises, and DatabaseFailedError.
    """
    for name in MAINTENANCE_DATABASES:
        if name == target.database:
            continue
        with contextlib.ExitStack() as stack:
            try:
                connection = stack.enter_context(postgresql_connection(target.with_database(name)))
            except MissingDatabaseError:
                continue
            connection.autocommit = True
            refuse_unwritable(connection, target)
            lift_timeouts(connection)
            yield connection
            return
    raise MissingDatabaseError(str(target.with_database(MAINTENANCE_DATABASES[0])))


def limit_lock_waits(cursor: Any, seconds: float) -> None:
    """Let the session wait at most so long for a lock."""
    cursor.execute(f"SET lock_timeout = {max(1, round(seconds * 1000))}")


def refuse_unwritable(connection: Any, target: Target) -> None:
    """Raise PoolerError, StandbyError or ReadOnlyDefaultError for a session that cannot do maintenance."""
    if not has_dedicated_session(connection):
        raise PoolerError(str(target))
    if error := unwritable_error(connection, target):
        raise error


def unwritable_error(connection: Any, target: Target) -> DormatoryError | None:
    """Return why a session can write nothing at all, or None if it can."""
    with connection.cursor() as cursor:
        cursor.execute(_WRITABLE_QUERY)
        is_standby, is_read_only, source, user = cursor.fetchone()
    if is_standby:
        return StandbyError(str(target))
    if is_read_only:
        return ReadOnlyDefaultError(str(target), *_read_only_place(source, user, connection.info.dbname))
    return None


def _read_only_place(source: str, user: str, database: str) -> tuple[str, str]:
    """Return where default_transaction_read_only is set, and how to reset it."""
    setting, role, name = "default_transaction_read_only", *map(DIALECT.quote_identifier, (user, database))
    return {
        "user": (f"the role {user}", f"ALTER ROLE {role} RESET {setting}"),
        "database user": (
            f"the role {user} in this database",
            f"ALTER ROLE {role} IN DATABASE {name} RESET {setting}",
        ),
        "database": ("this database", f"ALTER DATABASE {name} RESET {setting}"),
        "client": ("the options in DATABASE_URL", "take it out there"),
    }.get(source, ("the whole server", f"ALTER SYSTEM RESET {setting}, then reload the server"))
