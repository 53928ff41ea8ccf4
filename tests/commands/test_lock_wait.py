"""A migration waits for locks within a limit, names the session that holds them, tries again, and gives up."""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.postgresql.url import libpq_settings
from dormatory.backends.registry import backend_for
from dormatory.runtime.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.url import Target
    from tests.conftest import Inv, SmallProject

LOCK_TIMEOUT_SECONDS = 0.4
ADD_COLUMN = "op.add_column('room', sa.Column('floor', sa.Integer))"
WRITE_NOTE = "op.execute(\"INSERT INTO note VALUES ('{}', current_setting('lock_timeout'))\")"
# Sixteen commands on one project, each in a process that is forked from one that has loaded all modules: they begin at
# the same moment, and take the time of one.
SIXTEEN_UPGRADES = """
import io, os, sys, time
from dormatory.__main__ import main
from dormatory import environment; from dormatory.runtime import runner
from dormatory.report import progress
import psycopg2, sqlalchemy.dialects.postgresql
start, children = time.time() + 1.0, []
for _ in range(16):
    pid = os.fork()
    if not pid:
        sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
        time.sleep(max(0.0, start - time.time()))
        code = main(["upgrade"])
        os.write(1, sys.stdout.getvalue().encode())
        os.write(2, sys.stderr.getvalue().encode())
        os._exit(code)
    children.append(pid)
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children])
"""


@pytest.fixture
def target(small_project: SmallProject, postgres_server: throwaway.Server) -> Iterator[Target]:
    """A database with a table `room`, and a project with short limits."""
    limits = ["[dormatory]", f"lock_timeout = {LOCK_TIMEOUT_SECONDS}", "lock_retries = 1", "lock_wait = 20"]
    small_project.write_ini("script_location = %(here)s/scripts", *limits)
    with throwaway.scratch_postgresql(postgres_server) as target:
        with connect(target) as connection, connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE room (id int); INSERT INTO room VALUES (1); CREATE TABLE note (at text, value text)"
            )
            connection.commit()
        yield target


@contextmanager
def connect(target: Target) -> Iterator[Any]:
    keywords: dict[str, Any] = {**libpq_settings(target.url)}
    with closing(psycopg2.connect(**keywords, application_name="report")) as connection:
        yield connection


@contextmanager
def reader(target: Target, query: str = "SELECT * FROM room") -> Iterator[int]:
    """Read a table in a transaction that stays open; yield the process id of the session."""
    with connect(target) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        yield connection.info.backend_pid


def fetch_rows(target: Target, query: str = "SELECT at, value FROM note ORDER BY 1") -> list[Any]:
    with connect(target) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


class TestLockTimeout:
    """No statement of a revision waits longer for a lock than the limit."""

    def test_a_revision_that_never_gets_its_lock_is_tried_again_and_then_given_up(
        self, small_project: SmallProject, target: Target, inv: Inv, caplog: pytest.LogCaptureFixture
    ) -> None:
        small_project.write_revision("001", WRITE_NOTE.format("first"))
        small_project.write_revision("002", f"{WRITE_NOTE.format('second')}\n{ADD_COLUMN}")
        with reader(target, "SELECT  *\n  FROM room") as pid:
            ended = inv("db.upgrade", url=target.url)
        held = rf"pid {pid}, role postgres, report, has it, in a transaction \d s old: SELECT \* FROM room"
        assert (ended.code, ended.out) == (3, "")
        _, done, error = ended.err.splitlines()
        assert "+ 001" in done
        (again,) = caplog.messages
        trying = "trying again in 1 s, 1 of 1"
        assert re.fullmatch(rf"revision 002 did not get a lock and was rolled back \({held}\); {trying}", again)
        fix = rf"nothing of it was kept; wait for that session, or end it: SELECT pg_terminate_backend\({pid}\)"
        assert re.fullmatch(rf"error: revision 002 did not get a lock in 2 tries \({held}\); {fix}", error)
        assert fetch_rows(target) == [("first", "400ms")]
        assert fetch_rows(target, "SELECT * FROM alembic_version") == [("001",)]

    def test_a_revision_that_gets_its_lock_later_is_applied_once_as_a_whole(
        self, small_project: SmallProject, target: Target
    ) -> None:
        # The second try creates the version table and the enumeration again.
        kind = "op.create_table('kind', sa.Column('name', sa.Enum('a', 'b', name='word')))"
        small_project.write_revision("001", f"{WRITE_NOTE.format('once')}\n{kind}\n{ADD_COLUMN}")
        with small_project.start("dormatory", "upgrade", url=target.url) as upgrade:
            assert upgrade.stderr is not None
            with reader(target):
                assert upgrade.stderr.readline().startswith("upgrade ")
                assert "was rolled back" in upgrade.stderr.readline()
            out, _ = upgrade.communicate(timeout=30)
        assert (upgrade.returncode, out) == (0, f"{target} is at 001\n")
        assert fetch_rows(target) == [("once", "400ms")]

    def test_plain_alembic_has_the_same_limit(self, small_project: SmallProject, target: Target) -> None:
        small_project.write_revision("001", ADD_COLUMN)
        with reader(target) as pid:
            ended = small_project.alembic("upgrade", "head", url=target.url)
        assert ended.code != 0
        assert f"did not get a lock in 2 tries (pid {pid}, role postgres, report" in ended.out

    def test_a_setting_of_a_revision_holds_until_its_end(
        self, small_project: SmallProject, target: Target, inv: Inv
    ) -> None:
        block = "with op.get_context().autocommit_block(): "
        small_project.write_revision("001", f"op.execute('SET lock_timeout = 1500')\n{block}{WRITE_NOTE.format('1')}")
        small_project.write_revision(
            "002", f"{WRITE_NOTE.format('2')}\nop.execute('SET LOCAL lock_timeout = 0')\n{WRITE_NOTE.format('3')}"
        )
        small_project.write_revision("003", f"{block}{WRITE_NOTE.format('4')}")
        assert inv("db.upgrade", url=target.url).code == 0
        assert fetch_rows(target) == [("1", "1500ms"), ("2", "400ms"), ("3", "0"), ("4", "400ms")]

    def test_a_limit_of_the_url_is_left_as_it_is(self, small_project: SmallProject, target: Target, inv: Inv) -> None:
        small_project.write_revision("001", WRITE_NOTE.format("url"))
        url = target.url.set(query={**target.url.query, "options": "-c lock_timeout=2s"})
        assert inv("db.upgrade", url=url).code == 0
        assert fetch_rows(target) == [("url", "2s")]

    def test_a_given_connection_keeps_no_lock_timeout(self, small_project: SmallProject, target: Target) -> None:
        small_project.write_revision("001", WRITE_NOTE.format("lent"))
        with backend_for(target).engine(target, writing=True).connect() as connection:
            Runner(small_project.project, target=target, connection=connection).upgrade()
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar_one() == "0"
        assert fetch_rows(target) == [("lent", "400ms")]

    def test_an_isolation_level_can_still_be_set_first(
        self, small_project: SmallProject, target: Target, inv: Inv
    ) -> None:
        small_project.write_revision("001")
        small_project.write_revision("002", "op.execute('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE')")
        assert inv("db.upgrade", url=target.url).code == 0

    def test_readers_never_wait_longer_than_the_limit(self, small_project: SmallProject, target: Target) -> None:
        small_project.write_revision("001", ADD_COLUMN)
        waits = [0.0]
        with (
            reader(target),
            small_project.start("dormatory", "upgrade", url=target.url) as upgrade,
            connect(target) as other,
            other.cursor() as cursor,
        ):
            other.autocommit = True
            while upgrade.poll() is None:
                began = time.monotonic()
                cursor.execute("SELECT * FROM room")
                waits.append(time.monotonic() - began)
                time.sleep(0.01)
        assert upgrade.returncode == 3
        assert LOCK_TIMEOUT_SECONDS / 4 < max(waits) < LOCK_TIMEOUT_SECONDS + 1, (
            "they queued behind the revision, and not for long"
        )


class TestCommitted:
    """A revision that cannot be rolled back is not tried again."""

    def test_a_revision_that_has_committed_something_is_not_tried_again(
        self, small_project: SmallProject, target: Target, inv: Inv
    ) -> None:
        block = "with op.get_context().autocommit_block(): "
        small_project.write_revision("001", f"{block}{WRITE_NOTE.format('kept')}\n{ADD_COLUMN}")
        with reader(target) as pid:
            ended = inv("db.upgrade", url=target.url)
        assert ended.code == 3
        assert f"error: revision 001 did not get a lock (pid {pid}, role postgres, report, has it" in ended.err
        assert "what it did before is kept, so it was not tried again" in ended.err
        assert "trying again" not in ended.err
        assert fetch_rows(target) == [("kept", "400ms")]

    def test_an_index_built_concurrently_waits_for_as_long_as_it_takes(
        self, small_project: SmallProject, target: Target
    ) -> None:
        block = "with op.get_context().autocommit_block(): op.execute('CREATE INDEX CONCURRENTLY r ON room (id)')"
        small_project.write_revision("001", f"{block}\n{WRITE_NOTE.format('after')}")
        small_project.write_revision("002", WRITE_NOTE.format("next"))
        waiting = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%' AND wait_event_type = 'Lock'"
        with small_project.start("dormatory", "upgrade", url=target.url) as upgrade:
            with reader(target, "LOCK TABLE room IN ROW EXCLUSIVE MODE"):
                deadline = time.monotonic() + 20
                while not fetch_rows(target, waiting) and time.monotonic() < deadline:
                    time.sleep(0.05)
                time.sleep(LOCK_TIMEOUT_SECONDS * 2)
                assert upgrade.poll() is None
            assert upgrade.wait(20) == 0
        assert fetch_rows(target) == [("after", "400ms"), ("next", "400ms")]
        assert fetch_rows(target, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'r'::regclass") == [(True,)]

    def test_a_timeout_set_by_the_revision_holds_for_it_too(
        self, small_project: SmallProject, target: Target, inv: Inv
    ) -> None:
        small_project.write_revision(
            "001",
            "op.execute(\"SET lock_timeout = '200ms'\")\n"
            "with op.get_context().autocommit_block(): op.execute('CREATE INDEX CONCURRENTLY r ON room (id)')",
        )
        with reader(target, "LOCK TABLE room IN ROW EXCLUSIVE MODE"):
            ended = inv("db.upgrade", url=target.url)
        assert ended.code == 3
        assert "so it was not tried again" in ended.err


class TestSQLite:
    """One writer at a time, and a waiting command says so."""

    @pytest.fixture
    def file(self, small_project: SmallProject) -> str:
        """A file that is not at head, of a project that waits for half a second."""
        small_project.write_ini("script_location = %(here)s/scripts", "[dormatory]", "lock_wait = 0.5")
        small_project.write_table_revisions("a")
        small_project.upgrade(f"sqlite:///{small_project.root}/x.db")
        small_project.write_table_revisions("a", "b")
        return f"{small_project.root}/x.db"

    def test_a_waiting_upgrade_reports_it_and_gives_up_at_the_limit(
        self, inv: Inv, file: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with closing(sqlite3.connect(file, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            ended = inv("db.upgrade", url=f"sqlite:///{file}")
        assert (ended.code, ended.out) == (3, "")
        (waiting,) = caplog.messages
        holder = r"(pid \d+, \S+|the file does not say by whom)"
        assert re.fullmatch(rf"sqlite:///{file} is being written to \({holder}\); waiting at most 0.5 s", waiting)
        fix = "wait for it to end, or end it"
        error = rf"error: sqlite:///{file} is being changed by somebody else \({holder}; waited 0.5 s\); {fix}"
        assert re.fullmatch(error, ended.err.rstrip())

    @pytest.mark.parametrize("command", [("db.current",), ("db.check", "--live")], ids=" ".join)
    def test_a_reader_ends_at_the_same_limit(self, inv: Inv, file: str, command: tuple[str, ...]) -> None:
        with closing(sqlite3.connect(file, isolation_level=None)) as writer:
            writer.execute("BEGIN EXCLUSIVE")
            began = time.monotonic()
            ended = inv(*command, url=f"sqlite:///{file}")
            assert time.monotonic() - began < 30
        assert (ended.code, ended.out) == (3, "")
        assert "is being changed by somebody else (" in ended.err
        assert "; waited 0.5 s); wait for it to end, or end it" in ended.err

    def test_a_waiting_upgrade_continues_as_soon_as_it_can(self, small_project: SmallProject, file: str) -> None:
        with closing(sqlite3.connect(file, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            small_project.write_ini("script_location = %(here)s/scripts")
            with small_project.start("dormatory", "upgrade", url=f"sqlite:///{file}") as upgrade:
                assert upgrade.stderr is not None
                assert "waiting at most 60 s" in upgrade.stderr.readline()
                writer.execute("COMMIT")
                out, _ = upgrade.communicate(timeout=30)
        assert (upgrade.returncode, out) == (0, f"sqlite:///{file} is at 002\n")


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_sixteen_upgrades_at_once_apply_each_revision_once(
    small_project: SmallProject, request: pytest.FixtureRequest, backend: str
) -> None:
    small_project.write_table_revisions("a", "b")
    index = "with op.get_context().autocommit_block(): op.execute('CREATE INDEX CONCURRENTLY a_id ON a (id)')"
    small_project.write_revision("003", index if backend == "postgresql" else "op.create_index('a_id', 'a', ['id'])")
    small_project.write_revision("004", "op.execute('CREATE TABLE c (x int)')")
    with scratch_target(request, small_project, backend) as target:
        ended = small_project.run_code(SIXTEEN_UPGRADES, url=target.url)
        assert (ended.code, ended.out.splitlines()[-1]) == (0, str([0] * 16)), ended.err
        arrived = [line for line in ended.out.splitlines() if line.startswith(str(target))]
        assert sorted(arrived) == [f"{target} is at 004"] + [f"{target} is at 004, nothing to do"] * 15
        applied = re.findall(r"^  \+ (\d+)", ended.err, re.MULTILINE)
        assert applied == ["001", "002", "003", "004"]


@contextmanager
def scratch_target(request: pytest.FixtureRequest, project: SmallProject, backend: str) -> Iterator[Target]:
    if backend == "sqlite":
        yield project.project.target({"DATABASE_URL": f"sqlite:///{project.root}/x.db"})
    else:
        with throwaway.scratch_postgresql(request.getfixturevalue("postgres_server")) as target:
            yield target
