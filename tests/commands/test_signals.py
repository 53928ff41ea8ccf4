"""Ctrl-C and SIGTERM in the middle of a migration, and tasks without a terminal or standard input."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg2
import pytest

from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dormatory.backends.postgresql.server.throwaway import Server
    from tests.conftest import SmallProject

_WAIT_SECONDS = 30


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, small_project: SmallProject) -> str:
    """An empty database on each backend."""
    if request.param == "sqlite":
        return f"sqlite:///{small_project.root}/x.db"
    server: Server = request.getfixturevalue("postgres_server")
    return server.create_database().url.render().replace("+psycopg2", "")


class TestInterrupted:
    """A signal to the process of `inv` only, as a supervisor or an editor sends it."""

    @pytest.mark.parametrize(
        ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
    )
    def test_the_migration_is_rolled_back_and_no_process_remains(
        self, small_project: SmallProject, url: str, number: signal.Signals, code: int, word: str
    ) -> None:
        small_project.write_table_revisions("a", "b")
        small_project.upgrade(url, "001")
        marker = small_project.root / "started"
        small_project.write_revision("002", slow_revision(marker))
        with small_project.start("invoke", "db.upgrade", url=url) as inv:
            child = wait_for_migration(marker)
            inv.send_signal(number)
            out, err = inv.communicate(timeout=_WAIT_SECONDS)
        assert (inv.returncode, out) == (code, "")
        (said,) = err.splitlines()[1:]
        assert said.startswith(f"{word}: {url.partition('://')[0]}://")
        assert said.endswith(" is at 001, nothing of another revision was kept; go on with: inv db.upgrade")
        wait_until(lambda: not is_running(child))
        small_project.write_table_revisions("a", "b")
        after = small_project.run("dormatory", "upgrade", url=url)
        assert (after.code, "+ 002" in after.err) == (0, True), "nothing of the interrupted revision was kept"

    def test_a_child_that_is_interrupted_while_it_is_loading_ends_without_a_traceback(
        self, small_project: SmallProject
    ) -> None:
        early = small_project.root / "early"
        early.mkdir()
        (early / "argparse.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGINT)")
        ended = small_project.run("dormatory", "upgrade", PYTHONPATH=f"{early}{os.pathsep}{REPOSITORY}")
        assert (ended.code, ended.out, ended.err) == (-signal.SIGINT, "", "")

    def test_a_killed_alembic_is_reported_as_a_failure(self, small_project: SmallProject) -> None:
        small_project.write_table_revisions("a")
        marker = small_project.root / "started"
        small_project.write_revision("001", slow_revision(marker))
        with small_project.start("invoke", "db.upgrade", url=f"sqlite:///{small_project.root}/x.db") as inv:
            os.kill(wait_for_migration(marker), signal.SIGKILL)
            _, err = inv.communicate(timeout=_WAIT_SECONDS)
        assert inv.returncode == 3
        (error,) = err.splitlines()[1:]
        assert error.startswith("error: the revision failed at scripts/versions/001_x.py:")
        assert "(the process was killed by signal 9 in it); unless you ended it or memory ran out, " in error
        assert error.endswith("; what is committed: inv db.status")

    def test_a_statement_running_on_the_server_is_cancelled(
        self, small_project: SmallProject, postgres_server: Server
    ) -> None:
        text = postgres_server.create_database().url.render()
        small_project.write_revision("001", "op.execute('CREATE TABLE a (x int)'); op.execute('SELECT pg_sleep(60)')")
        with closing(psycopg2.connect(text.replace("+psycopg2", ""))) as watcher:
            watcher.autocommit = True
            with small_project.start("invoke", "db.upgrade", url=text) as inv:
                wait_until(lambda: sleeping_session_count(watcher) == 1)
                inv.send_signal(signal.SIGTERM)
                inv.communicate(timeout=10)  # well below the time after which it would be killed
            assert inv.returncode == 143
            assert sleeping_session_count(watcher) == 0
            assert fetch_value(watcher, "SELECT to_regclass('a')") is None

    def test_a_statement_running_in_sqlite_is_cancelled(self, small_project: SmallProject) -> None:
        endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
        marker = small_project.root / "started"
        small_project.write_revision(
            "001", f"import pathlib; pathlib.Path({str(marker)!r}).touch(); op.execute({endless!r})"
        )
        with small_project.start("invoke", "db.upgrade", url=f"sqlite:///{small_project.root}/x.db") as inv:
            wait_until(marker.exists)
            time.sleep(0.2)  # until the statement runs, which nothing outside can see
            inv.send_signal(signal.SIGINT)
            _, err = inv.communicate(timeout=10)
        (said,) = err.splitlines()[1:]
        assert inv.returncode == 130
        assert said.endswith("x.db is at base, nothing of another revision was kept; go on with: inv db.upgrade")

    def test_a_revision_that_swallows_the_signal_is_the_last_one(
        self, small_project: SmallProject, postgres_server: Server
    ) -> None:
        url = postgres_server.create_database().url.render().replace("+psycopg2", "")
        small_project.write_table_revisions("a", "b", "c")
        code = """
            import os, signal, time
            op.create_table("b", sa.Column("id", sa.Integer, primary_key=True))
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(9)
            except BaseException: pass
        """
        small_project.write_revision("002", code)
        ended = small_project.run("dormatory", "upgrade", url=url)
        assert (ended.code, ended.out) == (143, "")
        assert ended.err.splitlines()[-1].endswith(
            " is at 002, nothing of another revision was kept; go on with: inv db.upgrade"
        )

    def test_what_an_autocommit_block_did_is_said_to_be_kept(self, small_project: SmallProject, url: str) -> None:
        block = "with op.get_context().autocommit_block(): op.execute('CREATE TABLE kept (x int)')"
        interruption = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)"
        small_project.write_revision("001", f"{block}\n{interruption}")
        ended = small_project.run("dormatory", "upgrade", url=url)
        assert ended.code == 130
        assert ended.err.splitlines()[-1].endswith(
            " is at base, what revision 001 did in autocommit_block() is kept; go on with: inv db.upgrade"
        )


class TestWithoutATerminal:
    """Hooks, cron and CI: without a terminal, and sometimes without standard input."""

    def test_a_task_runs_with_standard_input_closed(self, small_project: SmallProject) -> None:
        small_project.write_table_revisions("a")
        url = f"sqlite:///{small_project.root}/x.db"
        ended = subprocess.run(
            ["/bin/sh", "-c", 'exec "$0" -m invoke db.upgrade <&-', sys.executable], cwd=REPOSITORY,
            env={**small_project.environ, "DATABASE_URL": url}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (ended.returncode, ended.stdout) == (0, f"{url} is at 001\n")
        assert "\x1b" not in ended.stderr
        assert "\r" not in ended.stderr

    def test_a_task_reads_nothing_from_standard_input(self, small_project: SmallProject) -> None:
        small_project.write_table_revisions("a")
        reader, writer = os.pipe()
        os.write(writer, b"refs/heads/main 0 1\n")
        ended = subprocess.run(
            [sys.executable, "-m", "invoke", "db.upgrade"], cwd=REPOSITORY, stdin=reader, capture_output=True,
            env={**small_project.environ, "DATABASE_URL": f"sqlite:///{small_project.root}/x.db"}, check=False,
        )  # fmt: skip
        os.close(writer)
        assert ended.returncode == 0
        assert os.read(reader, 100) == b"refs/heads/main 0 1\n"
        os.close(reader)

    def test_a_bar_is_drawn_on_a_terminal_only_and_never_in_the_result(self, small_project: SmallProject) -> None:
        small_project.write_table_revisions("a", "b")
        terminal, inner = os.openpty()
        ended = subprocess.run(
            [sys.executable, "-m", "invoke", "db.upgrade"], cwd=REPOSITORY, stdin=inner, stdout=subprocess.PIPE,
            stderr=inner, check=False, text=True,
            env={
                **small_project.environ, "TERM": "xterm", "DATABASE_URL": f"sqlite:///{small_project.root}/x.db",
            },
        )  # fmt: skip
        os.close(inner)
        shown = os.read(terminal, 100_000).decode()
        os.close(terminal)
        assert ended.returncode == 0
        assert "\x1b" not in ended.stdout
        assert "\x1b" in shown
        assert "━" in shown


def slow_revision(marker: Path) -> str:
    """Return the code of a revision that changes a table, writes its process id to a file, and then sleeps."""
    return f"""
        import os, pathlib, time
        op.create_table("b", sa.Column("id", sa.Integer, primary_key=True))
        pathlib.Path({str(marker)!r}).write_text(str(os.getpid()))
        time.sleep(60)
    """


def wait_for_migration(marker: Path) -> int:
    """Wait for a slow revision to begin, and return the process that runs it."""
    wait_until(lambda: marker.exists() and bool(marker.read_text()))
    return int(marker.read_text())


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true; fail after a time limit."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def fetch_value(connection: psycopg2.extensions.connection, query: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
        return row[0] if row else None


def sleeping_session_count(connection: psycopg2.extensions.connection) -> object:
    query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid() "
    return fetch_value(connection, query + "AND datname = current_database() AND state = 'active'")
