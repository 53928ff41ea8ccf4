"""An SQLite file for one run, in memory where there is room."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from sqlalchemy.engine import URL

from dormatory.backends.url import Target
from dormatory.system import private_directory, signals

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def scratch_sqlite() -> Iterator[Target]:
    """Name a new SQLite file in a private directory, removed with its journals at the end."""
    with signals.raise_on_termination(), private_directory.locked_directory() as home:
        yield Target(URL.create("sqlite", database=str(home / "scratch.db")), "sqlite")
