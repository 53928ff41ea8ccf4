"""Empty databases of each backend for tests; those of PostgreSQL are on the server of the test session."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.registry import backend_for
from dormatory.backends.sqlite.scratch import scratch_sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest
    from sqlalchemy import Connection

    from dormatory.backends.parts import ScratchMaker

BACKENDS = ("sqlite", "postgresql")


def scratch_maker(backend: str, request: pytest.FixtureRequest) -> ScratchMaker:
    """Return a maker of databases of one backend."""
    if backend == "sqlite":
        return scratch_sqlite
    server: throwaway.Server = request.getfixturevalue("postgres_server")
    return lambda: throwaway.scratch_postgresql(server)


@contextmanager
def scratch_connection(backend: str, request: pytest.FixtureRequest) -> Iterator[Connection]:
    """Connect to an empty database of one backend, as our own env.py does."""
    make = scratch_maker(backend, request)
    with make() as target, backend_for(target).engine(target, writing=True).connect() as connection:
        yield connection
