"""Locks on whole files: the system releases them when their process ends, however it ends."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

IS_SUPPORTED = fcntl is not None


def try_lock(descriptor: int) -> bool | None:
    """Lock an open file and return whether no other process holds the lock; None where files cannot be locked."""
    try:
        if IS_SUPPORTED:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except BlockingIOError:
        return False
    except OSError:  # some network file systems have no locks
        pass
    return None


@contextlib.contextmanager
def directory_lock(directory: Path) -> Iterator[None]:
    """Keep other processes out of blocks for the same directory; nothing happens where there are no locks."""
    descriptor = lock_until_exit(directory)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def lock_until_exit(directory: Path) -> int | None:
    """Lock a directory until this process ends, or the descriptor is closed; None where that is impossible."""
    if not IS_SUPPORTED:
        return None
    descriptor = os.open(directory, os.O_RDONLY)
    with contextlib.suppress(OSError):  # some network file systems have no locks
        wait_for_lock(descriptor)
    return descriptor


def wait_for_lock(descriptor: int) -> None:
    """Lock an open file as soon as no other process holds the lock; raises OSError where files cannot be locked."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)
