"""The driver's own connection, for what SQLAlchemy has no word for: many statements in one text."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from dormatory.backends.registry import backend_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.url import Target


@contextlib.contextmanager
def driver_connection(target: Target, *, writing: bool) -> Iterator[Any]:
    """Open a connection of the driver and close it, which rolls back what was not committed.

    Raises DatabaseFailedError in place of the driver's errors.
    """
    backend = backend_for(target)
    engine = backend.engine(target, writing=writing)
    try:
        with contextlib.closing(engine.raw_connection()) as connection:
            yield connection.driver_connection
    except (engine.dialect.loaded_dbapi.Error, DBAPIError) as error:  # SQLAlchemy asks a server who it is, first of all
        raise backend.explain(error, target) from error
