"""SQLAlchemy's engines for a PostgreSQL database, and connections of psycopg2 as SQLAlchemy sets them up."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import NullPool, create_engine, event

from dormatory.backends.driver import raw_connection
from dormatory.backends.postgresql.connection import (
    CONNECTION_DEFAULTS,
    connection_error,
    without_redirecting_variables,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from sqlalchemy import Engine

    from dormatory.backends.url import Target


def postgresql_engine(target: Target) -> Engine:
    """Return an engine that opens one connection at a time and gives up on a silent server."""
    arguments = {key: value for key, value in CONNECTION_DEFAULTS.items() if key not in target.url.query}
    engine = create_engine(target.sqlalchemy_url(), poolclass=NullPool, connect_args=arguments)

    @event.listens_for(engine, "do_connect")
    def _connect(dialect: Any, _record: object, positional: Any, named: Any) -> Any:
        with without_redirecting_variables(target):
            return dialect.connect(*positional, **named)

    return engine


def postgresql_driver_connection(target: Target) -> AbstractContextManager[Any]:
    """Open a connection for the length of the block; what was not committed is rolled back."""
    return raw_connection(postgresql_engine(target), partial(connection_error, target=target))
