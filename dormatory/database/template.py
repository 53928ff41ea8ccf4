"""Data directories for new servers: made by initdb once, copied from the user's cache ever after."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.database import postmaster, process

try:
    import fcntl
except ImportError:  # Windows, where no server is started
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.database.installation import Installation

_FORMAT = "1"  # to be raised whenever what stands in a cached directory changes its meaning
_OPTIONS = (
    f"--username={postmaster.SUPERUSER}", "--auth=trust", "--locale=C", "--encoding=UTF8",
    "--no-sync", "--no-instructions",
)  # fmt: skip


def populate(installation: Installation, home: Path, account: process.Account | None) -> None:
    """Make the data directory in `home`, from the cache where it can be used and by initdb where not."""
    data = home / postmaster.DATA
    try:
        with _cached(installation) as (cached, is_new):
            if is_new:
                initdb(installation, home, account)
                _store(data, cached)
            else:
                _copy_tree(cached, data, account)
            return
    except OSError:  # a cache that cannot be written or read is only slower
        shutil.rmtree(data, ignore_errors=True)
    initdb(installation, home, account)


def initdb(installation: Installation, home: Path, account: process.Account | None) -> None:
    """Make the data directory in `home` by initdb; its own words stand in the error when it fails."""
    process.run(
        [str(installation.binaries / "initdb"), "-D", str(home / postmaster.DATA), *_OPTIONS],
        env=postmaster.environment(), cwd=home, account=account,
        fix="remove what initdb complains of",
    )  # fmt: skip


def discard(installation: Installation) -> None:
    """Forget the cached directory for this installation."""
    with contextlib.suppress(OSError):
        shutil.rmtree(_directory() / _key(installation), ignore_errors=True)


@contextlib.contextmanager
def _cached(installation: Installation) -> Iterator[tuple[Path, bool]]:
    """Yield where the cached directory lies and whether it has yet to be made; only one run makes it.

    Raises OSError where there is no place that is ours alone.
    """
    directory = _directory()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = directory.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & 0o077:
        message = "the cache is open to others"
        raise PermissionError(message)
    cached = directory / _key(installation)
    if cached.is_dir():
        yield cached, False
        return
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield cached, not cached.is_dir()
    finally:
        os.close(lock)


def _directory() -> Path:
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(given) if given.startswith("/") else Path(os.path.expanduser("~/.cache"))  # noqa: PTH111  # Path.expanduser raises without a home
    return base / "dormatory"


def _key(installation: Installation) -> str:
    """Name what a data directory depends on: the build of the server, initdb's options, and this module."""
    sizes = [(installation.binaries / name).stat().st_size for name in ("initdb", "postgres")]
    text = repr((_FORMAT, installation.version, sizes, _OPTIONS))
    return f"postgresql-{installation.major}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _store(data: Path, cached: Path) -> None:
    """Put a copy of `data` into the cache, complete or not at all."""
    with contextlib.suppress(OSError):  # a full disk, a cache gone read-only: the next run tries again
        partial = Path(tempfile.mkdtemp(prefix="partial-", dir=cached.parent))
        try:
            _copy_tree(data, partial / "data", None)
            (partial / "data").rename(cached)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _copy_tree(source: Path, destination: Path, account: process.Account | None) -> None:
    """Copy a directory for `account` to own; PostgreSQL accepts no wider mode than 0700."""
    for directory, _, files in os.walk(source):
        target = destination / Path(directory).relative_to(source)
        target.mkdir(mode=0o700)
        for name in files:
            shutil.copyfile(Path(directory, name), target / name)
            (target / name).chmod(0o600)
            if account is not None:
                os.chown(target / name, account.uid, account.gid)
        if account is not None:
            os.chown(target, account.uid, account.gid)
