"""Connections of psycopg2 itself, which need no SQLAlchemy."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import psycopg2

from dormatory.backends.postgresql.explanations import CONNECT_TIMEOUT_SECONDS, explain_postgresql_error
from dormatory.backends.postgresql.url import libpq_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.url import Target

CONNECTION_DEFAULTS = {"application_name": "dormatory", "connect_timeout": str(CONNECT_TIMEOUT_SECONDS)}

# idle_session_timeout exists since PostgreSQL 14, transaction_timeout since 17.
_LIFT_TIMEOUTS = """
SELECT set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name IN (
    'statement_timeout', 'idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')
"""


@contextlib.contextmanager
def postgresql_connection(target: Target) -> Iterator[Any]:
    """Open a connection for the length of the block, and raise what its errors mean; it gives up on a silent server."""
    settings: dict[str, Any] = CONNECTION_DEFAULTS | libpq_settings(target.url)
    try:
        with without_redirecting_variables(target):
            connection = psycopg2.connect(**settings)
    except psycopg2.Error as error:
        raise explain_postgresql_error(error, target) from error
    try:
        with explained_errors(target):
            yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def explained_errors(target: Target) -> Iterator[None]:
    """Raise what an error of psycopg2 in the block means."""
    try:
        yield
    except psycopg2.Error as error:
        raise explain_postgresql_error(error, target) from error


def has_dedicated_session(connection: Any) -> bool:
    """Return whether the statements of one psycopg2 connection reach one session of the server; it is in autocommit.

    The server sends its process id at the start of a session; a pooler sends an invented one, and in transaction mode
    it gives each transaction to any free session.
    """
    pids = {connection.info.backend_pid}
    with connection.cursor() as cursor:
        for _ in range(2):
            cursor.execute("SELECT pg_backend_pid()")
            pids.add(cursor.fetchone()[0])
    return len(pids) == 1


def lift_timeouts(connection: Any) -> None:
    """Free a session in autocommit from the time-outs that its role or its database sets."""
    with connection.cursor() as cursor:
        cursor.execute(_LIFT_TIMEOUTS)


@contextlib.contextmanager
def without_redirecting_variables(target: Target) -> Iterator[None]:
    """Hide from libpq, while it connects, the inherited settings that would lead it to another server.

    Children do not get them either (Target.environment), so that psql and this process reach the same database.
    """
    hidden = {name: os.environ.pop(name) for name in target.redirecting_variables() if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)
