"""What prevents a database from being replaced is named before anything is done, with what to do about it."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Any

import psycopg2.extensions
import pytest
from psycopg2.extras import LogicalReplicationConnection

from dormatory.backends.postgresql.server import cluster_cache, installation, postmaster, throwaway
from dormatory.backends.postgresql.url import libpq_settings
from dormatory.backends.programs import server_binaries
from dormatory.backends.registry import backend_for
from dormatory.backends.scratch_directory import scratch_directory
from dormatory.errors import IrreplaceableDatabaseError, ReadOnlyDefaultError, StandbyError
from tests.backends.suite import create_filled_database, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.backends.url import Target


@pytest.fixture(scope="module")
def server() -> Iterator[throwaway.Server]:
    """A server with prepared transactions and logical replication."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(postmaster._SETTINGS, "max_prepared_transactions", "5")
        patch.setitem(postmaster._SETTINGS, "wal_level", "logical")
        with throwaway.server() as server:
            yield server


@pytest.fixture
def user(server: throwaway.Server) -> str:
    """A role that may create databases, and is no superuser."""
    name = f"user_{secrets.token_hex(4)}"
    execute(server.database("postgres"), f"CREATE ROLE {name} LOGIN CREATEDB")
    return name


@pytest.fixture
def owned(server: throwaway.Server, user: str) -> Target:
    """A database with rows that the user owns, as the user reaches it."""
    return create_filled_database(server.database(user).with_parts(username=user))


def execute(target: Target, *statements: str) -> None:
    with backend_for(target).driver_connection(target, writing=True) as driver, driver.cursor() as cursor:
        driver.autocommit = True
        for statement in statements:
            cursor.execute(statement)


def administer(target: Target, *statements: str) -> None:
    """Execute statements as the superuser, with {name} for the database."""
    execute(target.with_parts(username="postgres", database="postgres"), *(
        statement.format(name=target.database) for statement in statements
    ))  # fmt: skip


@contextlib.contextmanager
def session(target: Target, program: str) -> Iterator[Any]:
    """Open a session of another program in a database, and provide its pid."""
    named = target.with_parts(query={**target.url.query, "application_name": program})
    with backend_for(named).driver_connection(named, writing=False) as driver:
        yield driver.info.backend_pid


def refusal(target: Target) -> str:
    """Return why a database cannot be replaced; it keeps its rows."""
    with pytest.raises(IrreplaceableDatabaseError) as raised, backend_for(target).backup.replacement(target):
        pass
    assert len(rows(target)) == 3
    error = raised.value
    assert error.what == f"{target} cannot be replaced"
    assert error.fix.startswith("nothing was changed; ")
    return f"{error.why}; {error.fix.removeprefix('nothing was changed; ')}"


def clear(target: Target) -> tuple[str, ...]:
    """Replace a database by an empty one, and return what is lost beside its rows."""
    with backend_for(target).backup.replacement(target) as replacement:
        replacement.clear()
        return replacement.losses


class TestRights:
    def test_an_owner_who_may_not_create_databases_keeps_the_one_it_has(self, owned: Target, user: str) -> None:
        administer(owned, f"ALTER ROLE {user} NOCREATEDB")
        assert refusal(owned) == (
            f"{user} may not create the database that takes its place; let a superuser say: ALTER ROLE {user} CREATEDB"
        )

    def test_the_database_of_another_role_is_not_replaced(self, owned: Target) -> None:
        administer(owned, "ALTER DATABASE {name} OWNER TO postgres")
        assert refusal(owned) == "it belongs to postgres; connect as its owner"

    def test_a_member_of_the_owning_role_may_replace(self, owned: Target, user: str) -> None:
        administer(owned, f"CREATE ROLE team_{user}", f"GRANT team_{user} TO {user}",
                   f"ALTER DATABASE {{name}} OWNER TO team_{user}")  # fmt: skip
        assert clear(owned) == ()
        assert rows(owned, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()") == [
            (f"team_{user}",)
        ]

    def test_a_template_is_refused(self, owned: Target) -> None:
        administer(owned, "ALTER DATABASE {name} IS_TEMPLATE true")
        assert refusal(owned) == (
            "it is a template for new databases; "
            f"if it is not meant to be one: ALTER DATABASE {owned.database} IS_TEMPLATE false"
        )

    def test_a_setting_that_only_a_superuser_may_give_is_named(self, owned: Target) -> None:
        administer(owned, "ALTER DATABASE {name} SET log_statement TO 'ddl'")
        assert refusal(owned) == (
            "a new one could not be given what this one has, "
            f'ALTER DATABASE "{owned.database}" SET "log_statement" TO \'ddl\': '
            'permission denied to set parameter "log_statement"; '
            "connect as a superuser, or take that setting or right away from the database"
        )

    def test_a_setting_of_another_role_is_named(self, owned: Target) -> None:
        administer(owned, "CREATE ROLE r_{name}", "ALTER ROLE r_{name} IN DATABASE {name} SET work_mem TO '5MB'")
        assert refusal(owned).startswith("a new one could not be given what this one has, ALTER ROLE ")

    def test_a_superuser_has_no_such_limits(self, owned: Target) -> None:
        administer(owned, "ALTER DATABASE {name} SET log_statement TO 'ddl'")
        assert clear(owned.with_parts(username="postgres")) == ()
        assert rows(owned, "SHOW log_statement") == [("ddl",)]

    def test_an_owner_keeps_comment_and_mark_of_a_superuser(self, owned: Target) -> None:
        administer(owned, "COMMENT ON DATABASE {name} IS 'the shop'",
                   "ALTER DATABASE {name} SET dormatory.environment TO 'development'")  # fmt: skip
        for _ in range(2):
            clear(owned)
        assert backend_for(owned).summary(owned).environment == "development"
        query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
        assert rows(owned, query) == [("the shop\ndormatory: development",)]


class TestPlaceAndLocale:
    """What CREATE DATABASE gets so that the new database is like the old one."""

    @pytest.mark.parametrize(
        ("options", "major"),
        [
            ("TABLESPACE {name} CONNECTION LIMIT 7", 15),
            ("LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'", 17),
            ("LOCALE_PROVIDER icu ICU_LOCALE 'de-DE' LOCALE 'C'", 17),
            ("ENCODING 'LATIN1' LOCALE 'C'", 15),
        ],
        ids=["tablespace", "builtin", "icu", "encoding"],
    )
    def test_they_stay(self, server: throwaway.Server, options: str, major: int, tmp_path: Path) -> None:
        has_icu = "SELECT icu_unicode_version() IS NOT NULL"
        if server.major_version < major or ("icu" in options and not rows(server.database("postgres"), has_icu)[0][0]):
            pytest.skip("the server is too old, or was built without ICU")
        name = f"place_{secrets.token_hex(4)}"
        target = server.database(name)
        administer(target, "SET allow_in_place_tablespaces = on", f"CREATE TABLESPACE {name} LOCATION ''",
                   f"CREATE DATABASE {name} TEMPLATE template0 {options.format(name=name)}")  # fmt: skip
        query = "SELECT to_jsonb(d) - ARRAY['oid', 'datfrozenxid', 'datminmxid'] FROM pg_database d WHERE datname = "
        found = [rows(target, f"{query}'{name}'")]
        backend_for(target).backup.write_backup(target, tmp_path / "copy")
        clear(target)
        found.append(rows(target, f"{query}'{name}'"))
        with backend_for(target).backup.replacement(target) as replacement:
            replacement.restore(tmp_path / "copy")
        found.append(rows(target, f"{query}'{name}'"))
        backend_for(target).drop(target)
        administer(target, f"DROP TABLESPACE {name}")
        assert found == [found[0]] * 3

    def test_publications_come_back_with_the_backup(self, owned: Target, tmp_path: Path) -> None:
        administered = owned.with_parts(username="postgres")
        execute(administered, "CREATE PUBLICATION news FOR TABLE room")
        backend_for(owned).backup.write_backup(administered, tmp_path / "copy")
        assert clear(administered) == ()
        with backend_for(owned).backup.replacement(administered) as replacement:
            replacement.restore(tmp_path / "copy")
        assert rows(administered, "SELECT pubname, tablename FROM pg_publication_tables") == [("news", "room")]


class TestUsers:
    def test_the_session_of_a_superuser_is_named(self, owned: Target, user: str) -> None:
        with session(owned.with_parts(username="postgres"), "psql") as pid:
            assert refusal(owned) == (
                f"sessions are in it that only a superuser may end: pid {pid}, role postgres, psql; "
                "end these programs, or: connect as a superuser"
            )
        assert user == owned.database

    def test_the_session_of_another_role_is_named_with_the_missing_right(self, owned: Target, user: str) -> None:
        administer(owned, f"CREATE ROLE app_{user} LOGIN")
        with session(owned.with_parts(username=f"app_{user}"), "gunicorn") as pid:
            assert refusal(owned) == (
                f"sessions are in it that {user} lacks the right to end: pid {pid}, role app_{user}, gunicorn; "
                f"end these programs, or: GRANT pg_signal_backend TO {user}"
            )
            administer(owned, f"GRANT pg_signal_backend TO {user}")
            assert clear(owned) == ()

    def test_a_prepared_transaction_is_named(self, owned: Target) -> None:
        execute(owned, "BEGIN", "DELETE FROM room", "PREPARE TRANSACTION 'order''s 7'")
        assert refusal(owned) == (
            f"the prepared transaction order's 7 of {owned.database} is in it, and belongs to no session that can be "
            "ended; in inv db.shell: ROLLBACK PREPARED 'order''s 7', or COMMIT PREPARED"
        )
        execute(owned, "ROLLBACK PREPARED 'order''s 7'")
        assert clear(owned) == ()

    def test_a_subscription_is_named(self, owned: Target) -> None:
        administered = owned.with_parts(username="postgres")
        execute(
            administered, "CREATE SUBSCRIPTION news CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false)"
        )
        assert refusal(owned) == (
            "its subscription news receives changes from another server; drop it there: DROP SUBSCRIPTION news"
        )
        execute(administered, "ALTER SUBSCRIPTION news SET (slot_name = NONE)", "DROP SUBSCRIPTION news")

    def test_an_active_replication_slot_is_named_with_its_receiver(self, owned: Target) -> None:
        administered = owned.with_parts(username="postgres")
        slot = f"slot_{owned.database}"
        receiver = LogicalReplicationConnection(psycopg2.extensions.make_dsn(**libpq_settings(administered.url)))
        with contextlib.closing(receiver), receiver.cursor() as cursor:
            cursor.create_replication_slot(slot, output_plugin="test_decoding")
            cursor.start_replication(slot)
            assert refusal(owned) == (
                f"pid {receiver.info.backend_pid} receives its changes through the replication slot {slot}; "
                "end that subscriber first"
            )

    def test_an_idle_replication_slot_is_named_before_it_goes(self, owned: Target) -> None:
        administered = owned.with_parts(username="postgres")
        slot = f"slot_{owned.database}"
        execute(administered, f"SELECT pg_create_logical_replication_slot('{slot}', 'test_decoding')")
        assert clear(owned) == (f"its logical replication slot {slot} goes with it, in no backup",)
        assert rows(administered, f"SELECT 1 FROM pg_replication_slots WHERE slot_name = '{slot}'") == []


class TestReadOnly:
    @pytest.mark.parametrize(
        ("change", "place", "fix"),
        [
            ("ALTER ROLE {name} SET {it} TO on", "the role {name}", "ALTER ROLE {name} RESET {it}"),
            ("ALTER DATABASE {name} SET {it} TO on", "this database", "ALTER DATABASE {name} RESET {it}"),
            (
                "ALTER ROLE {name} IN DATABASE {name} SET {it} TO on",
                "the role {name} in this database",
                "ALTER ROLE {name} IN DATABASE {name} RESET {it}",
            ),
        ],
        ids=["role", "database", "both"],
    )
    def test_the_place_of_a_read_only_default_is_named(self, owned: Target, change: str, place: str, fix: str) -> None:
        names = {"name": owned.database, "it": "default_transaction_read_only"}
        administer(owned, change.format(**names))
        with pytest.raises(ReadOnlyDefaultError) as raised, backend_for(owned).backup.replacement(owned):
            pass
        assert raised.value.why.endswith(f"default_transaction_read_only is on for {place.format(**names)}")
        assert raised.value.fix.endswith(f": {fix.format(**names)}")

    def test_a_standby_is_named(self) -> None:
        account = installation.server_account()
        with scratch_directory(account) as home:
            installed = installation.runnable_installation(server_binaries(), home, account)
            cluster_cache.create_cluster(installed, home, account)
            standby = throwaway.Server(installed.major, server_binaries(), home)
            with postmaster.running_server(installed, home, account):
                target = create_filled_database(standby.database("shop"))
            (home / postmaster.DATA_DIRECTORY / "standby.signal").touch()
            with postmaster.running_server(installed, home, account):
                with pytest.raises(StandbyError, match="is a standby"), backend_for(target).backup.replacement(target):
                    pass
                assert len(rows(target)) == 3


class TestHalfDropped:
    """A DROP DATABASE that was interrupted leaves a name that nobody can connect to."""

    @pytest.fixture
    def half_dropped(self, owned: Target) -> Target:
        administer(owned, "COMMENT ON DATABASE {name} IS 'dormatory: development'",
                   "UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{name}'")  # fmt: skip
        return owned

    def test_it_is_named_and_an_empty_one_takes_its_place(self, half_dropped: Target, user: str) -> None:
        backend = backend_for(half_dropped)
        with pytest.raises(Exception, match=r"is half dropped .* inv db\.undo puts its last backup there"):
            backend.exists(half_dropped)
        clear(half_dropped)
        summary = backend.summary(half_dropped)
        assert (summary.tables, summary.environment, summary.user) == (0, "development", user)
        query = "SELECT datconnlimit, pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
        assert rows(half_dropped, query) == [(-1, user)]
