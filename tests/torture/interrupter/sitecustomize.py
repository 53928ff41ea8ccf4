"""Interrupts a command at a chosen moment; Python imports this by its name from PYTHONPATH, before the command itself.

A moment is just before or just after a statement, a commit or a copy, on whatever driver, and just before a file is
opened for writing, renamed or removed, or a program is started. Each one is written into the file that INTERRUPT_LOG
names, a line each; all processes of a command share it, and the one that writes line INTERRUPT_AT does INTERRUPT_HOW.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sqlite3
import sys
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions

_LOG, _AT, _HOW = (os.environ.get(f"INTERRUPT_{name}", "") for name in ("LOG", "AT", "HOW"))
_WRITING = os.O_WRONLY | os.O_RDWR
_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.truncate", "subprocess.Popen"}
_busy = False


def _moment(what: str, connection: Any = None) -> None:
    """Record a moment, and interrupt if it is the chosen one."""
    global _busy  # noqa: PLW0603  # our own actions are no moments
    if _busy:
        return
    _busy = True
    try:
        descriptor = os.open(_LOG, os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, f"{' '.join(what.split())[:100]}\n".encode())
        os.close(descriptor)
        is_it = bool(_AT) and len(Path(_LOG).read_bytes().splitlines()) == int(_AT)
        if is_it:
            _INTERRUPTIONS[_HOW](connection)
        _busy = is_it  # after the interruption no moment is recorded
    except BaseException:
        _busy = False
        raise


def _cut(connection: Any) -> None:
    """Close the connection to the server without the knowledge of the driver."""
    if isinstance(connection, psycopg2.extensions.connection):
        with socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)


def _fill_disk(_: Any) -> None:
    """Let no file grow beyond the largest one here: Python ignores the signal, and writing fails."""
    sizes = [
        Path(name).stat().st_size for name in os.environ["INTERRUPT_FILES"].split(os.pathsep) if Path(name).exists()
    ]
    resource.setrlimit(resource.RLIMIT_FSIZE, (max([4096, *sizes]), resource.RLIM_INFINITY))


def _signal_twice(number: int) -> None:
    os.kill(os.getpid(), number)
    os.kill(os.getpid(), number)


def _kill_server(_: Any) -> None:
    os.kill(int(os.environ["INTERRUPT_SERVER"]), signal.SIGKILL)


_INTERRUPTIONS = {
    "kill": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "cut": _cut,
    "disk": _fill_disk,
    "interrupt": lambda _: _signal_twice(signal.SIGINT),
    "terminate": lambda _: _signal_twice(signal.SIGTERM),
    "server": _kill_server,
}


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        path, mode, flags = arguments
        is_ours = isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path) != _LOG
        if is_ours and (set(mode or "") & set("wax+") or (flags or 0) & _WRITING) and not _is_noise(os.fsdecode(path)):
            _moment(f"open {os.fsdecode(path)}")
    elif event in _CHANGES and not _is_noise(str(arguments[0])):
        _moment(f"{event} {arguments[0]}")


def _is_noise(path: str) -> bool:
    return "__pycache__" in path or path.startswith("/dev/")


class _SqliteCursor(sqlite3.Cursor):
    def execute(self, sql: str, *arguments: Any) -> Any:
        return _between(sql, super().execute, sql, *arguments)

    def executemany(self, sql: str, *arguments: Any) -> Any:
        return _between(sql, super().executemany, sql, *arguments)

    def executescript(self, sql: str) -> Any:
        return _between(sql, super().executescript, sql)


class _SqliteConnection(sqlite3.Connection):
    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(factory or _SqliteCursor)

    def execute(self, *arguments: Any) -> Any:
        return self.cursor().execute(*arguments)

    def executescript(self, sql: str) -> Any:
        return self.cursor().executescript(sql)

    def commit(self) -> None:
        _between("COMMIT", super().commit)

    def backup(self, *arguments: Any, **options: Any) -> None:
        _between("backup", super().backup, *arguments, **options)


class _PostgresCursor(psycopg2.extensions.cursor):
    def execute(self, sql: Any, *arguments: Any) -> Any:
        text = sql if isinstance(sql, str) else "composed"
        return _between(text, super().execute, sql, *arguments, connection=self.connection)


class _PostgresConnection(psycopg2.extensions.connection):
    def cursor(self, *arguments: Any, **options: Any) -> Any:
        options.setdefault("cursor_factory", _PostgresCursor)
        return super().cursor(*arguments, **options)

    def commit(self) -> None:
        _between("COMMIT", super().commit, connection=self)


def _between(what: str, act: Any, *arguments: Any, connection: Any = None, **options: Any) -> Any:
    _moment(f"before {what}", connection)
    result = act(*arguments, **options)
    _moment(f"after {what}", connection)
    return result


def _factory(connect: Any, name: str, factory: type) -> Any:
    def connected(*arguments: Any, **options: Any) -> Any:
        options[name] = options.get(name) or factory
        return connect(*arguments, **options)

    return connected


if _LOG:
    sqlite3.connect = sqlite3.dbapi2.connect = _factory(sqlite3.connect, "factory", _SqliteConnection)
    psycopg2._connect = _factory(psycopg2._connect, "connection_factory", _PostgresConnection)  # type: ignore[attr-defined]
    sys.addaudithook(_audit)
