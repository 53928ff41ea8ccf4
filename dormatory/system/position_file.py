"""A file that says which line of a project a child process is at: its end may leave no other word."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.errors.location import Location

if TYPE_CHECKING:
    from collections.abc import Iterator

POSITION_VARIABLE = "DORMATORY_POSITION_FILE"


@contextmanager
def position_file() -> Iterator[Path]:
    """Provide an empty file for the length of the block; a child process finds it in POSITION_VARIABLE."""
    with tempfile.NamedTemporaryFile(prefix="dormatory-position-") as file:
        yield Path(file.name)


def position_in(file: Path) -> Location | None:
    """Return where the child process was when it ended, None if it was at no line of the project."""
    text = file.read_text(encoding="utf-8")
    return Location(*json.loads(text)) if text else None


@contextmanager
def at_position(location: Location) -> Iterator[None]:
    """Let the parent of this process know in the block where it is, if it has asked for that."""
    name = os.environ.get(POSITION_VARIABLE)
    if not name:
        yield
        return
    file, process = Path(name), os.getpid()
    with suppress(OSError):
        file.write_text(json.dumps([location.path, location.line]), encoding="utf-8")
    try:
        yield
    finally:
        if os.getpid() == process:  # a child that the block has forked is not at its end
            with suppress(OSError):
                file.write_text("", encoding="utf-8")
