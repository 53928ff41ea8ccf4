"""The suite that every backend must pass.

A new backend imports these classes into a test file of its own, and defines a fixture `target` there: a database that
does not exist yet. Where the test has a parameter `name`, the database's name must contain it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import secrets
import signal
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from dormatory.backends.queries import VERSION_TABLE
from dormatory.backends.registry import backend_for
from dormatory.errors import (
    BackupFailedError,
    DatabaseFailedError,
    DatabaseLockedError,
    MissingDatabaseError,
    NotABackupError,
)
from dormatory.system import atomic_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.backends.url import Target


DATABASE_NAMES = ["plain", "with space", "Größe", "quo'te\"d", "per%cent"]
ROWS_QUERY = "SELECT id, word FROM room ORDER BY id"


def execute(target: Target, *statements: str) -> None:
    with backend_for(target).driver_connection(target, writing=True) as driver, closing(driver.cursor()) as cursor:
        for statement in statements:
            cursor.execute(statement)
        driver.commit()


def rows(target: Target, query: str = ROWS_QUERY) -> list[tuple[Any, ...]]:
    with backend_for(target).driver_connection(target, writing=False) as driver, closing(driver.cursor()) as cursor:
        cursor.execute(query)
        return [tuple(row) for row in cursor.fetchall()]


def create_filled_database(target: Target) -> Target:
    """Create a database with a table and three rows in it."""
    backend_for(target).create(target)
    execute(
        target,
        "CREATE TABLE room (id int PRIMARY KEY, word text)",
        "INSERT INTO room VALUES (1, 'é🐘'), (2, NULL), (3, '')",
    )
    return target


def restore(target: Target, file: Path) -> None:
    """Put a backup in the place of a database."""
    with backend_for(target).backup.replacement(target) as replacement:
        replacement.restore(file)


def directory_listing(file: Path) -> list[str]:
    return sorted(path.name for path in file.parent.iterdir())


class TestLifecycle:
    @pytest.mark.parametrize("name", DATABASE_NAMES)
    def test_a_database_exists_from_its_creation_to_its_drop(self, target: Target, name: str) -> None:
        backend = backend_for(target)
        assert name in target.database
        assert not backend.exists(target)
        backend.create(target)
        assert backend.exists(target)
        backend.drop(target)
        assert not backend.exists(target)

    def test_creating_twice_and_dropping_twice_change_nothing(self, target: Target) -> None:
        backend = backend_for(target)
        backend.drop(target)
        backend.create(target)
        with backend.engine(target, writing=True).begin() as connection:
            connection.execute(text("CREATE TABLE kept (x int)"))
        backend.create(target)
        assert backend.summary(target).tables == 1
        backend.drop(target)
        backend.drop(target)

    def test_a_created_database_is_a_development_database(self, target: Target) -> None:
        backend = backend_for(target)
        backend.create(target)
        stock = backend.summary(target)
        assert (stock.environment, stock.tables, stock.sessions) == ("development", 0, 0)
        assert stock.database == target.database

    def test_a_missing_database_has_no_summary(self, target: Target) -> None:
        with pytest.raises(MissingDatabaseError, match=r"create it with: inv db\.create"):
            backend_for(target).summary(target)


class TestTransactions:
    @pytest.fixture(autouse=True)
    def create_database(self, target: Target) -> None:
        backend_for(target).create(target)

    def test_ddl_is_rolled_back(self, target: Target) -> None:
        engine = backend_for(target).engine(target, writing=True)
        with engine.connect() as connection:
            connection.execute(text("CREATE TABLE a (x int)"))
            connection.execute(text("INSERT INTO a VALUES (1)"))
            connection.execute(text("ALTER TABLE a ADD COLUMN y int"))
            connection.rollback()
        assert backend_for(target).summary(target).tables == 0

    def test_an_intact_database_passes_every_check(self, target: Target) -> None:
        backend = backend_for(target)
        with backend.engine(target, writing=True).begin() as connection:
            connection.execute(text("CREATE TABLE a (x int)"))
            backend.refuse_leftovers(connection)
            backend.refuse_dangling_rows(connection)
            backend.refuse_invalid_objects(connection)

    def test_the_version_names_product_and_number(self, target: Target) -> None:
        backend = backend_for(target)
        with backend.engine(target, writing=False).connect() as connection:
            product, number = backend.version(connection).split()
        assert product == backend.title
        assert float(".".join(number.split(".")[:2])) >= 3

    def test_a_failed_statement_is_explained_with_the_database_in_it(self, target: Target) -> None:
        backend = backend_for(target)
        with backend.engine(target, writing=False).connect() as connection, pytest.raises(Exception) as raised:  # noqa: PT011
            connection.execute(text("SELECT * FROM nothing_there"))
        explained = backend.explain(raised.value, target)
        assert isinstance(explained, DatabaseFailedError)
        assert str(explained).startswith(f"{target} failed (")
        assert "nothing_there" in str(explained)
        assert len(str(explained).splitlines()) == 1


class TestConnections:
    @pytest.fixture(autouse=True)
    def create_database(self, target: Target) -> None:
        backend_for(target).create(target)

    def test_a_script_of_many_statements_is_executed(self, target: Target) -> None:
        backend = backend_for(target)
        with backend.engine(target, writing=True).connect() as connection:
            backend.execute_script(connection, "CREATE TABLE a (x int); INSERT INTO a VALUES (1); -- ; the end\n")
            connection.commit()
        assert rows(target, "SELECT x FROM a") == [(1,)]

    def test_what_a_driver_connection_does_not_commit_is_rolled_back(self, target: Target) -> None:
        execute(target, "CREATE TABLE a (x int)")
        with backend_for(target).driver_connection(target, writing=True) as driver, closing(driver.cursor()) as cursor:
            cursor.execute("BEGIN")
            cursor.execute("INSERT INTO a VALUES (1)")
        assert rows(target, "SELECT x FROM a") == []

    def test_two_connections_to_one_database_have_one_identity(self, target: Target) -> None:
        backend = backend_for(target)
        with (
            backend.engine(target, writing=False).connect() as one,
            backend.engine(target, writing=True).connect() as two,
        ):
            assert backend.has_dedicated_session(one)
            assert backend.identity(one) == backend.identity(two)

    def test_the_location_of_a_database_is_its_own_and_holds_no_user(self, target: Target) -> None:
        backend = backend_for(target)
        other = target.with_database(f"{target.database}_2")
        assert backend.location(target) != backend.location(other)
        assert backend.location(target) == backend.location(target.with_parts(password="canary"))  # noqa: S106  # none

    def test_the_module_of_the_default_driver_is_named(self, target: Target) -> None:
        assert backend_for(target).driver_module("").isidentifier()


class TestLocks:
    def test_a_second_migration_waits_and_then_gives_up(self, target: Target) -> None:
        backend = backend_for(target)
        backend.create(target)
        with begun_migration(target), pytest.raises(DatabaseLockedError), begun_migration(target):
            pass
        with begun_migration(target):
            pass


class TestFastPath:
    def test_only_a_database_at_that_one_revision_is_in_order(self, target: Target) -> None:
        backend = backend_for(target)
        fast_path = backend.fast_path
        if fast_path is None:
            pytest.skip("this backend has no fast path")
        assert not fast_path.is_in_order_at(target, "002")
        backend.create(target)
        assert not fast_path.is_in_order_at(target, "002")
        execute(target, f"CREATE TABLE {VERSION_TABLE} (version_num varchar(32))")
        assert not fast_path.is_in_order_at(target, "002")
        execute(target, f"INSERT INTO {VERSION_TABLE} VALUES ('002')")
        assert fast_path.is_in_order_at(target, "002")
        assert not fast_path.is_in_order_at(target, "003")
        execute(target, f"INSERT INTO {VERSION_TABLE} VALUES ('003')")
        assert not fast_path.is_in_order_at(target, "003")


class TestScratch:
    def test_scratch_databases_are_new_and_gone_at_the_end(self, target: Target) -> None:
        backend = backend_for(target)
        with backend.scratch.scratch_databases() as maker:
            with maker() as one, maker() as two:
                execute(one, "CREATE TABLE a (x int)")
                execute(two, "CREATE TABLE a (x int)")
                assert backend.exists(one)
                assert backend.name == one.backend_name
            assert not backend.exists(one)


@contextlib.contextmanager
def begun_migration(target: Target) -> Iterator[None]:
    """Begin what a migration begins, without waiting for another one."""
    backend = backend_for(target)
    with (
        backend.upgrade_lock(target, VERSION_TABLE, wait_seconds=0),
        backend.engine(target, writing=True, wait_seconds=0).connect() as connection,
        connection.begin(),
    ):
        yield


class TestBackups:
    @pytest.fixture
    def target(self, target: Target) -> Target:
        return create_filled_database(target)

    def test_a_restore_brings_everything_back_and_removes_what_came_later(self, target: Target, tmp_path: Path) -> None:
        backend, file = backend_for(target), tmp_path / "copy"
        before = rows(target)
        backend.backup.write_backup(target, file)
        execute(target, "DELETE FROM room WHERE id > 1", "CREATE TABLE later (id int)", "DROP TABLE room")
        restore(target, file)
        assert rows(target) == before == [(1, "é🐘"), (2, None), (3, "")]
        assert backend.summary(target).tables == 1
        assert backend.summary(target).environment == "development"

    def test_only_we_may_read_a_backup_and_nothing_else_is_left(self, target: Target, tmp_path: Path) -> None:
        file = tmp_path / "copies" / "copy"
        file.parent.mkdir()
        backend_for(target).backup.write_backup(target, file)
        assert (file.stat().st_mode & 0o777, directory_listing(file)) == (0o600, ["copy"])

    def test_a_missing_database_is_restored_but_cannot_be_backed_up(self, target: Target, tmp_path: Path) -> None:
        backend, file = backend_for(target), tmp_path / "copy"
        backend.backup.write_backup(target, file)
        backend.drop(target)
        with pytest.raises(MissingDatabaseError):
            backend.backup.write_backup(target, tmp_path / "another")
        restore(target, file)
        assert len(rows(target)) == 3

    @pytest.mark.parametrize("content", [b"", b"buy milk\n" * 900, b"SQLite format 3\0" + b"x" * 5000], ids=len)
    def test_a_file_that_is_no_backup_is_refused_and_changes_nothing(
        self, target: Target, tmp_path: Path, content: bytes
    ) -> None:
        file = tmp_path / "copy"
        file.write_bytes(content)
        with pytest.raises(NotABackupError, match="cannot be restored"):
            restore(target, file)
        assert len(rows(target)) == 3

    def test_a_truncated_backup_is_refused_and_changes_nothing(self, target: Target, tmp_path: Path) -> None:
        backend, file = backend_for(target), tmp_path / "copy"
        execute(target, *(f"INSERT INTO room VALUES ({number}, 'x')" for number in range(4, 900)))
        backend.backup.write_backup(target, file)
        os.truncate(file, file.stat().st_size * 2 // 3)
        with pytest.raises((NotABackupError, DatabaseFailedError)):
            restore(target, file)
        assert len(rows(target)) == 899

    def test_a_backup_that_cannot_be_written_is_an_error_and_leaves_the_database(
        self, target: Target, tmp_path: Path
    ) -> None:
        with pytest.raises(BackupFailedError) as raised:
            backend_for(target).backup.write_backup(target, tmp_path / "nowhere" / "copy")
        assert str(raised.value).startswith(
            f"{target} was not backed up ({tmp_path}/nowhere: No such file or directory); nothing was changed; "
        )
        assert len(rows(target)) == 3

    def test_a_full_disk_is_an_error_and_leaves_no_file(self, target: Target, tmp_path: Path) -> None:
        execute(target, *(f"INSERT INTO room VALUES ({n}, '{secrets.token_hex(999)}')" for n in range(4, 200)))
        file = tmp_path / "copies" / "copy"
        file.parent.mkdir()
        with (
            limit_file_size(40_000),
            pytest.raises(BackupFailedError, match=r"was not backed up .* nothing was changed"),
        ):
            backend_for(target).backup.write_backup(target, file)
        assert directory_listing(file) == []
        assert len(rows(target)) == 199

    def test_files_that_a_killed_run_left_are_removed_and_those_of_a_living_one_are_not(
        self, target: Target, tmp_path: Path
    ) -> None:
        copy = tmp_path / "copies" / "copy"
        copy.parent.mkdir()
        for name in (".dormatory-left.part", ".dormatory-left.part-journal"):
            copy.with_name(name).write_text("half a copy")
        with atomic_file.partial_file(copy.with_name("another")) as living:
            backend_for(target).backup.write_backup(target, copy)
            assert directory_listing(copy) == [living.name, "copy"]
        assert directory_listing(copy) == ["copy"]


@contextlib.contextmanager
def limit_file_size(size: int) -> Iterator[None]:
    """Let no file of this process or a child grow beyond a size: a full disk, without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
