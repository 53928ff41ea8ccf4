"""Files that appear whole or not at all: built beside the place they are meant for, then renamed."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX, _SUFFIX = ".dormatory-", ".part"
_ABANDONED_SECONDS = 3600.0  # nobody builds a file for so long without writing to it


@contextlib.contextmanager
def part_for(path: Path) -> Iterator[Path]:
    """Give an empty file in the directory of `path` that only we may read; what is left of it at the end is removed.

    Files that a killed run left there are removed first. Raises OSError.
    """
    _sweep(path.parent)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_PREFIX, suffix=_SUFFIX)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        for left in path.parent.glob(f"{Path(name).name}*"):  # SQLite may have put a journal beside it
            left.unlink(missing_ok=True)


def settle(part: Path, path: Path) -> None:
    """Give a finished file its name, in one step that a power cut cannot halve; raises OSError."""
    _synchronize(part)
    part.replace(path)
    with contextlib.suppress(OSError):  # some file systems do not let a directory be flushed
        _synchronize(path.parent)


def _sweep(directory: Path) -> None:
    for left in directory.glob(f"{_PREFIX}*{_SUFFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                left.unlink()


def _synchronize(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
