"""The error for a database that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_for
from dormatory.errors import MissingDatabaseError

if TYPE_CHECKING:
    from dormatory.backends.url import Target


def missing_database(target: Target) -> MissingDatabaseError:
    """Return what is said of a database that is not there; of a file, whether it is its directory that is missing."""
    return MissingDatabaseError(str(target), missing_directory(target))


def missing_directory(target: Target) -> str:
    """Return the directory of a database file if that does not exist either, else ""."""
    is_missing = backend_for(target).is_file and not target.path.parent.exists()
    return str(target.path.parent) if is_missing else ""
