"""The throwaway server: what its databases are like, and which message appears when it cannot start."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import NullPool, create_engine, text

from dormatory.backends import programs
from dormatory.backends.postgresql.server import installation, postmaster, throwaway
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.errors import DatabaseFailedError, ProgramFailedError
from dormatory.system import private_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.postgresql.server.throwaway import Server
    from dormatory.backends.url import Target


def fetch_value(target: Target, query: str) -> object:
    """Return the first column of the first row."""
    engine = create_engine(target.sqlalchemy_url())
    with engine.connect() as connection:
        answer = connection.execute(text(query)).scalar()
        connection.commit()
    engine.dispose()
    return answer


def write_script(path: Path, body: str) -> None:
    """Write a shell script that every user may run."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.fixture
def binaries() -> Iterator[Path]:
    """A directory of programs that everybody can reach, initdb being the real one, wherever that lies."""
    account = installation.server_account()
    with private_directory.locked_directory(account) as home:
        directory = home / "made-up"
        directory.mkdir()
        real = installation.runnable_installation(programs.server_binaries(), home, account)
        libraries = real.environment.get("LD_LIBRARY_PATH", "")
        write_script(directory / "initdb", f'LD_LIBRARY_PATH="{libraries}" exec {real.binaries}/initdb "$@"')
        yield directory


class TestDatabases:
    """What is promised about a database on the server."""

    def test_a_new_database_is_empty(self, postgres_server: Server) -> None:
        target = postgres_server.create_database()
        assert fetch_value(target, "select count(*) from pg_tables where schemaname = 'public'") == 0

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("listen_addresses", ""),
            ("fsync", "off"),
            ("full_page_writes", "off"),
            ("synchronous_commit", "off"),
            ("TimeZone", "UTC"),
            ("server_encoding", "UTF8"),
            ("lc_messages", "C"),
            ("lc_monetary", "C"),
        ],
    )
    def test_the_server_is_private_fast_and_the_same_everywhere(
        self, postgres_server: Server, setting: str, value: str
    ) -> None:
        assert fetch_value(postgres_server.database("postgres"), f"select current_setting('{setting}')") == value

    def test_texts_sort_by_their_bytes(self, postgres_server: Server) -> None:
        assert (
            fetch_value(postgres_server.database("postgres"), "select min(t) from (values ('a'), ('B')) as v(t)") == "B"
        )

    def test_a_name_is_quoted(self, postgres_server: Server) -> None:
        target = postgres_server.create_database('a "b"; drop')
        assert fetch_value(target, "select current_database()") == 'a "b"; drop'
        postgres_server.drop_database('a "b"; drop')
        assert (
            fetch_value(
                postgres_server.database("postgres"), "select count(*) from pg_database where datname like 'a %'"
            )
            == 0
        )

    def test_a_name_that_would_be_truncated_is_refused(self, postgres_server: Server) -> None:
        with pytest.raises(DatabaseFailedError) as caught:
            postgres_server.create_database("ä" * 32)
        assert str(caught.value) == (
            f"a database cannot be called {'ä' * 32} (PostgreSQL cuts names at 63 bytes); choose a shorter name"
        )

    def test_a_database_is_copied_from_a_template(self, postgres_server: Server) -> None:
        template = postgres_server.create_database()
        fetch_value(template, "create table room as select 1 as floor; select 1")
        copy = postgres_server.create_database(template=template.database)
        assert fetch_value(copy, "select floor from room") == 1

    def test_dropping_a_database_ends_its_sessions(self, postgres_server: Server) -> None:
        target = postgres_server.create_database()
        with create_engine(target.sqlalchemy_url(), poolclass=NullPool).connect() as connection:
            connection.execute(text("select 1"))
            postgres_server.drop_database(target.database)
            connection.invalidate()
        assert (
            fetch_value(
                postgres_server.database("postgres"),
                f"select count(*) from pg_database where datname = '{target.database}'",
            )
            == 0
        )

    def test_scratch_databases_are_gone_after_the_block(self, postgres_server: Server) -> None:
        with throwaway.scratch_postgresql(postgres_server) as target, scratch_sqlite() as file:
            fetch_value(target, "create table room(); select 1")
            fetch_value(file, "select 1")
            assert file.path.exists()
        gone = fetch_value(
            postgres_server.database("postgres"),
            f"select count(*) from pg_database where datname = '{target.database}'",
        )
        assert (gone, file.path.parent.exists()) == (0, False)

    def test_a_target_leads_psql_to_the_same_database(self, postgres_server: Server) -> None:
        with throwaway.scratch_postgresql(postgres_server) as target:
            psql = str(programs.find_client("psql", server_major=postgres_server.major_version))
            answer = subprocess.check_output(
                [psql, "-XAtc", "select current_database()"], env=target.environment(), text=True
            )
        assert answer.strip() == target.database


class TestIsolation:
    """What the caller's environment must not change."""

    @pytest.mark.parametrize(
        "variables",
        [
            {"LANG": "xx_YY.bogus", "LC_ALL": "xx_YY.bogus"},
            {"LANG": "de_DE.UTF-8", "LC_MESSAGES": "fr_FR.UTF-8", "LANGUAGE": "de"},
            {
                "PGPORT": "1",
                "PGDATA": "/nowhere",
                "PGOPTIONS": "-c bogus=1",
                "PGHOSTADDR": "192.0.2.1",
                "TZ": "Asia/Tokyo",
            },
        ],
        ids=["bogus", "non-English", "libpq"],
    )
    def test_language_and_libpq_settings_do_not_reach_the_server(
        self, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], tmp_path: Path
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # so that initdb runs
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with throwaway.server() as server, closing(postmaster.connect(server.socket_directory)) as connection:
            cursor = connection.cursor()
            cursor.execute("select current_setting('lc_messages'), current_setting('TimeZone')")
            assert cursor.fetchone() == ("C", "UTC")

    def test_the_server_sees_nothing_of_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGDATA", "/nowhere")
        monkeypatch.setenv("LANG", "de_DE.UTF-8")
        with throwaway.server() as server:
            pid = (server.socket_directory / "data/postmaster.pid").read_text().split()[0]
            variables = Path(f"/proc/{pid}/environ").read_text().split("\0")
        seen = {variable.partition("=")[0] for variable in variables if variable}
        assert seen - {"LD_LIBRARY_PATH"} == {"PATH", "LC_ALL", "TZ"}

    def test_a_url_names_the_port_that_pgport_would_change(
        self, postgres_server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PGPORT", "1")
        assert fetch_value(postgres_server.create_database(), "select 1") == 1

    def test_a_server_starts_without_any_language_setting(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for name in [name for name in os.environ if name.startswith(("LANG", "LC_"))]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        with throwaway.server() as server:
            assert fetch_value(server.create_database(), "select 1") == 1


class TestFailures:
    """The whole message when the server does not start."""

    def test_the_message_of_initdb_is_shown(
        self, binaries: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        write_script(binaries / "postgres", "exit 1")
        write_script(
            binaries / "initdb",
            '[ "$1" = --version ] && echo "initdb (PostgreSQL) 18.6" && exit\n'
            'echo "initdb: error: the reason" >&2; exit 3',
        )
        with pytest.raises(ProgramFailedError) as caught, throwaway.server(binaries):
            pass
        assert str(caught.value) == (
            "initdb ended with exit code 3 (initdb: error: the reason); correct what initdb reports"
        )

    def test_the_end_of_the_log_is_shown(self, binaries: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        write_script(binaries / "postgres", 'echo "LOG:  here I am"; echo "FATAL:  no memory" >&2; exit 1')
        with pytest.raises(DatabaseFailedError) as caught, throwaway.server(binaries):
            pass
        assert str(caught.value) == (
            "the throwaway PostgreSQL did not start (postgres ended with exit code 1; its log ends: "
            "LOG:  here I am / FATAL:  no memory); correct what the log reports"
        )

    def test_the_wait_for_the_start_is_limited(self, binaries: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(postmaster, "_START_SECONDS", 0.2)
        write_script(binaries / "postgres", "exec sleep 99")
        with pytest.raises(DatabaseFailedError) as caught, throwaway.server(binaries):
            pass
        assert "(it was not ready after 0.2 s; its log is empty)" in str(caught.value)

    def test_windows_is_refused_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "win32")
        with pytest.raises(DatabaseFailedError) as caught, throwaway.server():
            pass
        assert str(caught.value) == (
            "a throwaway PostgreSQL is not supported on Windows (it needs Unix sockets, file locks and signals); "
            "run this under WSL; everything on SQLite works here"
        )

    def test_the_fixture_fails_where_there_is_no_server(self, tmp_path: Path) -> None:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            __file__,
            "-k",
            "new_database_is_empty",
        ]
        done = subprocess.run(
            command, env=os.environ | {programs.POSTGRES_BIN_VARIABLE: str(tmp_path)}, cwd=Path(__file__).parents[3],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, "1 error" in done.stdout, "skipped" in done.stdout) == (1, True, False)
