"""db.status waits for nobody: while somebody changes the database, it says who, since when and what."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.commands.test_signals import slow_revision, wait_for_migration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.backends.postgresql.server.throwaway import Server
    from tests.conftest import Inv, SmallProject

_SECONDS = 20  # far below what the commands wait for a lock, far above what a status takes
_HOLD_FILE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(f"PRAGMA journal_mode = {sys.argv[3]}")
connection.execute(f"BEGIN {sys.argv[2]}")
if sys.argv[3] == "wal": connection.execute("CREATE TABLE later (x int)")
print(flush=True)
input()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def running(request: pytest.FixtureRequest, small_project: SmallProject) -> Iterator[str]:
    """The URL of a database at 001 that is being upgraded to 002."""
    if request.param == "sqlite":
        url = f"sqlite:///{small_project.root}/x.db"
    else:
        server: Server = request.getfixturevalue("postgres_server")
        url = server.create_database().url.render().replace("+psycopg2", "")
    small_project.write_table_revisions("a", "b")
    small_project.upgrade(url, "001")
    marker = small_project.root / "started"
    small_project.write_revision("002", slow_revision(marker))
    with small_project.start("dormatory", "upgrade", url=url) as upgrade:
        wait_for_migration(marker)
        yield url
        upgrade.terminate()


def test_a_running_upgrade_is_named_and_nothing_is_compared(inv: Inv, running: str) -> None:
    began = time.monotonic()
    ended = inv("db.status", url=running)
    assert time.monotonic() - began < _SECONDS
    rows = dict(line.split(maxsplit=1) for line in ended.out.splitlines())
    assert (ended.code, rows["at"], rows["changed"], rows["pending"]) == (
        0, "001  Do step 001.", "not compared while that is running", "002  Do step 002.",
    )  # fmt: skip
    when = r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    assert re.match(rf"pid \d+, (python\S* -m dormatory upgrade|dormatory), {when}", rows["running"])
    document = json.loads(inv("db.status", "--json", url=running).out)
    assert (document["running"], document["drift"]) == (rows["running"], None)


@pytest.mark.parametrize(("kind", "mode"), [("IMMEDIATE", "delete"), ("EXCLUSIVE", "delete"), ("IMMEDIATE", "wal")])
def test_any_writer_of_a_file_is_named(inv: Inv, small_project: SmallProject, kind: str, mode: str) -> None:
    small_project.write_table_revisions("a")
    file = small_project.root / "x.db"
    small_project.upgrade(f"sqlite:///{file}")
    with holding(file, kind, mode) as holder:
        began = time.monotonic()
        ended = inv("db.status", url=f"sqlite:///{file}")
        code = inv("db.status", "--exit-code", url=f"sqlite:///{file}").code
        assert time.monotonic() - began < _SECONDS
        holder.communicate("\n")
    rows = dict(line.split(maxsplit=1) for line in ended.out.splitlines())
    assert rows["running"].startswith(f"pid {holder.pid}, python")
    if kind == "EXCLUSIVE":
        assert rows["at"].startswith(f"not read: sqlite:///{file} is being changed by somebody else (pid")
        assert (ended.code, rows["pending"], code) == (0, "unknown", 3)
    else:
        assert (ended.code, rows["at"], code) == (0, "001  Do step 001.", 0)


def test_a_locked_table_is_not_waited_for(inv: Inv, small_project: SmallProject, postgres_server: Server) -> None:
    import psycopg2  # noqa: PLC0415

    url = postgres_server.create_database().url.render().replace("+psycopg2", "")
    small_project.write_table_revisions("a")
    small_project.upgrade(url)
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE alembic_version, a IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        ended = inv("db.status", "--exit-code", url=url)
        assert time.monotonic() - began < _SECONDS
    finally:
        connection.close()
    rows = dict(line.split(maxsplit=1) for line in ended.out.splitlines())
    assert ended.code == 3
    assert rows["running"].endswith("running: LOCK TABLE alembic_version, a IN ACCESS EXCLUSIVE MODE")
    assert (rows["at"].partition(":")[0], rows["pending"]) == ("not read", "unknown")


def holding(file: Path, kind: str, mode: str) -> subprocess.Popen[str]:
    """Start a process that has begun a transaction on a file, and ends when it reads a line."""
    command = [sys.executable, "-c", _HOLD_FILE, str(file), kind, mode]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    holder.stdout.readline()
    return holder
