"""Gives the backend of a target or a name, loaded when it is first needed."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from dormatory.backends.names import validate_backend_name

if TYPE_CHECKING:
    from dormatory.backends.base import Backend
    from dormatory.backends.url import Target
    from dormatory.sql.dialect import Dialect


@cache
def backend_by_name(name: str) -> Backend:
    """Return the backend of that name, from `backend.py` in its folder; raises UnsupportedBackendError.

    The module is loaded on the first call: a driver that is not needed is not loaded.
    """
    backend: Backend = import_module(f"dormatory.backends.{validate_backend_name(name)}.backend").BACKEND
    return backend


@cache
def dialect_by_name(name: str) -> Dialect:
    """Return the SQL dialect of a backend, from `dialect.py` in its folder; no driver is loaded for it."""
    dialect: Dialect = import_module(f"dormatory.backends.{validate_backend_name(name)}.dialect").DIALECT
    return dialect


def backend_for(target: Target) -> Backend:
    """Return the backend that a target needs, whatever driver its URL names."""
    return backend_by_name(target.backend_name)
