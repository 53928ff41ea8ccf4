"""Whether an upgrade has nothing to do on an SQLite file, with three queries and without SQLAlchemy."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from dormatory.backends.queries import DANGLING_ROWS_QUERY, LEFTOVER_TABLES_QUERY, VERSIONS_QUERY
from dormatory.backends.sqlite.connection import target_connection

if TYPE_CHECKING:
    from dormatory.backends.url import Target


def is_in_order_at(target: Target, revision: str) -> bool:
    """Return whether the file is at the revision, without a left-over table or a dangling row."""
    try:
        with contextlib.closing(target_connection(target)) as connection:
            connection.execute("BEGIN")
            versions, *problems = [
                connection.execute(query).fetchall()
                for query in (VERSIONS_QUERY, LEFTOVER_TABLES_QUERY, DANGLING_ROWS_QUERY)
            ]
    except sqlite3.Error:
        return False
    return versions == [(revision,)] and not any(problems)
