"""Files that appear complete or not at all: written under another name in the same directory, then renamed."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.system.file_lock import try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX, _SUFFIX = ".dormatory-", ".part"
_ABANDONED_SECONDS = 3600.0  # no run writes a file for so long without a change to it


@contextlib.contextmanager
def partial_file(path: Path) -> Iterator[Path]:
    """Provide an empty file in the directory of `path` that only we may read; it is removed at the end if still there.

    Files that a killed run left there are removed first. Write to this file and do not replace it: we hold its lock.
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
    """Rename a finished file to its name, so that even a power cut leaves the old or the new one; raises OSError."""
    _flush_to_disk(part)
    part.replace(path)
    with contextlib.suppress(OSError):  # some file systems do not let a directory be flushed
        _flush_to_disk(path.parent)


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file's content in one step and keep its mode; raises OSError."""
    with partial_file(path) as part:
        part.write_bytes(data)
        part.chmod(mode_for(path))
        move_into_place(part, path)


def mode_for(path: Path) -> int:
    """Return the mode of the file at `path`, or the one that a new file gets from this process."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _create_locked(directory: Path) -> tuple[Path, int]:
    """Create a file and lock it, which shows other runs that its owner lives."""
    while True:
        descriptor, name = tempfile.mkstemp(dir=directory, prefix=_PREFIX, suffix=_SUFFIX)
        if try_lock(descriptor) is not False and os.path.lexists(name):
            return Path(name), descriptor
        os.close(descriptor)  # another run removed it before it was locked


def _remove_abandoned(directory: Path) -> None:
    for leftover in directory.glob(f"{_PREFIX}*{_SUFFIX}"):
        with contextlib.suppress(OSError):  # it belongs to another user, or another run was faster
            descriptor = os.open(leftover, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            try:
                is_ours, age = try_lock(descriptor), time.time() - os.fstat(descriptor).st_mtime
                if is_ours or (is_ours is None and age > _ABANDONED_SECONDS):
                    _remove_with_side_files(leftover)
            finally:
                os.close(descriptor)


def _remove_with_side_files(part: Path) -> None:
    for leftover in part.parent.glob(f"{part.name}*"):  # SQLite may have made a journal for it
        leftover.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
