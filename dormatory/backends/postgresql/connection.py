"""Connections of psycopg2 itself, which need no SQLAlchemy."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import psycopg2

from dormatory.backends.driver import sql_state
from dormatory.backends.postgresql.explanations import (
    CONNECT_TIMEOUT_SECONDS,
    explain_postgresql_error,
    is_recognized,
    refusal_error,
)
from dormatory.backends.postgresql.markers import MAINTENANCE_DATABASES
from dormatory.backends.postgresql.url import libpq_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.url import Target
    from dormatory.errors import DormatoryError

CONNECTION_DEFAULTS = {"application_name": "dormatory", "connect_timeout": str(CONNECT_TIMEOUT_SECONDS)}

_REFUSALS = ("connection to server", "FATAL")  # libpq's own words before those of the server; up to libpq 13 none
_ADMISSION_QUERY = """
SELECT datconnlimit, datallowconn, has_database_privilege(oid, 'CONNECT'), current_user
  FROM pg_catalog.pg_database WHERE datname = %s
"""
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
        raise connection_error(error, target) from error
    try:
        with explained_errors(target):
            yield connection
    finally:
        connection.close()


def connection_error(error: BaseException, target: Target) -> DormatoryError:
    """Return why a database cannot be connected to.

    libpq passes on no SQLSTATE then, and the text is in the server's language: what it does not say is asked of the
    catalog, in another database.
    """
    if is_recognized(error) or sql_state(error) or not any(part in str(error) for part in _REFUSALS):
        return explain_postgresql_error(error, target)
    for name in MAINTENANCE_DATABASES:
        settings: dict[str, Any] = CONNECTION_DEFAULTS | libpq_settings(target.with_database(name).url)
        with (
            contextlib.suppress(psycopg2.Error),
            without_redirecting_variables(target),
            contextlib.closing(psycopg2.connect(**settings)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(_ADMISSION_QUERY, (target.database,))
            return refusal_error(cursor.fetchone(), target) or explain_postgresql_error(error, target)
    return explain_postgresql_error(error, target)


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
