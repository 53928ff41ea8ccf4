"""One PostgreSQL server process: started, awaited, stopped."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import psycopg2

from dormatory.errors import DatabaseFailedError
from dormatory.system import process, signals
from dormatory.system.text import last_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.backends.postgresql.server.installation import Installation

SUPERUSER = "postgres"
PORT = 5432  # names the socket file; nothing listens on TCP
DATA_DIRECTORY = "data"

_LOG_NAME = "server.log"
_SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "max_wal_size": "128MB",  # a gigabyte by default, and this server never recovers from it
    "checkpoint_warning": "0",
    "dynamic_shared_memory_type": "mmap",  # in the data directory: /dev/shm is small in containers, and outlives us
}
_START_SECONDS, _POLL_SECONDS = 60.0, 0.005
_FAST_SECONDS, _IMMEDIATE_SECONDS = 10.0, 5.0
_TAIL_LINES = 15


@contextlib.contextmanager
def running_server(installed: Installation, home: Path, account: process.Account | None) -> Iterator[None]:
    """Run a server on the data directory in `home`, its socket next to it, ready when the block begins.

    Raises DatabaseFailedError with the end of the server's log when it does not get ready. A child forked
    inside the block leaves the server to its parent.
    """
    settings = _SETTINGS | {"unix_socket_directories": str(home)}
    arguments = [str(installed.binaries / "postgres"), "-D", str(home / DATA_DIRECTORY)]
    arguments += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    child = None
    try:
        with signals.defer_signals():
            child = process.start_server(
                arguments, env=installed.environment, cwd=home, log=home / _LOG_NAME, account=account
            )
        _wait_until_ready(child, home)
        yield
    finally:
        if child is not None:
            with signals.defer_signals():
                _stop(child)


def connect(socket_directory: Path) -> psycopg2.extensions.connection:
    """Return a connection for administration, in autocommit mode, whatever the caller's PG* settings say."""
    # An empty value keeps libpq from taking the caller's PGHOSTADDR or PGOPTIONS instead.
    host = str(socket_directory)
    connection = psycopg2.connect(
        host=host, hostaddr="", port=PORT, user=SUPERUSER, dbname=SUPERUSER, options=""
    )  # fmt: skip
    connection.autocommit = True
    return connection


def _wait_until_ready(child: subprocess.Popen[str], home: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise _start_error(home, f"postgres ended with exit code {child.returncode}")
        if _is_ready(home / DATA_DIRECTORY / "postmaster.pid", child.pid):
            with contextlib.suppress(psycopg2.OperationalError), contextlib.closing(connect(home)):
                return
        time.sleep(_POLL_SECONDS)
    raise _start_error(home, f"it was not ready after {_START_SECONDS:g} s")


def _is_ready(pid_file: Path, pid: int) -> bool:
    """Read the status, the eighth line of postmaster.pid since PostgreSQL 10."""
    try:
        lines = pid_file.read_text().splitlines()
    except OSError:
        return False
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"  # noqa: PLR2004


def _start_error(home: Path, reason: str) -> DatabaseFailedError:
    with contextlib.suppress(OSError):
        log = (home / _LOG_NAME).read_text(errors="replace")
        lines = last_lines(log, _TAIL_LINES)
        reason += "; its log ends: " + " / ".join(lines) if lines else "; its log is empty"
    what = "the throwaway PostgreSQL did not start"
    return DatabaseFailedError(what, why=reason, fix="correct what the log reports")


def _stop(child: subprocess.Popen[str]) -> None:
    """Shut the server down: fast, then immediately; killed last, since that leaves its shared memory behind.

    In a fork of this process nothing happens: Popen signals only a child of the calling process.
    """
    for number, wait_seconds in (
        (signal.SIGINT, _FAST_SECONDS),
        (signal.SIGQUIT, _IMMEDIATE_SECONDS),
        (signal.SIGKILL, _IMMEDIATE_SECONDS),
    ):
        child.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(wait_seconds)
            return
