"""Files that appear whole or not at all: built beside the place they are meant for, then renamed."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

try:
    import fcntl
except ImportError:  # Windows: what a killed run left there goes when it is old
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX, _SUFFIX = ".dormatory-", ".part"
_ABANDONED_SECONDS = 3600.0  # nobody builds a file for so long without writing to it


@contextlib.contextmanager
def partial_file(path: Path) -> Iterator[Path]:
    """Give an empty file in the directory of `path` that only we may read; what is left of it at the end is removed.

    Files that a killed run left there are removed first. Whoever writes to it must not make it anew: we hold its lock.
    Raises OSError.
    """
    _remove_abandoned(path.parent)
    part, descriptor = _create_locked(path.parent)
    try:
        yield part
    finally:
        _remove_with_side_files(part)
        os.close(descriptor)


def move_into_place(part: Path, path: Path) -> None:
    """Give a finished file its name, in one step that a power cut cannot halve; raises OSError."""
    _flush_to_disk(part)
    part.replace(path)
    with contextlib.suppress(OSError):  # some file systems do not let a directory be flushed
        _flush_to_disk(path.parent)


def replace_file(path: Path, data: bytes) -> None:
    """Put a new content in a file's place, at once and whole, and leave it its mode; raises OSError."""
    with partial_file(path) as part:
        part.write_bytes(data)
        part.chmod(_mode_for(path))
        move_into_place(part, path)


def _mode_for(path: Path) -> int:
    """Return the mode of the old file, or the one that a new file gets here."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _create_locked(directory: Path) -> tuple[Path, int]:
    """Make a file and take its lock, which tells others that its owner lives."""
    while True:
        descriptor, name = tempfile.mkstemp(dir=directory, prefix=_PREFIX, suffix=_SUFFIX)
        if _try_lock(descriptor) is not False and os.path.lexists(name):
            return Path(name), descriptor
        os.close(descriptor)  # somebody swept it away before it was locked


def _remove_abandoned(directory: Path) -> None:
    for leftover in directory.glob(f"{_PREFIX}*{_SUFFIX}"):
        with contextlib.suppress(OSError):  # somebody else's, or somebody else was faster
            descriptor = os.open(leftover, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            try:
                is_ours, age = _try_lock(descriptor), time.time() - os.fstat(descriptor).st_mtime
                if is_ours or (is_ours is None and age > _ABANDONED_SECONDS):
                    _remove_with_side_files(leftover)
            finally:
                os.close(descriptor)


def _try_lock(descriptor: int) -> bool | None:
    """Lock a file by its descriptor, and tell whether nobody else holds the lock; None where files have no locks."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except BlockingIOError:
        return False
    except OSError:
        pass
    return None


def _remove_with_side_files(part: Path) -> None:
    for leftover in part.parent.glob(f"{part.name}*"):  # SQLite may have put a journal beside it
        leftover.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
