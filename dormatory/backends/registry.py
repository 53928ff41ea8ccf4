"""Chooses the backend: the one place that knows which kinds of database there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.errors import UnsupportedBackendError

if TYPE_CHECKING:
    from dormatory.backends.base import Backend
    from dormatory.backends.url import Target
    from dormatory.sql.dialect import Dialect

BACKEND_NAMES = ("sqlite", "postgresql")


def validate_backend_name(name: str) -> str:
    """Return the name of a backend; raises UnsupportedBackendError for one we do not know."""
    if name not in BACKEND_NAMES:
        raise UnsupportedBackendError(name, known=BACKEND_NAMES)
    return name


def backend_by_name(name: str) -> Backend:
    """Return the backend of a dialect; raises UnsupportedBackendError for one we do not know."""
    if validate_backend_name(name) == "sqlite":
        from dormatory.backends.sqlite.backend import SQLiteBackend  # noqa: PLC0415  # a driver loads when it is needed

        return SQLiteBackend()
    from dormatory.backends.postgresql.backend import PostgreSQLBackend  # noqa: PLC0415

    return PostgreSQLBackend()


def dialect_by_name(name: str) -> Dialect:
    """Return the SQL dialect of a backend, which loads neither a driver nor SQLAlchemy."""
    if validate_backend_name(name) == "sqlite":
        from dormatory.backends.sqlite.dialect import SQLITE  # noqa: PLC0415  # each is loaded when it is needed

        return SQLITE
    from dormatory.backends.postgresql.dialect import POSTGRESQL  # noqa: PLC0415

    return POSTGRESQL


def backend_for(target: Target) -> Backend:
    """Return the backend a target needs, whatever driver its URL asks for."""
    return backend_by_name(target.backend_name)
