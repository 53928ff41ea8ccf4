"""SQLAlchemy's engines for a PostgreSQL database, and connections of psycopg2 to the same one."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg2
from sqlalchemy import NullPool, create_engine, event

from dormatory.backends.driver import raw_connection
from dormatory.backends.postgresql.explanations import CONNECT_TIMEOUT_SECONDS, explain_postgresql_error
from dormatory.backends.url import redirecting_variables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from dormatory.backends.url import Target

_CONNECTION_DEFAULTS: dict[str, Any] = {
    "application_name": "dormatory",
    "connect_timeout": str(CONNECT_TIMEOUT_SECONDS),
}


def postgresql_engine(target: Target) -> Engine:
    """Return an engine that opens one connection at a time and gives up on a silent server."""
    arguments = {key: value for key, value in _CONNECTION_DEFAULTS.items() if key not in target.url.query}
    engine = create_engine(target.url, poolclass=NullPool, connect_args=arguments)

    @event.listens_for(engine, "do_connect")
    def _connect(dialect: Any, _record: object, positional: Any, named: Any) -> Any:
        with _without_redirecting_variables(target):
            return dialect.connect(*positional, **named)

    return engine


def postgresql_driver_connection(target: Target) -> contextlib.AbstractContextManager[Any]:
    """Open a connection of psycopg2, set up by SQLAlchemy, for the length of the block.

    What was not committed is rolled back.
    """
    return raw_connection(postgresql_engine(target), partial(explain_postgresql_error, target=target))


@contextlib.contextmanager
def postgresql_connection(target: Target) -> Iterator[Any]:
    """Open a connection of psycopg2 without SQLAlchemy's set-up, for the length of the block."""
    arguments = postgresql_engine(target).dialect.create_connect_args(target.url)[1]
    try:
        with _without_redirecting_variables(target):
            connection = psycopg2.connect(**{**_CONNECTION_DEFAULTS, **arguments})
    except psycopg2.Error as error:
        raise explain_postgresql_error(error, target) from error
    try:
        yield connection
    except psycopg2.Error as error:
        raise explain_postgresql_error(error, target) from error
    finally:
        connection.close()


@contextlib.contextmanager
def _without_redirecting_variables(target: Target) -> Iterator[None]:
    """Hide from libpq, while it connects, the inherited settings that would lead it to another server.

    Children do not get them either (Target.environment), so that psql and this process reach the same database.
    """
    names = redirecting_variables(target)
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)
