"""Private directories: short, locked by their owner while it lives, removed by the next run when it was killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.server import postmaster
from dormatory.errors import DatabaseFailedError
from dormatory.system import process, signals

try:
    import fcntl
except ImportError:  # Windows: a directory that a killed run leaves there stays
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "dorm-"
_LOCK_NAME = "owner.lock"
# sun_path of unix(7) is 108 bytes on Linux and 104 elsewhere, the closing NUL included.
_SOCKET_BYTES = 107 if sys.platform == "linux" else 103
_SOCKET_NAME = ".s.PGSQL.5432"
_MEMORY_DIRECTORY = "/dev/shm"  # noqa: S108  # Linux's file system in memory: a server is ready there in a third of the time
_MIN_FREE_BYTES = 1 << 30  # what a directory in memory must have free: its files take it away from everybody
_RETRIES, _PAUSE_SECONDS = 100, 0.05
_held_locks: set[int] = set()


@dataclass(frozen=True, slots=True)
class _LockedDirectory:
    path: Path
    lock: int | None


@contextlib.contextmanager
def locked_directory(account: process.Account | None = None) -> Iterator[Path]:
    """Make a directory that only we, or `account`, can enter, and remove it with all it holds at the end.

    Its path is short enough for a socket in it. What killed runs left is removed first. A child forked
    inside the block leaves the directory to its parent.
    """
    remove_abandoned_directories(account)
    owner, held = os.getpid(), None
    try:
        with signals.defer_signals():
            held = _create_locked(account)
        yield held.path
    finally:
        if held is not None and os.getpid() == owner:
            with signals.defer_signals():
                _remove(held)


def remove_abandoned_directories(account: process.Account | None = None) -> None:
    """Remove the directories, and stop the servers in them, whose owner was killed.

    Only directories of our naming and our user (or `account`) are looked at, and a lock that cannot be
    taken tells that the owner lives, or that another run is sweeping.
    """
    if fcntl is None:
        return
    users = {os.geteuid()} | ({account.uid} if account else set())
    for base in {*_base_directories(None), Path(_MEMORY_DIRECTORY)}:
        for path in base.glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):  # somebody else's sweep was faster, or it was never ours
                _remove_if_abandoned(path, users)


def _remove_if_abandoned(path: Path, users: set[int]) -> None:
    state = path.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid not in users:
        return
    try:
        lock = os.open(path / _LOCK_NAME, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        path.rmdir()  # succeeds on an empty one only, which its owner then makes anew
        return
    try:
        is_ours = os.fstat(lock).st_uid == os.geteuid()
        if is_ours and _try_lock(path, lock):
            postmaster.stop_orphaned_server(path, uid=state.st_uid)
            _delete_contents_and_lock(path)
    finally:
        os.close(lock)


def _base_directories(account: process.Account | None) -> Iterator[Path]:
    """Yield where temporary directories may lie, those too deep for a socket or closed to `account` left out."""
    for base in dict.fromkeys(Path(name).resolve() for name in _candidate_directories()):
        socket = base / f"{_PREFIX}12345678" / _SOCKET_NAME
        is_short = fcntl is None or len(os.fsencode(socket)) <= _SOCKET_BYTES
        if base.is_dir() and is_short and (account is None or _is_open_to_all(base)):
            yield base


def _candidate_directories() -> Iterator[str]:
    """Yield directories for temporary files; one in memory comes first, where nobody chose another and it has room."""
    if "TMPDIR" not in os.environ and _has_room(_MEMORY_DIRECTORY):
        yield _MEMORY_DIRECTORY
    yield from (tempfile.gettempdir(), "/tmp", "/var/tmp")  # noqa: S108  # made by mkdtemp


def _has_room(directory: str) -> bool:
    """Say whether a server's data fits into a directory, and programs may be run from it."""
    try:
        state = os.statvfs(directory)
    except OSError:
        return False
    return state.f_bavail * state.f_frsize > _MIN_FREE_BYTES and not state.f_flag & os.ST_NOEXEC


def _is_open_to_all(base: Path) -> bool:
    return all(part.stat().st_mode & stat.S_IXOTH for part in (base, *base.parents))


def _create_locked(account: process.Account | None) -> _LockedDirectory:
    for base in _base_directories(account):
        for _ in range(_RETRIES):
            path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
            if fcntl is None:
                return _LockedDirectory(path, None)
            # Another run's sweep may come between any two of these steps; then there is no lock to be had.
            with contextlib.suppress(FileNotFoundError):
                lock = os.open(path / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
                if _try_lock(path, lock):
                    if account is not None:
                        os.chown(path, account.uid, account.gid)
                    _held_locks.add(lock)
                    return _LockedDirectory(path, lock)
                os.close(lock)
    raise DatabaseFailedError(
        "no directory for a scratch database could be made",
        why=f"{tempfile.gettempdir()} and /tmp are missing, closed, or too deep for a socket of {_SOCKET_BYTES} bytes",
        fix="set TMPDIR to a short path that every user may enter",
    )


def _try_lock(path: Path, lock: int) -> bool:
    """Take the lock that stands in `path`, unless somebody holds it or it is no longer the one there."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(lock), (path / _LOCK_NAME).lstat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _remove(held: _LockedDirectory) -> None:
    try:
        _delete_contents_and_lock(held.path)
    finally:
        if held.lock is not None:
            _held_locks.discard(held.lock)
            os.close(held.lock)


def _delete_contents_and_lock(path: Path) -> None:
    """Remove a directory, its lock last: until then a run that breaks off here can be finished by the next."""
    for retries_left in range(_RETRIES, -1, -1):
        try:
            for entry in path.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                elif entry.name != _LOCK_NAME:
                    entry.unlink(missing_ok=True)
            break
        except OSError:  # a program that is just ending still writes there
            if not retries_left:
                raise
            time.sleep(_PAUSE_SECONDS)
    (path / _LOCK_NAME).unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):  # another run saw it without its lock, and was quicker
        path.rmdir()


def _close_inherited_locks() -> None:
    """Close the locks in a forked child, which would hold them beyond the life of the owner."""
    while _held_locks:
        os.close(_held_locks.pop())


if fcntl is not None:
    os.register_at_fork(after_in_child=_close_inherited_locks)
