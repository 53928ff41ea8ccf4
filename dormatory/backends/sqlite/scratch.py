"""Empty SQLite files for one run, in memory where there is room."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from dormatory.backends.database_url import DatabaseURL
from dormatory.backends.scratch_directory import scratch_directory
from dormatory.backends.sqlite.url import DRIVER_NAME
from dormatory.backends.url import Target
from dormatory.system import signals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.parts import ScratchMaker


@contextlib.contextmanager
def scratch_databases() -> Iterator[ScratchMaker]:
    """Provide scratch_sqlite: files need no server."""
    yield scratch_sqlite


@contextlib.contextmanager
def scratch_sqlite() -> Iterator[Target]:
    """Provide the name of a new SQLite file in a private directory, which is removed at the end."""
    with signals.raise_on_termination(), scratch_directory() as home:
        yield Target(DatabaseURL(DRIVER_NAME, database=str(home / "scratch.db")), DRIVER_NAME)
