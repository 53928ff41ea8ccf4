"""Whether an upgrade has nothing to do on a PostgreSQL database, with one query and without SQLAlchemy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.postgresql.connection import has_dedicated_session, postgresql_connection
from dormatory.backends.queries import INVALID_INDEXES_QUERY, VERSIONS_QUERY
from dormatory.errors import DormatoryError

if TYPE_CHECKING:
    from dormatory.backends.url import Target

_STATE_QUERY = f"SELECT ARRAY({VERSIONS_QUERY}), ARRAY({INVALID_INDEXES_QUERY})"


def is_in_order_at(target: Target, revision: str) -> bool:
    """Return whether the database is at the revision, without an invalid index or a pooler before it."""
    try:
        with postgresql_connection(target) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(_STATE_QUERY)
            return cursor.fetchone() == ([revision], []) and has_dedicated_session(connection)
    except DormatoryError:
        return False
