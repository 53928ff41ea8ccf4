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
        yield connection
    except psycopg2.Error as error:
        raise explain_postgresql_error(error, target) from error
    finally:
        connection.close()


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
