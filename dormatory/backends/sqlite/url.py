"""The URL of an SQLite database: it names a file, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.errors import MalformedURLError

if TYPE_CHECKING:
    from dormatory.backends.database_url import DatabaseURL

DRIVER_NAME = "sqlite"


def normalize_url(url: DatabaseURL, root: Path) -> DatabaseURL:
    """Return the URL with an absolute path, a relative one taken from `root`; raises MalformedURLError."""
    if url.host or url.username or url.port:
        raise MalformedURLError("SQLite has no host", fix="use sqlite:///file.db or sqlite:////absolute/file.db")
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise MalformedURLError(
            "a database in memory is gone when the command ends",
            fix="name a file: sqlite:///file.db",
        )
    return url.set(database=os.path.normpath(root / Path(url.database).expanduser()))


def client_variables(_url: DatabaseURL) -> dict[str, str]:
    """Return no variables: the sqlite3 program takes the path as an argument."""
    return {}


def redirecting_variables(_url: DatabaseURL) -> tuple[str, ...]:
    """Return no variables: nothing leads to another file."""
    return ()
