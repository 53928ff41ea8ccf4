"""One migration at a time on PostgreSQL: which run waits, for how long, and where a lock would protect nothing."""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import socket
import struct
import threading
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.postgresql.url import libpq_settings
from dormatory.backends.registry import backend_for
from dormatory.errors import DatabaseLockedError, PoolerError
from dormatory.safety import backups

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.backends.url import Target
    from tests.conftest import Inv, SmallProject


@pytest.fixture(scope="module")
def target(postgres_server: throwaway.Server) -> Iterator[Target]:
    """A database whose version table says revision 007."""
    with throwaway.scratch_postgresql(postgres_server) as target:
        with contextlib.closing(connect(target)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('007')"
            )
            connection.commit()
        yield target


def connect(target: Target) -> Any:
    keywords: dict[str, Any] = {**libpq_settings(target.url)}
    return psycopg2.connect(**keywords)


class TestWaiting:
    def test_a_waiting_run_names_the_holder_and_gives_up_at_the_limit(
        self, target: Target, caplog: pytest.LogCaptureFixture
    ) -> None:
        backend = backend_for(target)
        holder = r"pid \d+, dormatory, since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC, database at 007"
        with (
            backend.upgrade_lock(target, "alembic_version"),
            pytest.raises(DatabaseLockedError) as raised,
            backend.upgrade_lock(target, "alembic_version", wait_seconds=0.3),
        ):
            pass
        (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert re.fullmatch(rf"another migration is running \({holder}\); waiting at most 0.3 s for it", warning)
        assert re.search(rf"is being changed by somebody else \({holder}; waited 0.3 s\); wait for", str(raised.value))
        assert raised.value.is_failure

    def test_a_holder_that_locks_the_version_table_is_named_too(self, target: Target) -> None:
        backend = backend_for(target)
        with contextlib.closing(connect(target)) as other, other.cursor() as cursor:
            cursor.execute("LOCK TABLE alembic_version")
            with (
                backend.upgrade_lock(target, "alembic_version"),
                pytest.raises(DatabaseLockedError, match="its revision cannot be read"),
                backend.upgrade_lock(target, "alembic_version", wait_seconds=0),
            ):
                pass

    @pytest.mark.parametrize("table", ["other_version", "elsewhere.alembic_version"])
    def test_another_version_table_is_another_lock(self, target: Target, table: str) -> None:
        backend = backend_for(target)
        with backend.upgrade_lock(target, "alembic_version"), backend.upgrade_lock(target, table, wait_seconds=0):
            pass

    def test_the_lock_is_released_when_the_block_raises(self, target: Target) -> None:
        backend = backend_for(target)
        with pytest.raises(ZeroDivisionError), backend.upgrade_lock(target, "alembic_version"):
            raise ZeroDivisionError
        with backend.upgrade_lock(target, "alembic_version", wait_seconds=0):
            pass


class Pooler:
    """A pooler in transaction mode: each transaction gets the other one of two sessions of the server."""

    def __init__(self, directory: Path, server: Path, port: str) -> None:
        self._server = str(server / f".s.PGSQL.{port}")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / f".s.PGSQL.{port}"))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve_client, args=(client,), daemon=True).start()

    def _serve_client(self, client: socket.socket) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.suppress(OSError, EOFError))
            stack.enter_context(client)
            (length,) = struct.unpack("!I", receive(client, 4))
            startup = struct.pack("!I", length) + receive(client, length - 4)
            sessions = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2)]
            for session in sessions:
                session.connect(self._server)
                session.sendall(startup)
            first, _ = (read_until_ready(session) for session in sessions)
            client.sendall(first)
            while True:
                sessions[0].sendall(read_message(client))
                answer = read_until_ready(sessions[0])
                client.sendall(answer)
                if answer.endswith(b"I"):  # no transaction is open
                    sessions.reverse()


def receive(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = source.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def read_message(source: socket.socket) -> bytes:
    kind = receive(source, 1)
    length = receive(source, 4)
    return kind + length + receive(source, struct.unpack("!I", length)[0] - 4)


def read_until_ready(source: socket.socket) -> bytes:
    answer = b""
    while True:
        part = read_message(source)
        answer += part
        if part[:1] == b"Z":
            return answer


class TestPooler:
    """A lock in one session protects nothing that runs in another."""

    @pytest.fixture
    def pooled(self, postgres_server: throwaway.Server, target: Target, tmp_path: Path) -> Iterator[Target]:
        """The same database through a pooler."""
        port = str(target.url.query.get("port", "5432"))
        pooler = Pooler(tmp_path, postgres_server.socket_directory, port)
        yield target.with_parts(query={**target.url.query, "host": str(tmp_path)})
        pooler.close()

    def test_a_transaction_pooler_is_refused_before_anything_is_locked(self, pooled: Target) -> None:
        with (
            pytest.raises(PoolerError) as raised,
            backend_for(pooled).upgrade_lock(pooled, "alembic_version"),
        ):
            pass
        assert raised.value.is_failure

    @pytest.mark.parametrize("command", ["reset", "undo", "restore", "rehearse", "upgrade"])
    def test_each_command_that_needs_the_server_itself_says_so(
        self, small_project: SmallProject, inv: Inv, target: Target, pooled: Target, command: str
    ) -> None:
        small_project.write_revision("007", after=None)
        small_project.write_revision("008")
        assert inv("db.backup", url=target.url).code == 0
        (file,) = (small_project.root / ".dormatory" / "backups").glob("*.dump")
        pooled_file = file.with_name(file.name.replace(file.name.split(".")[0], backups._database_key(pooled)))
        shutil.copy(file, pooled_file)
        name = () if command in {"rehearse", "upgrade"} else (f"--confirm={target.database}",)
        words = (f"db.{command}", *((str(pooled_file),) if command == "restore" else ()), *name)
        ended = inv(*words, url=pooled.url)
        assert (ended.code, ended.out) == (3, "")
        assert ended.err.splitlines()[-1] == (
            f"error: {pooled} is reached through a pooler (locks and settings of this command would be left in a "
            "session that others use); give the server's own address in DATABASE_URL"
        )
        with contextlib.closing(connect(target)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), version_num FROM alembic_version"
            )
            assert cursor.fetchall() == [(0, "007")]
        assert "dump" not in ended.err

    def test_it_is_refused_even_with_nothing_pending(self, small_project: SmallProject, pooled: Target) -> None:
        small_project.write_revision("007", after=None)
        ended = small_project.run("dormatory", "upgrade", url=pooled.url)
        assert (ended.code, ended.out) == (3, "")
        assert "is reached through a pooler" in ended.err
        assert small_project.alembic("upgrade", "head", url=pooled.url).code != 0
