"""What a server, a role or a setting does to a command is named as such, and the revision is not blamed for it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from dormatory.backends.driver import open_cursor
from dormatory.backends.postgresql.server import postmaster
from dormatory.backends.registry import backend_for
from dormatory.errors import DatabaseFailedError
from dormatory.runtime.scratch import reading_connection
from tests.backends.relay import relay
from tests.conftest import CommandResult

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.backends.postgresql.server.throwaway import Server
    from dormatory.backends.url import Target
    from tests.conftest import Inv, SmallProject

SLEEP = "op.execute('SELECT pg_sleep(0.8)')"


@pytest.fixture
def owned(postgres_server: Server) -> Iterator[Target]:
    """A development database of a role that has user, password and database of one name."""
    name = f"dorm_{secrets.token_hex(4)}"
    administer(postgres_server, f"CREATE ROLE {name} LOGIN CREATEDB PASSWORD '{name}'")
    target = postgres_server.database(name).with_parts(username=name, password=name)
    backend_for(target).create(target)
    yield target
    backend_for(target).drop(target.with_parts(username=postmaster.SUPERUSER))


def administer(server: Server, *statements: str) -> None:
    target = server.database("postgres")
    with backend_for(target).driver_connection(target, writing=True) as driver, driver.cursor() as cursor:
        driver.autocommit = True
        for statement in statements:
            cursor.execute(statement)


def test_a_missing_database_is_created_where_user_password_and_database_have_one_name(
    small_project: SmallProject, inv: Inv, owned: Target
) -> None:
    small_project.write_table_revisions("a")
    backend_for(owned).drop(owned)
    assert inv("db.current", url=owned.url).err == (
        f"error: {owned} does not exist (it was not created yet); create it with: inv db.create\n"
    )
    assert inv("db.upgrade", url=owned.url).code == 0
    assert inv("db.reset", url=owned.url).code == 0


def test_a_missing_database_is_recognised_in_any_language_of_the_server(
    small_project: SmallProject, inv: Inv, postgres_server: Server, owned: Target, tmp_path: Path
) -> None:
    small_project.write_table_revisions("a")
    backend_for(owned).drop(owned)
    words = {b"does not exist": b"existiert nich"}
    with relay(postgres_server, tmp_path, words=words) as directory:
        foreign = owned.with_parts(query={**owned.url.query, "host": str(directory)})
        missing = f"error: {foreign} does not exist (it was not created yet); create it with: inv db.create\n"
        assert inv("db.current", url=foreign.url).err == missing
        assert inv("db.upgrade", url=foreign.url).out == f"{foreign} is at 001\n"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            "ALTER DATABASE {name} ALLOW_CONNECTIONS false",
            "(it is closed to everybody); if that is not meant: ALTER DATABASE {name} ALLOW_CONNECTIONS true",
        ),
        (
            "REVOKE CONNECT ON DATABASE {name} FROM PUBLIC, {name}",
            "(this user may not connect to it); ask its owner: GRANT CONNECT ON DATABASE {name} TO {name}",
        ),
        (
            "ALTER DATABASE {name} CONNECTION LIMIT 0",
            (
                "(the database or the user has as many sessions as its CONNECTION LIMIT allows); "
                "wait, end some sessions, or raise that limit"
            ),
        ),
    ],
    ids=["closed", "without a right", "full"],
)
def test_a_database_that_lets_nobody_in_says_why(
    inv: Inv, postgres_server: Server, owned: Target, change: str, reason: str
) -> None:
    administer(postgres_server, change.format(name=owned.database))
    expected = f"error: cannot reach {owned} {reason.format(name=owned.database)}\n"
    assert inv("db.current", url=owned.url) == CommandResult(3, "", expected)


def test_a_reset_by_an_owner_who_may_not_create_databases_destroys_nothing(
    small_project: SmallProject, inv: Inv, postgres_server: Server, owned: Target
) -> None:
    small_project.write_table_revisions("a")
    assert inv("db.upgrade", url=owned.url).code == 0
    administer(postgres_server, f"ALTER ROLE {owned.database} NOCREATEDB")
    ended = inv("db.reset", url=owned.url)
    assert (ended.code, ended.err) == (
        3,
        (
            f"error: {owned} cannot be replaced ({owned.database} may not create the database that takes its place); "
            f"nothing was changed; let a superuser say: ALTER ROLE {owned.database} CREATEDB\n"
        ),
    )
    assert inv("db.current", url=owned.url).out.startswith("001 ")
    assert not (small_project.root / ".dormatory").exists()


def test_a_half_dropped_database_is_named_and_an_undo_brings_it_back(
    small_project: SmallProject, inv: Inv, postgres_server: Server, owned: Target
) -> None:
    small_project.write_table_revisions("a")
    for command in ("db.upgrade", "db.backup"):
        assert inv(command, url=owned.url).code == 0
    administer(postgres_server, f"UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{owned.database}'")
    assert inv("db.upgrade", url=owned.url).err == (
        f"error: {owned} is half dropped (a DROP DATABASE was interrupted; the server keeps the name, and lets nobody "
        "in); inv db.reset creates it anew and empty, inv db.undo puts its last backup there\n"
    )
    undo = inv("db.undo", url=owned.url)
    assert undo.err == f"{owned} is half dropped: nothing of it is left that could be backed up\n"
    assert (undo.code, undo.out.splitlines()[-1]) == (0, f"{owned} is at 001")
    assert backend_for(owned).summary(owned).environment == "development"


@pytest.mark.parametrize(
    "setting", ["statement_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout"]
)
def test_time_outs_of_the_role_do_not_end_the_sessions_that_keep_the_lock_and_the_exchange(
    small_project: SmallProject, inv: Inv, postgres_server: Server, owned: Target, setting: str
) -> None:
    small_project.write_table_revisions("a")
    small_project.write_revision("002", "op.execute('SET statement_timeout = 0')\n" + SLEEP)
    administer(postgres_server, f"ALTER ROLE {owned.database} SET {setting} = '500ms'")
    assert inv("db.upgrade", url=owned.url).out == f"{owned} is at 002\n"
    assert inv("db.reset", url=owned.url).code == 0
    assert inv("db.undo", url=owned.url).code == 0


def test_a_statement_timeout_is_named_with_the_place_to_raise_it(
    small_project: SmallProject, inv: Inv, postgres_server: Server, owned: Target
) -> None:
    small_project.write_revision("001", SLEEP)
    administer(postgres_server, f"ALTER ROLE {owned.database} SET statement_timeout = '100ms'")
    ended = inv("db.upgrade", url=owned.url)
    assert (ended.code, ended.err.splitlines()[-1]) == (
        3,
        (
            "error: the revision failed at scripts/versions/001_x.py:11 "
            "(QueryCanceled: canceling statement due to statement timeout); nothing of it was kept; "
            "statement_timeout of the role or the database is too short: raise it there; "
            "if it is not set, somebody canceled the statement: run the command again"
        ),
    )


def test_a_statement_timeout_is_recognized_in_another_language(
    small_project: SmallProject, inv: Inv, owned: Target
) -> None:
    german = "storniere Anfrage wegen Zeitüberschreitung"
    small_project.write_revision("001", f"op.execute(\"DO $$BEGIN RAISE '{german}' USING ERRCODE = '57014'; END$$\")")
    ended = inv("db.upgrade", url=owned.url)
    assert ended.code == 3
    assert f"(QueryCanceled: {german}); nothing of it was kept; statement_timeout of the role" in ended.err


LOSE_LOCK = (
    'op.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_locks '
    "WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()\")"
)
EXTERNAL_ENV = """\
import os
import sqlalchemy as sa
from alembic import context
with sa.create_engine(os.environ["DATABASE_URL"], poolclass=sa.NullPool).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""


@pytest.mark.parametrize("env", ["ours", "external"])
def test_an_upgrade_whose_lock_is_lost_stops_before_the_next_revision(
    small_project: SmallProject, inv: Inv, owned: Target, env: str, caplog: pytest.LogCaptureFixture
) -> None:
    small_project.write_revision("001", LOSE_LOCK)
    small_project.write_revision("002")
    if env == "external":
        (small_project.root / "scripts" / "env.py").write_text(EXTERNAL_ENV)
    ended = inv("db.upgrade", url=owned.url)
    assert (ended.code, ended.err.splitlines()[-1]) == (
        3,
        (
            f"error: {owned} is no longer kept from other migrations (the session that held the lock was ended); "
            "nothing more was run; see what is in with inv db.status, then run the command again"
        ),
    )
    assert inv("db.current", url=owned.url).out.startswith("001 ")
    caplog.clear()
    small_project.write_revision("002", LOSE_LOCK)
    assert inv("db.upgrade", url=owned.url).out == f"{owned} is at 002\n"
    assert "was ended meanwhile: see inv db.status" in caplog.text


def test_a_missing_right_is_named(small_project: SmallProject, inv: Inv, owned: Target) -> None:
    small_project.write_revision("001", "op.execute('CREATE ROLE app')")
    ended = inv("db.upgrade", url=owned.url)
    assert ended.err.splitlines()[-1] == (
        "error: the revision failed at scripts/versions/001_x.py:11 "
        "(InsufficientPrivilege: permission denied to create role); nothing of it was kept; "
        "connect as the owner, or have the right granted"
    )


def test_an_ended_session_is_named(small_project: SmallProject, inv: Inv, owned: Target) -> None:
    small_project.write_revision("001", "op.execute('SELECT pg_terminate_backend(pg_backend_pid())')")
    ended = inv("db.upgrade", url=owned.url)
    assert (ended.code, ended.err.splitlines()[-1]) == (
        3,
        (
            f"error: {owned} failed (its session was ended, by somebody or by a time-out of the role; "
            "the server goes on); see who did it in the server's log, then try again"
        ),
    )


@pytest.mark.parametrize("task", [("db.round-trip", "--backend=postgresql"), ("db.rehearse",)], ids=" ".join)
def test_an_ended_session_of_a_scratch_database_is_no_finding(
    small_project: SmallProject, inv: Inv, owned: Target, task: tuple[str, ...]
) -> None:
    small_project.write_table_revisions("a")
    assert inv("db.upgrade", url=owned.url).code == 0
    small_project.write_revision("002", downgrade="op.execute('SELECT pg_terminate_backend(pg_backend_pid())')")
    ended = inv(*task, url=owned.url)
    assert ended.code == 3
    reason = "(its session was ended, by somebody or by a time-out of the role; the server goes on); see who did it"
    assert f" failed in revision 002 at scripts/versions/002_x.py:14 {reason}" in ended.err
    assert "finding" not in ended.out


def test_a_session_that_ends_while_the_driver_reads_is_named_without_a_traceback(
    owned: Target, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DatabaseFailedError, match="its session was ended"), reading_connection(owned) as connection:
        open_cursor(connection).execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert capfd.readouterr().err == ""


def test_a_read_only_default_is_named_with_its_place(
    small_project: SmallProject, inv: Inv, postgres_server: Server, owned: Target
) -> None:
    small_project.write_table_revisions("a")
    administer(postgres_server, f"ALTER ROLE {owned.database} SET default_transaction_read_only = on")
    expected = (
        f"error: {owned} cannot be written to (transactions are read-only by default: "
        f"default_transaction_read_only is on for the role {owned.database}); if that is not meant to protect it: "
        f"ALTER ROLE {owned.database} RESET default_transaction_read_only"
    )
    for task in ("db.upgrade", "db.reset"):
        ended = inv(task, url=owned.url)
        assert (ended.code, ended.err.splitlines()[-1]) == (3, expected)


def test_rows_that_the_statistics_do_not_know_are_not_said_to_be_none(
    small_project: SmallProject, inv: Inv, owned: Target
) -> None:
    small_project.write_table_revisions("a", "b")
    small_project.write_revision("003", "op.execute('INSERT INTO a VALUES (1)')")
    assert inv("db.upgrade", url=owned.url).code == 0
    with backend_for(owned).driver_connection(owned.with_parts(username="postgres"), writing=True) as driver:
        driver.cursor().execute("SELECT pg_stat_reset()")  # as a crash does
        driver.commit()
    announced = inv("db.reset", url=owned.url).err.splitlines()[0]
    assert announced.endswith("; 3 tables, 2 tables whose rows were not counted, 0 open sessions")


STALL = """
    import os, pathlib, time
    op.execute("CREATE TABLE b (x int)")
    pathlib.Path(os.environ["STALL"]).touch()
    time.sleep(0.5)
    op.execute("CREATE TABLE c (x int)")
"""


@pytest.mark.parametrize("env", ["ours", "external"])
def test_an_upgrade_whose_connection_passes_nothing_on_says_so_and_ends(
    small_project: SmallProject, inv: Inv, postgres_server: Server, owned: Target, env: str
) -> None:
    small_project.write_table_revisions("a")
    small_project.write_revision("002", STALL)
    with (small_project.root / "alembic.ini").open("a") as ini:
        ini.write("[dormatory]\nlock_wait = 2\n")
    if env == "external":
        (small_project.root / "scripts" / "env.py").write_text(EXTERNAL_ENV)
    place, stalled = small_project.root / "relay", small_project.root / "stalled"
    place.mkdir()
    with relay(postgres_server, place, is_stalled=stalled.exists) as directory:
        slow = owned.with_parts(query={**owned.url.query, "host": str(directory)})
        ended = inv("db.upgrade", url=slow.url, STALL=str(stalled))
    assert (ended.code, ended.err.splitlines()[-1]) == (
        3,
        (
            f"error: {slow} does not answer (the connection passes nothing on; waited 2 s, the limit that lock_wait in "
            "the ini file sets); see what is between: a proxy, a tunnel, a firewall; see what is in with "
            "inv db.status, then try again"
        ),
    )
    assert inv("db.current", url=owned.url).out.startswith("001 ")
