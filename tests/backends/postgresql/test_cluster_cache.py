"""The cache of data directories: used for the same version only, and ignored where it cannot be used."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dormatory.backends import programs
from dormatory.backends.postgresql.server import cluster_cache, installation, postmaster, throwaway
from dormatory.system import private_directory, process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.backends.postgresql.server.installation import Installation


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that is empty and ours alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "dormatory"


@pytest.fixture
def runs_of_initdb(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The versions that initdb was run for, most recent last."""
    versions: list[str] = []
    real = cluster_cache.initdb

    def counted(installed: Installation, home: Path, account: process.Account | None) -> None:
        versions.append(installed.version)
        real(installed, home, account)

    monkeypatch.setattr(cluster_cache, "initdb", counted)
    return versions


@pytest.fixture
def place() -> Iterator[tuple[Path, process.Account | None]]:
    """A private directory for one data directory, and the user who is to own it."""
    account = installation.server_account()
    with private_directory.locked_directory(account) as home:
        yield home, account


def start_server() -> None:
    with throwaway.server() as server:
        server.create_database()


def cached_files(cache: Path) -> list[Path]:
    return sorted(cache.glob("postgresql-*"))


def test_the_second_server_needs_no_initdb(cache: Path, runs_of_initdb: list[str]) -> None:
    start_server()
    start_server()
    assert (len(runs_of_initdb), len(cached_files(cache))) == (1, 1)


def test_other_users_cannot_read_the_cache(cache: Path) -> None:
    start_server()
    assert [path.stat().st_mode & 0o077 for path in (cache, *cache.iterdir())] == [0, 0, 0]


def test_the_cache_is_never_used_across_versions(
    cache: Path, runs_of_initdb: list[str], place: tuple[Path, process.Account | None]
) -> None:
    home, account = place
    installed = installation.runnable_installation(programs.server_binaries(), home, account)
    for version in ("initdb (PostgreSQL) 18.6", "initdb (PostgreSQL) 18.7"):
        cluster_cache.create_cluster(replace(installed, version=version), home, account)
    assert (len(cached_files(cache)), runs_of_initdb) == (2, ["initdb (PostgreSQL) 18.6", "initdb (PostgreSQL) 18.7"])


def test_a_truncated_cache_file_is_replaced(cache: Path, runs_of_initdb: list[str]) -> None:
    start_server()
    whole = cached_files(cache)[0].stat().st_size
    os.truncate(cached_files(cache)[0], whole // 2)
    start_server()
    start_server()
    assert (len(runs_of_initdb), cached_files(cache)[0].stat().st_size) == (3, whole)


def test_a_cache_file_whose_server_does_not_start_is_replaced(cache: Path, runs_of_initdb: list[str]) -> None:
    start_server()
    file = cached_files(cache)[0]
    file.write_bytes(file.read_bytes().replace(b"max_connections", b"max_confections"))
    start_server()
    start_server()
    assert len(runs_of_initdb) == 3


@pytest.mark.parametrize("kind", ["a file in its place", "open to others", "no home"])
def test_a_cache_that_cannot_be_used_only_costs_time(
    cache: Path, runs_of_initdb: list[str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.parent.mkdir()
    if kind == "a file in its place":
        cache.touch()
    elif kind == "open to others":
        cache.mkdir()
        cache.chmod(0o777)
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", "relative, hence ignored")
        monkeypatch.setenv("HOME", "/dev/null")
    start_server()
    assert (len(runs_of_initdb), cached_files(cache)) == (1, [])


def test_what_is_unpacked_equals_what_initdb_made(cache: Path, place: tuple[Path, process.Account | None]) -> None:
    home, account = place
    installed = installation.runnable_installation(programs.server_binaries(), home, account)

    def create_and_read() -> dict[str, tuple[int, int, bytes]]:
        cluster_cache.create_cluster(installed, home, account)
        paths = sorted((home / postmaster.DATA_DIRECTORY).rglob("*"))
        states = {str(path): path.stat() for path in paths}
        return {
            str(path): (
                states[str(path)].st_mode,
                states[str(path)].st_uid,
                path.read_bytes() if path.is_file() else b"",
            )
            for path in paths
        }

    made = create_and_read()
    (home / postmaster.DATA_DIRECTORY).rename(home / "first")
    assert (create_and_read(), len(cached_files(cache))) == (made, 1)
