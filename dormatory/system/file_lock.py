"""Locks on whole files: the system releases them when their process ends, however it ends."""

from __future__ import annotations

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


def wait_for_lock(descriptor: int) -> None:
    """Lock an open file as soon as no other process holds the lock; raises OSError where files cannot be locked."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)
