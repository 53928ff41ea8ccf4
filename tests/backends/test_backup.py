"""Backups are complete or do not exist; a restore is exact, happens in one step, and harms no connected program."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from psycopg2 import sql

from dormatory.backends.postgresql import new_database, program_watch
from dormatory.backends.registry import backend_for
from dormatory.backends.url import Target
from dormatory.errors import (
    BackupFailedError,
    DatabaseFailedError,
    DatabaseInUseError,
    DatabaseLockedError,
    HardLinksError,
    LeftoverJournalError,
    NotABackupError,
)
from dormatory.system import atomic_file
from tests.backends.relay import relay
from tests.backends.suite import create_filled_database, directory_listing, execute, limit_file_size, restore, rows
from tests.conftest import on_warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.postgresql.server.throwaway import Server


@pytest.fixture(scope="module")
def server(postgres_server: Server) -> Server:
    return postgres_server


@pytest.fixture
def sqlite(tmp_path: Path) -> Target:
    home = tmp_path / "data"
    home.mkdir()
    return create_filled_database(Target.parse("sqlite:///x.db", root=home))


@pytest.fixture
def postgresql(server: Server) -> Iterator[Target]:
    target = server.database(f"it's \"{secrets.token_hex(4)}%")
    yield create_filled_database(target)
    backend_for(target).drop(target)


def test_where_files_cannot_be_locked_only_old_ones_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    old, new = tmp_path / ".dormatory-old.part", tmp_path / ".dormatory-new.part"
    for left in (old, new):
        left.write_text("half a copy")
    os.utime(old, (0, time.time() - 2 * atomic_file._ABANDONED_SECONDS))
    with atomic_file.partial_file(tmp_path / "copy"):
        assert (old.exists(), new.exists()) == (False, True)


class TestSQLite:
    def test_a_backup_holds_what_was_committed(self, sqlite: Target, tmp_path: Path) -> None:
        for mode in ("delete", "wal"):
            with closing(sqlite3.connect(sqlite.path, isolation_level=None)) as writer:
                writer.execute(f"PRAGMA journal_mode = {mode}")
                writer.execute("BEGIN IMMEDIATE")
                writer.execute("DELETE FROM room WHERE id = 1")
                backend_for(sqlite).backup.write_backup(sqlite, tmp_path / mode)
                writer.execute("ROLLBACK")
                writer.execute("INSERT INTO room VALUES (9, 'not yet in the file itself')")
                backend_for(sqlite).backup.write_backup(sqlite, tmp_path / f"{mode}-later")
                writer.execute("DELETE FROM room WHERE id = 9")
            for name, count in ((mode, 3), (f"{mode}-later", 4)):
                with closing(sqlite3.connect(tmp_path / name)) as copy:
                    assert copy.execute("SELECT count(*) FROM room").fetchone() == (count,)

    def test_waiting_for_an_exclusive_writer_has_a_limit(self, sqlite: Target, tmp_path: Path) -> None:
        with closing(sqlite3.connect(sqlite.path, isolation_level=None)) as writer:
            writer.execute("BEGIN EXCLUSIVE")
            with pytest.raises(DatabaseLockedError, match=r"waited 0\.1 s"):
                backend_for(sqlite).backup.write_backup(sqlite, tmp_path / "copy", wait_seconds=0.1)
        assert not (tmp_path / "copy").exists()

    def test_a_damaged_file_is_not_kept_as_a_backup(self, sqlite: Target, tmp_path: Path) -> None:
        execute(sqlite, "CREATE INDEX ix ON room (word)")
        with sqlite.path.open("r+b") as file:
            file.seek(-600, os.SEEK_END)
            file.write(b"\xff" * 600)
        with pytest.raises(BackupFailedError, match="damaged"):
            backend_for(sqlite).backup.write_backup(sqlite, tmp_path / "copy")
        assert not (tmp_path / "copy").exists()

    @pytest.mark.parametrize("mode", ["delete", "wal"])
    def test_a_database_with_a_writer_is_not_replaced(self, sqlite: Target, tmp_path: Path, mode: str) -> None:
        backend_for(sqlite).backup.write_backup(sqlite, tmp_path / "copy")
        with closing(sqlite3.connect(sqlite.path, isolation_level=None)) as writer:
            writer.execute(f"PRAGMA journal_mode = {mode}")
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("DELETE FROM room")
            with pytest.raises(DatabaseLockedError, match="is being changed by somebody else"):
                restore(sqlite, tmp_path / "copy")
            writer.execute("COMMIT")
        assert rows(sqlite) == []
        assert [name for name in directory_listing(sqlite.path) if name.startswith(".")] == []

    def test_an_idle_connection_of_another_program_is_named(self, sqlite: Target, tmp_path: Path) -> None:
        if not Path("/proc/self/fd").exists():
            pytest.fail("who has a file open can be seen on Linux only; run this test there")
        backend_for(sqlite).backup.write_backup(sqlite, tmp_path / "copy")
        idle = (
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM room'); print(); input()"
        )
        command = [sys.executable, "-c", idle, str(sqlite.path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdin
            assert other.stdout
            other.stdout.readline()
            assert backend_for(sqlite).summary(sqlite).sessions == 1
            with pytest.raises(DatabaseInUseError) as raised:
                restore(sqlite, tmp_path / "copy")
            other.stdin.close()
        assert raised.value.processes[0].startswith(f"pid {other.pid} (")

    def test_a_connection_to_the_replaced_file_cannot_write(self, sqlite: Target, tmp_path: Path) -> None:
        backend_for(sqlite).backup.write_backup(sqlite, tmp_path / "copy")
        with closing(sqlite3.connect(sqlite.path, isolation_level=None)) as idle:  # our own process is not searched
            idle.execute("SELECT * FROM room").fetchall()
            restore(sqlite, tmp_path / "copy")
            with pytest.raises(sqlite3.OperationalError, match="readonly") as raised:
                idle.execute("INSERT INTO room VALUES (4, 'lost')")
        assert str(backend_for(sqlite).explain(raised.value, sqlite)) == (
            f"{sqlite} was replaced meanwhile (another command has put a file in its place; nothing more was written); "
            "run the command again"
        )
        assert len(rows(sqlite)) == 3

    @pytest.mark.parametrize("mode", ["persist", "wal"])
    def test_no_side_file_of_the_old_database_is_left_for_the_new_one(
        self, sqlite: Target, tmp_path: Path, mode: str
    ) -> None:
        backend_for(sqlite).backup.write_backup(sqlite, tmp_path / "copy")
        with closing(sqlite3.connect(sqlite.path)) as connection:
            connection.execute(f"PRAGMA journal_mode = {mode}")
            connection.execute("INSERT INTO room VALUES (4, 'x')")
            connection.commit()
            kept = {path.name: path.read_bytes() for path in sqlite.path.parent.iterdir()}
        for name, content in kept.items():  # as a killed program leaves them: the closing removes those of WAL
            (sqlite.path.parent / name).write_bytes(content)
        assert len(kept) > 1
        restore(sqlite, tmp_path / "copy")
        assert (directory_listing(sqlite.path), len(rows(sqlite))) == (["x.db"], 3)

    def test_nothing_is_restored_next_to_the_journal_of_another_database(self, sqlite: Target, tmp_path: Path) -> None:
        backend_for(sqlite).backup.write_backup(sqlite, tmp_path / "copy")
        backend_for(sqlite).drop(sqlite)
        sqlite.path.with_name("x.db-wal").write_bytes(b"rows of another database")
        with pytest.raises(LeftoverJournalError):
            restore(sqlite, tmp_path / "copy")
        assert directory_listing(sqlite.path) == ["x.db-wal"]

    def test_a_link_stays_a_link_and_the_mode_stays(self, sqlite: Target, tmp_path: Path) -> None:
        sqlite.path.chmod(0o640)
        linked = sqlite.with_database(str(tmp_path / "link.db"))
        linked.path.symlink_to(sqlite.path)
        backend_for(linked).backup.write_backup(linked, tmp_path / "copy")
        execute(sqlite, "DELETE FROM room")
        restore(linked, tmp_path / "copy")
        assert (linked.path.is_symlink(), sqlite.path.stat().st_mode & 0o777, len(rows(sqlite))) == (True, 0o640, 3)

    def test_an_emptied_database_keeps_its_link_and_its_mode(self, sqlite: Target, tmp_path: Path) -> None:
        sqlite.path.chmod(0o640)
        linked = sqlite.with_database(str(tmp_path / "link.db"))
        linked.path.symlink_to(sqlite.path)
        clear(linked)
        assert (linked.path.is_symlink(), sqlite.path.stat().st_mode & 0o777, sqlite.path.stat().st_size) == (
            True,
            0o640,
            0,
        )
        assert directory_listing(sqlite.path) == ["x.db"]

    def test_a_file_with_two_names_is_not_replaced(self, sqlite: Target, tmp_path: Path) -> None:
        backend_for(sqlite).backup.write_backup(sqlite, tmp_path / "copy")
        sqlite.path.with_name("second.db").hardlink_to(sqlite.path)
        with pytest.raises(HardLinksError, match=r"names here: second\.db, x\.db"):
            clear(sqlite)
        with pytest.raises(HardLinksError):
            restore(sqlite, tmp_path / "copy")
        assert (len(rows(sqlite)), directory_listing(sqlite.path)) == (3, ["second.db", "x.db"])

    @pytest.mark.parametrize("mode", ["delete", "wal"])
    def test_no_row_is_committed_between_the_backup_and_the_swap(
        self, sqlite: Target, tmp_path: Path, mode: str
    ) -> None:
        execute(sqlite, f"PRAGMA journal_mode = {mode}")
        backend = backend_for(sqlite)
        with backend.backup.replacement(sqlite) as replacement:
            backend.backup.write_backup(sqlite, tmp_path / "copy")
            with (
                closing(sqlite3.connect(sqlite.path, timeout=0, isolation_level=None)) as writer,
                pytest.raises(sqlite3.OperationalError, match="locked"),
            ):
                writer.execute("INSERT INTO room VALUES (4, 'in no backup')")
            replacement.clear()
        assert sqlite.path.stat().st_size == 0

    def test_a_writer_who_waits_meanwhile_gets_an_error_and_loses_nothing(self, sqlite: Target) -> None:
        backend, errors = backend_for(sqlite), list[str]()

        def write() -> None:
            with closing(sqlite3.connect(sqlite.path, timeout=20, isolation_level=None)) as writer:
                writer.execute("SELECT * FROM room").fetchall()
                is_open.set()
                try:
                    writer.execute("INSERT INTO room VALUES (4, 'too late')")
                except sqlite3.OperationalError as error:
                    errors.append(str(error))

        is_open, thread = threading.Event(), threading.Thread(target=write)
        with backend.backup.replacement(sqlite) as replacement:
            thread.start()
            assert is_open.wait(10)
            replacement.clear()
        thread.join()
        assert errors == ["attempt to write a readonly database"]

    @pytest.mark.parametrize("mode", ["delete", "wal", "persist"])
    def test_a_replacement_that_does_not_happen_leaves_the_file_as_it_was(self, sqlite: Target, mode: str) -> None:
        execute(sqlite, f"PRAGMA journal_mode = {mode}")
        with pytest.raises(ZeroDivisionError), backend_for(sqlite).backup.replacement(sqlite):
            raise ZeroDivisionError
        with closing(sqlite3.connect(sqlite.path)) as connection:
            found = connection.execute("PRAGMA journal_mode").fetchone()
        assert (found == ("wal",), len(rows(sqlite))) == (mode == "wal", 3)

    def test_a_writer_who_ends_in_time_is_waited_for(self, sqlite: Target, caplog: pytest.LogCaptureFixture) -> None:
        with closing(sqlite3.connect(sqlite.path, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("INSERT INTO room VALUES (4, 'in time')")
            with (
                on_warning(lambda: writer.execute("COMMIT")),
                backend_for(sqlite).backup.replacement(sqlite, wait_seconds=20),
            ):
                assert len(rows(sqlite)) == 4
        assert "waiting at most 20 s" in caplog.messages[0]

    def test_the_database_itself_is_refused_as_its_backup(self, sqlite: Target) -> None:
        with pytest.raises(NotABackupError, match="it is the database itself"):
            restore(sqlite, sqlite.path)
        assert len(rows(sqlite)) == 3

    def test_without_room_for_the_restored_file_the_old_one_stays(self, sqlite: Target, tmp_path: Path) -> None:
        execute(sqlite, *(f"INSERT INTO room VALUES ({n}, '{'x' * 999}')" for n in range(4, 100)))
        backend_for(sqlite).backup.write_backup(sqlite, tmp_path / "copy")
        execute(sqlite, "DELETE FROM room WHERE id > 1")
        before = sqlite.path.read_bytes()
        with limit_file_size(40_000), pytest.raises(DatabaseFailedError):
            restore(sqlite, tmp_path / "copy")
        assert (sqlite.path.read_bytes() == before, directory_listing(sqlite.path)) == (True, ["x.db"])


class TestPostgreSQL:
    def test_owner_settings_and_privileges_stay(self, postgresql: Target, server: Server, tmp_path: Path) -> None:
        maintenance = server.database("postgres")
        name, role = sql.Identifier(postgresql.database), sql.Identifier(f"role_{secrets.token_hex(4)}")
        changes = (
            "CREATE ROLE {role}", "GRANT CONNECT ON DATABASE {name} TO {role} WITH GRANT OPTION",
            "ALTER DATABASE {name} SET dormatory.environment TO 'development'",
            "REVOKE TEMP ON DATABASE {name} FROM PUBLIC", "ALTER DATABASE {name} CONNECTION LIMIT 33",
            'ALTER DATABASE {name} SET search_path TO "$user", other, public',
            "ALTER DATABASE {name} SET work_mem TO '5MB'", "COMMENT ON DATABASE {name} IS 'the shop''s'",
            "ALTER ROLE {role} IN DATABASE {name} SET lock_timeout TO '3s'", "ALTER DATABASE {name} OWNER TO {role}",
        )  # fmt: skip
        administer(maintenance, *(sql.SQL(change).format(name=name, role=role) for change in changes))
        before = database_properties(postgresql)
        backend_for(postgresql).backup.write_backup(postgresql, tmp_path / "copy")
        restore(postgresql, tmp_path / "copy")
        after = database_properties(postgresql)
        administer(maintenance, *(sql.SQL(text).format(name=name, role=role) for text in CLEANUP_STATEMENTS))
        assert after == before

    def test_the_target_keeps_its_mark_whatever_is_restored(
        self, postgresql: Target, server: Server, tmp_path: Path
    ) -> None:
        production = server.create_database()
        execute(production, "CREATE TABLE room (id int, word text)")
        backend = backend_for(production)
        backend.backup.write_backup(postgresql, tmp_path / "of-development")
        backend.backup.write_backup(production, tmp_path / "of-production")
        restore(postgresql, tmp_path / "of-production")
        restore(production, tmp_path / "of-development")
        found = [(backend.summary(one).environment, len(rows(one))) for one in (postgresql, production)]
        backend.drop(production)
        restore(production, tmp_path / "of-development")
        again = backend.summary(production).environment
        backend.drop(production)
        assert (found, again) == ([("development", 0), ("production", 3)], "production")

    def test_an_ordinary_user_backs_up_and_restores_what_it_owns(
        self, postgresql: Target, server: Server, tmp_path: Path
    ) -> None:
        user = f"user_{secrets.token_hex(4)}"
        maintenance = server.database("postgres")
        administer(maintenance, sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(sql.Identifier(user)))
        own = server.database(user).with_parts(username=user)
        backend = backend_for(own)
        create_filled_database(own)
        backend.backup.write_backup(own, tmp_path / "copy")
        execute(own, "DELETE FROM room")
        restore(own, tmp_path / "copy")
        found = (len(rows(own)), backend.summary(own).environment)
        foreign = postgresql.with_parts(username=user)
        with pytest.raises(DatabaseFailedError, match="cannot be replaced"):
            restore(foreign, tmp_path / "copy")
        backend.drop(own)
        administer(maintenance, sql.SQL("DROP ROLE {}").format(sql.Identifier(user)))
        assert found == (3, "development")

    def test_without_the_role_of_the_owner_we_own_everything(
        self, postgresql: Target, server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        backend = backend_for(postgresql)
        execute(postgresql, "CREATE ROLE gone", "ALTER TABLE room OWNER TO gone", "GRANT SELECT ON room TO gone")
        backend.backup.write_backup(postgresql, tmp_path / "copy")
        execute(postgresql, "DROP OWNED BY gone", "DROP ROLE gone")
        restore(postgresql, tmp_path / "copy")
        assert len(rows(postgresql)) == 3
        assert caplog.messages == ['this server has no role "gone": owners and rights are not restored']
        assert leftover_databases(server) == []

    def test_sessions_that_reconnect_at_once_do_not_prevent_a_restore(self, postgresql: Target, tmp_path: Path) -> None:
        backend_for(postgresql).backup.write_backup(postgresql, tmp_path / "copy")
        execute(postgresql, "DELETE FROM room")
        ending, connected_once = threading.Event(), threading.Event()
        pool = threading.Thread(target=keep_connecting, args=(postgresql, connected_once, ending))
        pool.start()
        assert connected_once.wait(10)
        try:
            restore(postgresql, tmp_path / "copy")
        finally:
            ending.set()
            pool.join()
        assert len(rows(postgresql)) == 3

    def test_a_failed_restore_leaves_the_database_and_nothing_else(
        self, postgresql: Target, server: Server, tmp_path: Path
    ) -> None:
        backend = backend_for(postgresql)
        execute(postgresql, "CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1", "CREATE DOMAIN d AS int")
        backend.backup.write_backup(postgresql, tmp_path / "copy")
        content = (tmp_path / "copy").read_bytes()
        assert content.count(b"RETURN 1") == 1
        (tmp_path / "copy").write_bytes(content.replace(b"RETURN 1", b"RETURN x"))
        execute(postgresql, "DELETE FROM room WHERE id = 1")
        with pytest.raises(DatabaseFailedError, match=r'was not restored .*"x" does not exist'):
            restore(postgresql, tmp_path / "copy")
        assert (len(rows(postgresql)), leftover_databases(server)) == (2, [])

    def test_what_a_killed_restore_left_is_removed_by_the_next(
        self, postgresql: Target, server: Server, tmp_path: Path
    ) -> None:
        maintenance = server.database("postgres")
        backend_for(postgresql).backup.write_backup(postgresql, tmp_path / "copy")
        name = f"{new_database._name_prefix(postgresql)}{secrets.token_hex(4)}"
        for left in (name, f"{name}_old"):  # killed at once behind CREATE DATABASE, and between two renames
            administer(maintenance, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(left)))
        restore(postgresql, tmp_path / "copy")
        assert leftover_databases(server) == []

    def test_what_a_killed_creation_left_is_removed_by_the_next_and_never_has_the_name(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        target = server.database(f"new_{secrets.token_hex(4)}")

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(new_database.NewDatabase, "_swap_names", killed)
            patch.setattr(new_database.NewDatabase, "_drop", lambda _: None)  # nothing is cleaned up
            with pytest.raises(KeyboardInterrupt):
                backend_for(target).create(target)
        assert not backend_for(target).exists(target)
        assert len(leftover_databases(server)) == 1
        backend_for(target).create(target)
        assert (backend_for(target).summary(target).environment, leftover_databases(server)) == ("development", [])
        backend_for(target).drop(target)

    def test_a_second_creation_at_the_same_time_waits_and_keeps_the_first(self, server: Server) -> None:
        target, other = server.database(f"new_{secrets.token_hex(4)}"), server.database("postgres")
        with backend_for(other).driver_connection(other, writing=False) as driver, driver.cursor() as cursor:
            driver.autocommit = True
            new_database.keep_others_away(cursor, target)
            second = threading.Thread(target=backend_for(target).create, args=(target,))
            second.start()
            second.join(0.5)
            assert second.is_alive()
            cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(target.database)))
        second.join()
        assert backend_for(target).summary(target).environment == "production"
        backend_for(target).drop(target)

    def test_a_second_restore_at_the_same_time_is_refused(
        self, postgresql: Target, server: Server, tmp_path: Path
    ) -> None:
        backend_for(postgresql).backup.write_backup(postgresql, tmp_path / "copy")
        other = server.database("postgres")
        with backend_for(other).driver_connection(other, writing=False) as driver, driver.cursor() as cursor:
            new_database.keep_others_away(cursor, postgresql)
            with pytest.raises(DatabaseFailedError, match="is being replaced"):
                restore(postgresql, tmp_path / "copy")

    def test_waiting_for_a_locked_table_is_said_and_has_a_limit(
        self, postgresql: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(program_watch, "_SILENT_SECONDS", 1.0)
        monkeypatch.setattr(program_watch, "_PAUSE_SECONDS", 0.5)
        with backend_for(postgresql).driver_connection(postgresql, writing=True) as driver, driver.cursor() as cursor:
            cursor.execute("LOCK TABLE room")
            pid, began = driver.info.backend_pid, time.monotonic()
            with pytest.raises(BackupFailedError) as raised:
                backend_for(postgresql).backup.write_backup(postgresql, tmp_path / "copy", wait_seconds=2.5)
        assert list(tmp_path.iterdir()) == []
        assert time.monotonic() - began < 10
        assert raised.value.why.startswith(
            f"for a lock: pid {pid}, role postgres, dormatory, has it, in a transaction "
        )
        assert raised.value.why.endswith(" s old: LOCK TABLE room; waited 2.5 s")
        (warning,) = caplog.messages
        assert warning.startswith(
            f"the backup of {postgresql} waits (for a lock: pid {pid}, role postgres, dormatory, has it"
        )

    def test_a_connection_that_passes_nothing_on_is_waited_for_with_a_limit(
        self, postgresql: Target, server: Server, tmp_path: Path
    ) -> None:
        execute(postgresql, "INSERT INTO room SELECT n, md5(n::text) FROM generate_series(4, 90000) AS n")
        with relay(server, tmp_path, stall_after=60_000) as directory:
            slow = postgresql.with_parts(query={**postgresql.url.query, "host": str(directory)})
            copy = tmp_path / "copies" / "copy"
            copy.parent.mkdir()
            with pytest.raises(BackupFailedError, match=r"passes nothing on; waited 1 s"):
                backend_for(slow).backup.write_backup(slow, copy, wait_seconds=1)
            assert list(copy.parent.iterdir()) == []
            backend_for(postgresql).backup.write_backup(postgresql, copy)
            with (
                pytest.raises(DatabaseFailedError, match=r"was not restored .*passes nothing on; waited 1 s"),
                backend_for(slow).backup.replacement(slow, wait_seconds=1) as replacement,
            ):
                replacement.restore(copy)
        assert (rows(postgresql, "SELECT count(*) FROM room"), leftover_databases(server)) == ([(90000,)], [])


CLEANUP_STATEMENTS = ("ALTER DATABASE {name} OWNER TO CURRENT_USER", "REVOKE ALL ON DATABASE {name} FROM {role}",
           "ALTER ROLE {role} IN DATABASE {name} RESET ALL", "DROP ROLE {role}")  # fmt: skip
PROPERTIES_QUERY = """
SELECT ARRAY(SELECT a::text FROM unnest(d.datacl) a ORDER BY 1), d.datconnlimit, pg_get_userbyid(d.datdba),
       shobj_description(d.oid, 'pg_database'), d.encoding, d.datcollate, d.datctype,
       ARRAY(SELECT s.setrole || s.setconfig::text FROM pg_db_role_setting s WHERE s.setdatabase = d.oid ORDER BY 1)
  FROM pg_database d WHERE d.datname = current_database()
"""


def clear(target: Target) -> None:
    with backend_for(target).backup.replacement(target) as replacement:
        replacement.clear()


def database_properties(target: Target) -> list[tuple[Any, ...]]:
    found = rows(target, PROPERTIES_QUERY)
    assert "dormatory.environment=development" in str(found)
    return found


def administer(maintenance: Target, *statements: sql.Composable) -> None:
    with backend_for(maintenance).driver_connection(maintenance, writing=True) as driver:
        driver.autocommit = True
        for statement in statements:
            driver.cursor().execute(statement)


def leftover_databases(server: Server) -> list[tuple[Any, ...]]:
    maintenance = server.database("postgres")
    return rows(maintenance, "SELECT datname FROM pg_database WHERE datname LIKE 'dormatory\\_%'")


def keep_connecting(target: Target, connected_once: threading.Event, ending: threading.Event) -> None:
    """Connect again at once whenever the session is ended, as a connection pool does."""
    while not ending.is_set():
        with (
            contextlib.suppress(DatabaseFailedError),
            backend_for(target).driver_connection(target, writing=False) as driver,
        ):
            while not ending.is_set():
                driver.cursor().execute("SELECT 1")
                connected_once.set()
