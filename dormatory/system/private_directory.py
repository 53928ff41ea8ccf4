"""Private directories: short, locked by their owner while it lives; the next run removes those of killed owners."""

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

from dormatory.errors import DatabaseFailedError
from dormatory.system import file_lock, signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dormatory.system.process import Account

_PREFIX = "dorm-"
_LOCK_NAME = "owner.lock"
# sun_path of unix(7) is 108 bytes on Linux and 104 elsewhere, the closing NUL included.
_SOCKET_BYTES = 107 if sys.platform == "linux" else 103
_SOCKET_NAME = ".s.PGSQL.5432"
_MEMORY_DIRECTORY = "/dev/shm"  # noqa: S108  # Linux's file system in memory: a server is ready there in a third of the time
_MIN_FREE_BYTES = 1 << 30  # a directory in memory needs so much free space: its files use the memory of all programs
_RETRIES, _PAUSE_SECONDS = 100, 0.05
_held_locks: set[int] = set()


@dataclass(frozen=True, slots=True)
class _LockedDirectory:
    path: Path
    lock: int | None


@contextlib.contextmanager
def locked_directory(
    account: Account | None = None, *, before_sweep: Callable[[Path, int], None] | None = None
) -> Iterator[Path]:
    """Make a directory that only we, or `account`, can enter, and remove it with its contents at the end.

    Its path is short enough for a socket in it. The directories of killed runs are removed first, as
    remove_abandoned_directories does. A child that is forked inside the block leaves the directory to its parent.
    """
    remove_abandoned_directories(account, before_sweep=before_sweep)
    owner, held = os.getpid(), None
    try:
        with signals.defer_signals():
            held = _create_locked(account)
        yield held.path
    finally:
        if held is not None and os.getpid() == owner:
            with signals.defer_signals():
                _remove(held)


def remove_abandoned_directories(
    account: Account | None = None, *, before_sweep: Callable[[Path, int], None] | None = None
) -> None:
    """Remove the directories whose owner was killed.

    `before_sweep(path, uid)` is called before a directory is removed and stops what still runs in it. Only directories
    with our kind of name that belong to our user (or `account`) are considered. A lock that cannot be taken means that
    the owner lives, or that another run is removing the directory. On Windows, which has no such locks, they stay.
    """
    if not file_lock.IS_SUPPORTED:
        return
    users = {os.geteuid()} | ({account.uid} if account else set())
    for base in {*_base_directories(None), Path(_MEMORY_DIRECTORY)}:
        for path in base.glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):  # another run was faster, or it was never ours
                _remove_if_abandoned(path, users, before_sweep)


def _remove_if_abandoned(path: Path, users: set[int], before_sweep: Callable[[Path, int], None] | None) -> None:
    state = path.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid not in users:
        return
    try:
        lock = os.open(path / _LOCK_NAME, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        path.rmdir()  # succeeds only if it is empty, and its owner then makes another one
        return
    try:
        is_ours = os.fstat(lock).st_uid == os.geteuid()
        if is_ours and _try_lock(path, lock):
            if before_sweep:
                before_sweep(path, state.st_uid)
            _delete_contents_and_lock(path)
    finally:
        os.close(lock)


def _base_directories(account: Account | None) -> Iterator[Path]:
    """Yield the directories for temporary files, without those too deep for a socket or closed to `account`."""
    for base in dict.fromkeys(Path(name).resolve() for name in _candidate_directories()):
        socket = base / f"{_PREFIX}12345678" / _SOCKET_NAME
        is_short = not file_lock.IS_SUPPORTED or len(os.fsencode(socket)) <= _SOCKET_BYTES
        if base.is_dir() and is_short and (account is None or _is_open_to_all(base)):
            yield base


def _candidate_directories() -> Iterator[str]:
    """Yield directories for temporary files; one in memory comes first if TMPDIR is not set and it has room."""
    if "TMPDIR" not in os.environ and _has_room(_MEMORY_DIRECTORY):
        yield _MEMORY_DIRECTORY
    yield from (tempfile.gettempdir(), "/tmp", "/var/tmp")  # noqa: S108  # made by mkdtemp


def _has_room(directory: str) -> bool:
    """Return whether a server's data fits into a directory and programs can be run from it."""
    try:
        state = os.statvfs(directory)
    except OSError:
        return False
    return state.f_bavail * state.f_frsize > _MIN_FREE_BYTES and not state.f_flag & os.ST_NOEXEC


def _is_open_to_all(base: Path) -> bool:
    return all(part.stat().st_mode & stat.S_IXOTH for part in (base, *base.parents))


def _create_locked(account: Account | None) -> _LockedDirectory:
    for base in _base_directories(account):
        for _ in range(_RETRIES):
            path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
            if not file_lock.IS_SUPPORTED:
                return _LockedDirectory(path, None)
            # Another run may remove the directory between any two of these steps; then the lock cannot be taken.
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
    """Return whether we got the lock of `path`: nobody holds it, and its file was not replaced by another one."""
    try:
        return bool(file_lock.try_lock(lock)) and os.path.samestat(os.fstat(lock), (path / _LOCK_NAME).lstat())
    except FileNotFoundError:
        return False


def _remove(held: _LockedDirectory) -> None:
    try:
        _delete_contents_and_lock(held.path)
    finally:
        if held.lock is not None:
            _held_locks.discard(held.lock)
            os.close(held.lock)


def _delete_contents_and_lock(path: Path) -> None:
    """Remove a directory, its lock last: until then the next run can finish what an interrupted one began."""
    for retries_left in range(_RETRIES, -1, -1):
        try:
            for entry in path.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                elif entry.name != _LOCK_NAME:
                    entry.unlink(missing_ok=True)
            break
        except OSError:  # a program that is about to end still writes there
            if not retries_left:
                raise
            time.sleep(_PAUSE_SECONDS)
    (path / _LOCK_NAME).unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):  # another run saw it without its lock and removed it
        path.rmdir()


def _close_inherited_locks() -> None:
    """Close the locks in a forked child: it would hold them after the owner has ended."""
    while _held_locks:
        os.close(_held_locks.pop())


if hasattr(os, "register_at_fork"):  # Windows cannot fork
    os.register_at_fork(after_in_child=_close_inherited_locks)
