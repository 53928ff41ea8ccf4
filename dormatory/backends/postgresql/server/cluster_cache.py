"""Data directories for new servers: made by initdb once, and unpacked from the user's cache from then on."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.server import postmaster
from dormatory.system import process
from dormatory.system.file_lock import wait_for_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.postgresql.server.installation import Installation

_CACHE_FORMAT = "1"  # raise it when the meaning of a cached file changes
_INITDB_OPTIONS = (
    f"--username={postmaster.SUPERUSER}", "--auth=trust", "--locale=C", "--encoding=UTF8",
    "--no-sync", "--no-instructions",
)  # fmt: skip


def create_cluster(installation: Installation, home: Path, account: process.Account | None) -> bool:
    """Make the data directory in `home`, from the cache or by initdb, and return whether it was in the cache.

    A cache that cannot be read or written only costs time.
    """
    try:
        with _locked_cache_file(installation) as cache_file:
            if cache_file.exists():
                _unpack(cache_file, home, account)
                return True
            initdb(installation, home, account)
            with contextlib.suppress(OSError):  # a full disk: the next run tries again
                _pack(home, cache_file)
            return False
    except tarfile.TarError:
        discard_cached_cluster(installation)
    except OSError:
        pass
    initdb(installation, home, account)
    return False


def initdb(installation: Installation, home: Path, account: process.Account | None) -> None:
    """Make the data directory in `home` by initdb, in place of an old one; an error repeats what initdb wrote."""
    shutil.rmtree(home / postmaster.DATA_DIRECTORY, ignore_errors=True)
    process.run_program(
        [str(installation.binaries / "initdb"), "-D", str(home / postmaster.DATA_DIRECTORY), *_INITDB_OPTIONS],
        env=installation.environment, cwd=home, account=account,
        fix="correct what initdb reports",
    )  # fmt: skip


def discard_cached_cluster(installation: Installation) -> None:
    """Remove the data directory of this installation from the cache."""
    with contextlib.suppress(OSError):
        (_cache_directory() / _cache_file_name(installation)).unlink()


@contextlib.contextmanager
def _locked_cache_file(installation: Installation) -> Iterator[Path]:
    """Yield the cache's file for this installation; where it is missing, only one run at a time may make it.

    Raises OSError where other users can write to the cache.
    """
    directory = _cache_directory()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = directory.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & 0o022:
        message = f"{directory} is open to others"
        raise PermissionError(message)
    cache_file = directory / _cache_file_name(installation)
    with contextlib.ExitStack() as stack:
        if not cache_file.exists():
            lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            stack.callback(os.close, lock)
            wait_for_lock(lock)
        yield cache_file


def _cache_directory() -> Path:
    import platformdirs  # noqa: PLC0415  # only who starts a server needs it

    return platformdirs.user_cache_path("dormatory", appauthor=False)


def _cache_file_name(installation: Installation) -> str:
    """Return a name made of what a data directory depends on: server build, initdb's options, our own format."""
    sizes = [(installation.binaries / name).stat().st_size for name in ("initdb", "postgres")]
    text = repr((_CACHE_FORMAT, installation.version, sizes, _INITDB_OPTIONS))
    return f"postgresql-{installation.major}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.tar"


def _pack(home: Path, cache_file: Path) -> None:
    """Put the data directory into the cache as one file, completely or not at all.

    One file, since some file systems take a millisecond for each of the thousand that initdb makes.
    """
    number, partial = tempfile.mkstemp(prefix="partial-", dir=cache_file.parent)
    try:
        with open(number, "wb") as output, tarfile.open(fileobj=output, mode="w") as archive:  # noqa: PTH123  # a descriptor
            for directory, _, files in os.walk(home / postmaster.DATA_DIRECTORY):
                entry = tarfile.TarInfo(str(Path(directory).relative_to(home)))
                entry.type = tarfile.DIRTYPE
                archive.addfile(entry)
                for name in files:
                    with Path(directory, name).open("rb") as content:
                        member = tarfile.TarInfo(f"{entry.name}/{name}")
                        member.size = os.fstat(content.fileno()).st_size
                        archive.addfile(member, content)
        Path(partial).rename(cache_file)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def _unpack(cache_file: Path, home: Path, account: process.Account | None) -> None:
    """Write the cached data directory below `home`, for `account` to own; PostgreSQL accepts no mode above 0700."""
    with tarfile.open(cache_file) as archive:
        for member in archive:
            target = home / member.name
            if member.isdir():
                target.mkdir(mode=0o700)
            elif content := archive.extractfile(member):
                with open(target, "xb", opener=_open_private) as output:  # Path.open takes no opener
                    output.write(content.read())
            if account is not None:
                os.chown(target, account.uid, account.gid)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
