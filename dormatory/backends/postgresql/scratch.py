"""Empty databases for one run, on a private server that is removed at the end."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.server import throwaway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.parts import ScratchMaker


@contextlib.contextmanager
def scratch_databases() -> Iterator[ScratchMaker]:
    """Start a server and provide a maker of empty databases on it.

    Raises ProgramMissingError where no server is installed, DatabaseFailedError where it does not start.
    """
    with throwaway.server() as server:
        yield partial(throwaway.scratch_postgresql, server)
