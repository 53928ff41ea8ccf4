"""A command that destroys is refused on a database that is not marked for development."""

from __future__ import annotations

import os
import shlex
import sqlite3
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg2
import pytest

from dormatory.backends.registry import backend_for
from dormatory.errors import DatabaseFailedError, ProtectedDatabaseError
from dormatory.runtime.runner import Runner
from dormatory.safety import protection

if TYPE_CHECKING:
    from dormatory.backends.postgresql.server.throwaway import Server
    from dormatory.backends.url import Target
    from tests.conftest import Inv, SmallProject


@pytest.fixture
def unmarked_url(small_project: SmallProject, postgres_server: Server) -> str:
    """The URL of a database that nobody marked, at head; its name is its last path component."""
    small_project.write_table_revisions("a", "b")
    url = postgres_server.create_database().url.render()
    small_project.upgrade(url)
    return url


def target_of(project: SmallProject, url: str) -> Target:
    return project.project.target({"DATABASE_URL": url})


def tables_and_oid(project: SmallProject, url: str) -> tuple[list[str], str]:
    """Return the tables of a database and its object id, which a re-creation would change."""
    backend, target = backend_for(target_of(project, url)), target_of(project, url)
    with backend.engine(target, writing=False).connect() as connection:
        tables = connection.exec_driver_sql("SELECT relname FROM pg_stat_user_tables ORDER BY 1").scalars().all()
        oid = connection.exec_driver_sql("SELECT oid FROM pg_database WHERE datname = current_database()").scalar_one()
    return list(tables), str(oid)


class TestUnmarkedDatabase:
    @pytest.mark.parametrize("settings", [{}, {"CONFIRM": "x"}, {"DORMATORY_CONFIRM": "x"}], ids=len)
    def test_reset_and_downgrade_are_refused_before_any_statement(
        self, inv: Inv, small_project: SmallProject, unmarked_url: str, settings: dict[str, str]
    ) -> None:
        target = target_of(small_project, unmarked_url)
        environ = dict.fromkeys(settings, target.database)
        before = tables_and_oid(small_project, unmarked_url)
        for task in ("reset", "downgrade"):
            ended = inv(f"db.{task}", url=unmarked_url, **environ)
            assert (ended.code, ended.out) == (2, "")
            assert ended.err == (
                f"error: {task} refused on {target} (it counts as production); if that is what you want, "
                f"name it in the call: --confirm={target.database} (alembic: -x confirm={target.database})\n"
            )
        assert tables_and_oid(small_project, unmarked_url) == before

    def test_plain_alembic_is_refused_too(self, small_project: SmallProject, unmarked_url: str) -> None:
        before = tables_and_oid(small_project, unmarked_url)
        for confirm in ((), ("-x", "confirm=another")):
            ended = small_project.alembic(*confirm, "downgrade", "base", url=unmarked_url)
            assert (ended.code, ended.err) == (255, "")
            assert "downgrade refused on" in ended.out
        assert tables_and_oid(small_project, unmarked_url) == before

    def test_only_its_own_name_confirms(self, inv: Inv, small_project: SmallProject, unmarked_url: str) -> None:
        name = target_of(small_project, unmarked_url).database
        wrong = inv("db.downgrade", "--confirm=another", url=unmarked_url)
        assert (wrong.code, "it counts as production, and 'another' is not its name" in wrong.err) == (2, True)
        assert inv("db.downgrade", f"--confirm={name}", url=unmarked_url).code == 0
        assert tables_and_oid(small_project, unmarked_url)[0] == ["a", "alembic_version"]
        plain = small_project.alembic("-x", f"confirm={name}", "downgrade", "base", url=unmarked_url)
        assert (plain.code, tables_and_oid(small_project, unmarked_url)[0]) == (0, ["alembic_version"])

    def test_a_confirmed_name_is_accepted_without_a_connection(self, small_project: SmallProject) -> None:
        target = target_of(small_project, "postgresql://u@no.such.host.invalid/shop")
        protection.refuse_production(target, action="reset", confirmed="shop")

    def test_an_unreachable_database_counts_as_production(self, small_project: SmallProject) -> None:
        target = target_of(small_project, f"postgresql://u@/shop?host={small_project.root}")
        with pytest.raises(DatabaseFailedError):
            protection.refuse_production(target, action="reset", confirmed=None)

    def test_an_upgrade_is_no_destruction(self, small_project: SmallProject, unmarked_url: str) -> None:
        small_project.write_table_revisions("a", "b", "c")
        assert small_project.run("dormatory", "upgrade", url=unmarked_url).code == 0


class TestMarkedDatabase:
    def test_what_db_create_made_may_be_reset_and_downgraded(
        self, inv: Inv, small_project: SmallProject, postgres_server: Server
    ) -> None:
        small_project.write_table_revisions("a", "b")
        url = postgres_server.database(f"made_{os.getpid()}").url.render()
        target = target_of(small_project, url)
        assert inv("db.create", url=url).out == f"{target} created\n"
        assert inv("db.create", url=url).out == f"{target} exists\n"
        assert backend_for(target).summary(target).environment == "development"
        assert inv("db.upgrade", url=url).code == 0
        assert inv("db.downgrade", url=url).code == 0
        before = tables_and_oid(small_project, url)
        reset = inv("db.reset", url=url)
        after = tables_and_oid(small_project, url)
        backend_for(target).drop(target)
        assert reset.code == 0
        assert reset.err.startswith(f"destroying {target}: development database on PostgreSQL ")
        assert (before[0], after[0]) == (["a", "alembic_version"], ["a", "alembic_version", "b"])
        assert before[1] != after[1]

    def test_a_database_stays_unmarked_when_an_upgrade_finds_it_there(
        self, small_project: SmallProject, unmarked_url: str
    ) -> None:
        target = target_of(small_project, unmarked_url)
        with pytest.raises(ProtectedDatabaseError):
            protection.refuse_production(target, action="reset", confirmed=None)

    def test_sessions_that_reconnect_do_not_stop_a_reset(
        self, inv: Inv, small_project: SmallProject, postgres_server: Server
    ) -> None:
        small_project.write_table_revisions("a")
        url = postgres_server.database(f"busy_{os.getpid()}").url.render()
        target = target_of(small_project, url)
        backend_for(target).create(target)
        ending, connected = threading.Event(), threading.Event()
        pool = threading.Thread(target=keep_connecting, args=(url.replace("+psycopg2", ""), connected, ending))
        pool.start()
        assert connected.wait(10)
        ended = inv("db.reset", url=url)
        ending.set()
        pool.join()
        backend_for(target).drop(target)
        assert ended.code == 0, ended
        assert "open session" in ended.err.splitlines()[0]


def keep_connecting(url: str, connected: threading.Event, ending: threading.Event) -> None:
    """Connect again whenever the connection is closed, as a connection pool does."""
    while not ending.is_set():
        try:
            with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
                while not ending.is_set():
                    cursor.execute("SELECT 1")
                    connected.set()
                    time.sleep(0.01)
        except psycopg2.Error:
            time.sleep(0.01)


class TestSQLiteReset:
    """The file is removed together with its side files, or not at all."""

    @pytest.fixture
    def file_url(self, small_project: SmallProject) -> str:
        small_project.write_table_revisions("a")
        url = f"sqlite:///{small_project.root}/x.db"
        small_project.upgrade(url)
        return url

    @pytest.mark.parametrize("mode", ["delete", "wal"])
    def test_a_writer_keeps_its_database(self, inv: Inv, small_project: SmallProject, file_url: str, mode: str) -> None:
        path = target_of(small_project, file_url).path
        with (small_project.root / "alembic.ini").open("a") as settings:
            settings.write("[dormatory]\nlock_wait = 0.2\n")
        with closing(sqlite3.connect(path, isolation_level=None)) as writer:
            writer.execute(f"PRAGMA journal_mode = {mode}")
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("INSERT INTO a VALUES (1)")
            inode = path.stat().st_ino
            ended = inv("db.reset", url=file_url)
            assert path.stat().st_ino == inode
            writer.execute("COMMIT")
        assert ended.code == 3
        assert ended.err.splitlines()[-1].startswith(f"error: {file_url} is being changed by somebody else (")
        assert ended.err.endswith("waited 0.2 s); wait for it to end, or end it\n")
        with closing(sqlite3.connect(path)) as again:
            assert again.execute("SELECT id FROM a").fetchall() == [(1,)]

    def test_a_reader_of_a_wal_file_keeps_its_database_too(self, small_project: SmallProject, file_url: str) -> None:
        path = target_of(small_project, file_url).path
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("PRAGMA journal_mode = WAL")
            reader.execute("SELECT * FROM a").fetchall()
            target = target_of(small_project, file_url)
            with pytest.raises(DatabaseFailedError, match="database is locked"):
                backend_for(target).drop(target)
        assert path.exists()

    def test_no_side_file_remains(self, small_project: SmallProject, file_url: str) -> None:
        path = target_of(small_project, file_url).path
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("INSERT INTO a VALUES (1)")
            connection.commit()
            for suffix in ("-wal", "-shm"):  # as a crashed program leaves them: the closing would remove them
                path.with_name(f"copy.db{suffix}").write_bytes(path.with_name(f"x.db{suffix}").read_bytes())
            path.with_name("copy.db").write_bytes(path.read_bytes())
        target = target_of(small_project, f"sqlite:///{small_project.root}/copy.db")
        backend_for(target).drop(target)
        assert [path for path in small_project.root.iterdir() if path.name.startswith("copy.db")] == []

    def test_a_journal_that_its_writer_keeps_is_removed_too(self, small_project: SmallProject, file_url: str) -> None:
        target = target_of(small_project, file_url)
        with closing(sqlite3.connect(target.path)) as connection:
            connection.execute("PRAGMA journal_mode = PERSIST")
            connection.execute("INSERT INTO a VALUES (1)")
            connection.commit()
        assert target.path.with_name("x.db-journal").exists()
        backend_for(target).drop(target)
        assert [path for path in small_project.root.iterdir() if path.name.startswith("x.db")] == []

    @pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
    def test_no_database_is_created_next_to_the_journal_of_another(
        self, small_project: SmallProject, suffix: str
    ) -> None:
        target = target_of(small_project, f"sqlite:///{small_project.root}/new.db")
        left = small_project.root / f"new.db{suffix}"
        left.write_bytes(b"rows of another database")
        with pytest.raises(DatabaseFailedError) as raised:
            backend_for(target).create(target)
        assert str(raised.value) == (
            f"{left} is left over (it belongs to a database that is gone, and would be replayed into a new one); "
            "restore that database next to it, or remove it"
        )
        assert not target.path.exists()

    def test_what_is_destroyed_is_announced_first(self, inv: Inv, small_project: SmallProject, file_url: str) -> None:
        with closing(sqlite3.connect(target_of(small_project, file_url).path)) as connection:
            connection.execute("INSERT INTO a VALUES (1), (2)")
            connection.commit()
        ended = inv("db.reset", url=file_url)
        assert ended.code == 0
        assert ended.err.splitlines()[0] == (
            f"destroying {file_url}: development database on SQLite {sqlite3.sqlite_version}, user -; "
            "2 tables, 3 rows, 0 open sessions"
        )
        assert ended.out == f"{file_url} is at 001\n"


def test_the_suggested_call_can_be_copied_into_a_shell() -> None:
    error = ProtectedDatabaseError("that", "production", action="reset", name="it's mine", given=None)
    words = shlex.split(str(error).partition("call: ")[2].partition(" (alembic")[0])
    assert words == ["--confirm=it's mine"]


def test_a_history_that_cannot_be_played_destroys_nothing(inv: Inv, small_project: SmallProject) -> None:
    small_project.write_table_revisions("a", "b")
    target = target_of(small_project, f"sqlite:///{small_project.root}/x.db")
    assert Runner(small_project.project, target=target).script is not None
    url = f"sqlite:///{target.path}"
    small_project.upgrade(url)
    before = target.path.read_bytes()
    small_project.write_revision("003", after="001")
    ended = inv("db.reset", url=url)
    assert (ended.code, target.path.read_bytes() == before) == (2, True)
