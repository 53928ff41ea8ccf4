"""PostgreSQL's server programs as the user who will run them can reach them."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.backends import programs
from dormatory.errors import DatabaseFailedError, ProgramFailedError
from dormatory.system import process

if TYPE_CHECKING:
    from collections.abc import Mapping

_ACCOUNTS = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Installation:
    """Server programs that run: their directory and environment, the version as initdb prints it, its major number."""

    binaries: Path
    environment: Mapping[str, str]
    version: str
    major: int


def server_account() -> process.Account | None:
    """Return the user that the server runs as when we are root, which PostgreSQL refuses to be; else nothing."""
    if os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415  # Windows has none

    for name in _ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return process.Account(entry.pw_uid, entry.pw_gid)
    raise DatabaseFailedError(
        "a throwaway PostgreSQL cannot be started by root alone",
        why=f"there is no user {' or '.join(_ACCOUNTS)} to run it",
        fix="run this as an ordinary user",
    )


def runnable_installation(binaries: Path, home: Path, account: process.Account | None) -> Installation:
    """Return the programs in `binaries`, or, where `account` cannot run them there, a copy of them below `home`."""
    try:
        return _probe_installation(binaries, _server_environment(), home, account)
    except ProgramFailedError:
        if account is None:
            raise
    linked_binaries = _link_installation(binaries.resolve(), home / "programs")
    # Programs built for a fixed prefix look for their libraries there, where the account has no access.
    libraries = [str(linked_binaries.parent / "lib"), os.environ.get("LD_LIBRARY_PATH", "")]
    environment = _server_environment() | {"LD_LIBRARY_PATH": ":".join(filter(None, libraries))}
    return _probe_installation(linked_binaries, environment, home, account)


def _server_environment() -> dict[str, str]:
    """Return the environment for initdb and the server: nothing of the caller's PG* settings or language.

    initdb writes the time zone it finds here into the server's configuration; without one it searches for a long time.
    """
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {key: os.environ[key] for key in kept if key in os.environ} | {"LC_ALL": "C", "TZ": "UTC"}


def _probe_installation(
    binaries: Path, environment: Mapping[str, str], home: Path, account: process.Account | None
) -> Installation:
    """Run `initdb --version`: this shows whether the user can execute the programs."""
    program = binaries / "initdb"
    version = process.run_program(
        [str(program), "--version"], env=environment, cwd=home, account=account, timeout=20,
        fix=f"set {programs.POSTGRES_BIN_VARIABLE} to a directory with programs that run",
    ).stdout.strip()  # fmt: skip
    return Installation(binaries, environment, version, programs.parse_major_version(version, program))


def _link_installation(binaries: Path, destination: Path) -> Path:
    """Rebuild an installation below `destination`, in its own layout, and return the directory of its programs.

    The programs find their files relative to themselves; those of a wheel find their libraries next to its package.
    """
    prefix = binaries.parent
    package = prefix.parent
    for name in ("bin", "lib", "lib64", "share"):
        _link_tree(prefix / name, destination / package.name / prefix.name / name)
    libraries = package.with_name(f"{package.name}.libs")
    _link_tree(libraries, destination / libraries.name)
    return destination / package.name / prefix.name / binaries.name


def _link_tree(source: Path, destination: Path) -> None:
    """Link a tree's files into new directories that every user may enter; nothing of the source changes."""
    for directory, _, files in os.walk(source):
        target = destination / Path(directory).relative_to(source)
        target.mkdir(mode=0o755, parents=True)
        target.chmod(0o755)
        for name in files:
            _link_or_copy(Path(directory, name), target / name)


def _link_or_copy(source: Path, destination: Path) -> None:
    mode = source.lstat().st_mode
    if stat.S_ISLNK(mode):
        destination.symlink_to(source.readlink())
        return
    wanted = 0o755 if mode & stat.S_IXUSR else 0o644
    if mode & wanted & 0o005 == wanted & 0o005:
        try:
            destination.hardlink_to(source)
        except OSError:  # another file system, or one that keeps links to its owner
            pass
        else:
            return
    shutil.copyfile(source, destination)
    destination.chmod(wanted)
