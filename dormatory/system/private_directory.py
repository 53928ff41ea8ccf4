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
_LOCK = "owner.lock"
# sun_path of unix(7) is 108 bytes on Linux and 104 elsewhere, the closing NUL included.
_SOCKET_BYTES = 107 if sys.platform == "linux" else 103
_SOCKET = ".s.PGSQL.5432"
_MEMORY = "/dev/shm"  # noqa: S108  # Linux's file system in memory: a server is ready there in a third of the time
_MEMORY_BYTES = 1 << 30  # what a directory in memory must have free: its files take it away from everybody
_RETRIES, _PAUSE_SECONDS = 100, 0.05
_locks: set[int] = set()


@dataclass(frozen=True, slots=True)
class _Held:
    path: Path
    lock: int | None


@contextlib.contextmanager
def directory(account: process.Account | None = None) -> Iterator[Path]:
    """Make a directory that only we, or `account`, can enter, and remove it with all it holds at the end.

    Its path is short enough for a socket in it. What killed runs left is removed first. A child forked
    inside the block leaves the directory to its parent.
    """
    sweep(account)
    owner, held = os.getpid(), None
    try:
        with signals.deferring_signals():
            held = _made(account)
        yield held.path
    finally:
        if held is not None and os.getpid() == owner:
            with signals.deferring_signals():
                _remove(held)


def sweep(account: process.Account | None = None) -> None:
    """Remove the directories, and stop the servers in them, whose owner was killed.

    Only directories of our naming and our user (or `account`) are looked at, and a lock that cannot be
    taken tells that the owner lives, or that another run is sweeping.
    """
    if fcntl is None:
        return
    users = {os.geteuid()} | ({account.uid} if account else set())
    for base in {*_bases(None), Path(_MEMORY)}:
        for path in base.glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):  # somebody else's sweep was faster, or it was never ours
                _sweep_one(path, users)


def _sweep_one(path: Path, users: set[int]) -> None:
    state = path.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid not in users:
        return
    try:
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        path.rmdir()  # succeeds on an empty one only, which its owner then makes anew
        return
    try:
        ours = os.fstat(lock).st_uid == os.geteuid()
        if ours and _locked(path, lock):
            postmaster.end_orphans(path, uid=state.st_uid)
            _empty(path)
    finally:
        os.close(lock)


def _bases(account: process.Account | None) -> Iterator[Path]:
    """Yield where temporary directories may lie, those too deep for a socket or closed to `account` left out."""
    for base in dict.fromkeys(Path(name).resolve() for name in _places()):
        socket = base / f"{_PREFIX}12345678" / _SOCKET
        short = fcntl is None or len(os.fsencode(socket)) <= _SOCKET_BYTES
        if base.is_dir() and short and (account is None or _open_to_all(base)):
            yield base


def _places() -> Iterator[str]:
    """Yield directories for temporary files; one in memory comes first, where nobody chose another and it has room."""
    if "TMPDIR" not in os.environ and _has_room(_MEMORY):
        yield _MEMORY
    yield from (tempfile.gettempdir(), "/tmp", "/var/tmp")  # noqa: S108  # made by mkdtemp


def _has_room(directory: str) -> bool:
    """Say whether a server's data fits into a directory, and programs may be run from it."""
    try:
        state = os.statvfs(directory)
    except OSError:
        return False
    return state.f_bavail * state.f_frsize > _MEMORY_BYTES and not state.f_flag & os.ST_NOEXEC


def _open_to_all(base: Path) -> bool:
    return all(part.stat().st_mode & stat.S_IXOTH for part in (base, *base.parents))


def _made(account: process.Account | None) -> _Held:
    for base in _bases(account):
        for _ in range(_RETRIES):
            path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
            if fcntl is None:
                return _Held(path, None)
            # Another run's sweep may come between any two of these steps; then there is no lock to be had.
            with contextlib.suppress(FileNotFoundError):
                lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
                if _locked(path, lock):
                    if account is not None:
                        os.chown(path, account.uid, account.gid)
                    _locks.add(lock)
                    return _Held(path, lock)
                os.close(lock)
    raise DatabaseFailedError(
        "no directory for a scratch database could be made",
        why=f"{tempfile.gettempdir()} and /tmp are missing, closed, or too deep for a socket of {_SOCKET_BYTES} bytes",
        fix="set TMPDIR to a short path that every user may enter",
    )


def _locked(path: Path, lock: int) -> bool:
    """Take the lock that stands in `path`, unless somebody holds it or it is no longer the one there."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(lock), (path / _LOCK).lstat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _remove(held: _Held) -> None:
    try:
        _empty(held.path)
    finally:
        if held.lock is not None:
            _locks.discard(held.lock)
            os.close(held.lock)


def _empty(path: Path) -> None:
    """Remove a directory, its lock last: until then a run that breaks off here can be finished by the next."""
    for left in range(_RETRIES, -1, -1):
        try:
            for entry in path.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                elif entry.name != _LOCK:
                    entry.unlink(missing_ok=True)
            break
        except OSError:  # a program that is just ending still writes there
            if not left:
                raise
            time.sleep(_PAUSE_SECONDS)
    (path / _LOCK).unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):  # another run saw it without its lock, and was quicker
        path.rmdir()


def _let_go() -> None:
    """Close the locks in a forked child, which would hold them beyond the life of the owner."""
    while _locks:
        os.close(_locks.pop())


if fcntl is not None:
    os.register_at_fork(after_in_child=_let_go)
