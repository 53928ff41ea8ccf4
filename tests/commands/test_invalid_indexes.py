"""An index built CONCURRENTLY: whom it waits for, what an interruption leaves invalid, and how it is built again."""

from __future__ import annotations

import re
import signal
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from dormatory.backends.postgresql import stall_watch
from tests.commands.test_signals import wait_until
from tests.conftest import on_warning

if TYPE_CHECKING:
    from dormatory.backends.postgresql.server.throwaway import Server
    from tests.conftest import Inv, SmallProject

IS_WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE%INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'"
)
IS_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('t_x')"
DROP = "drop it in inv db.shell with: DROP INDEX CONCURRENTLY public.t_x"


@pytest.fixture
def url(small_project: SmallProject, postgres_server: Server) -> str:
    """A database at 001 whose table has a row twice; 002 is pending and wants it to be unique."""
    url = postgres_server.create_database().url.render().replace("+psycopg2", "")
    small_project.write_revision("001", "op.execute('CREATE TABLE t AS SELECT 1 AS x FROM generate_series(1, 2)')")
    small_project.upgrade(url)
    write_build(small_project, "CREATE UNIQUE INDEX CONCURRENTLY t_x ON t (x)")
    return url


def write_build(project: SmallProject, statement: str) -> None:
    project.write_revision("002", f"with op.get_context().autocommit_block(): op.execute({statement!r})")


def execute(url: str, statement: str) -> list[Any]:
    with closing(psycopg2.connect(url)) as driver:
        driver.autocommit = True
        with driver.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []


def test_what_a_pending_revision_builds_is_dropped_and_built_again(inv: Inv, url: str) -> None:
    failed = inv("db.upgrade", url=url)
    assert failed.code == 3
    assert "could not create unique index" in failed.err
    assert failed.err.splitlines()[-1].endswith(DROP)
    again = inv("db.upgrade", url=url)
    assert (again.code, "already exists" in again.err) == (3, True)
    assert again.err.splitlines()[-1].endswith(DROP)
    execute(url, "DELETE FROM t")
    assert inv("db.upgrade", "--rebuild-indexes", url=url).code == 0
    assert execute(url, IS_VALID) == [(True,)]


def test_what_an_applied_revision_built_is_built_again(inv: Inv, small_project: SmallProject, url: str) -> None:
    write_build(small_project, "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_x ON t (x)")
    assert inv("db.upgrade", url=url).code == 3
    assert inv("db.upgrade", url=url).err.splitlines()[-1].endswith(DROP)
    execute(url, "DELETE FROM t")
    ended = inv("db.upgrade", "--rebuild-indexes", url=url)
    assert (ended.code, execute(url, IS_VALID)) == (0, [(True,)]), ended


def test_an_interrupted_build_is_named_with_how_to_drop_it(small_project: SmallProject, url: str) -> None:
    with closing(psycopg2.connect(url)) as reader, reader.cursor() as cursor:
        cursor.execute("LOCK TABLE t IN ROW EXCLUSIVE MODE")
        with small_project.start("dormatory", "upgrade", url=url) as upgrade:
            wait_until(lambda: execute(url, IS_WAITING) == [(1,)])
            upgrade.send_signal(signal.SIGINT)
            _, err = upgrade.communicate(timeout=30)
    said = err.splitlines()[-1]
    assert upgrade.returncode == 130
    assert " is at 001, what revision 002 did in autocommit_block() is kept; index public.t_x is invalid (" in said
    assert said.endswith(DROP)


def test_a_build_that_waits_says_for_whom(
    inv: Inv, small_project: SmallProject, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stall_watch, "_SILENT_SECONDS", 0.3)
    write_build(small_project, "CREATE INDEX CONCURRENTLY t_x ON t (x)")
    with closing(psycopg2.connect(url, application_name="report")) as reader, reader.cursor() as cursor:
        cursor.execute("LOCK TABLE t IN ROW EXCLUSIVE MODE")
        pid = reader.info.backend_pid
        with on_warning(lambda: execute(url, f"SELECT pg_terminate_backend({pid})")):
            assert inv("db.upgrade", url=url).code == 0
    (message,) = caplog.messages
    assert re.fullmatch(
        r".*: CREATE INDEX CONCURRENTLY t_x ON t \(x\) waits \(for a lock: "
        rf"pid {pid}, role postgres, report, has it, in a transaction \d s old: LOCK TABLE t IN ROW EXCLUSIVE MODE\)",
        message,
    )
