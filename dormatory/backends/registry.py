"""Chooses the backend: the one place that knows which kinds of database there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.errors import UnsupportedBackendError

if TYPE_CHECKING:
    from dormatory.backends.base import Backend
    from dormatory.backends.url import Target

NAMES = ("sqlite", "postgresql")


def known(name: str) -> str:
    """Return the name of a backend; raises UnsupportedBackendError for one we do not know."""
    if name not in NAMES:
        raise UnsupportedBackendError(name, known=NAMES)
    return name


def backend_named(name: str) -> Backend:
    """Return the backend of a dialect; raises UnsupportedBackendError for one we do not know."""
    if known(name) == "sqlite":
        from dormatory.backends.sqlite.backend import SQLite  # noqa: PLC0415  # a driver loads when it is needed

        return SQLite()
    from dormatory.backends.postgresql.backend import PostgreSQL  # noqa: PLC0415

    return PostgreSQL()


def backend_for(target: Target) -> Backend:
    """Return the backend a target needs, whatever driver its URL asks for."""
    return backend_named(target.backend_name)
