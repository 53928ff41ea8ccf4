"""Servers whose owner was killed: found by their command line, and stopped before their directory is removed."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PROGRAMS = frozenset({"postgres", "initdb"})
_WAIT_SECONDS, _POLL_SECONDS = 5.0, 0.005


def stop_orphaned_server(home: Path, uid: int) -> None:
    """Stop the server, or initdb, that a killed owner left running in its private directory.

    A process is recognised by its user, its program and a path below `home` in its command line: no other directory
    ever has that name. The number in postmaster.pid may belong to another process by now and is not read. Before psutil
    sends a signal it compares the time at which the process was created: a reused number is never signalled.
    """
    for stop_signal in (signal.SIGQUIT, signal.SIGKILL):
        orphans = list(_orphaned_processes(home, uid))
        for orphan in orphans:
            with contextlib.suppress(psutil.NoSuchProcess):
                orphan.send_signal(stop_signal)
        deadline = time.monotonic() + _WAIT_SECONDS
        while any(_is_alive(orphan) for orphan in orphans) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)


def _orphaned_processes(home: Path, uid: int) -> Iterator[psutil.Process]:
    for process in psutil.process_iter(["uids", "cmdline"]):
        words, users = process.info["cmdline"], process.info["uids"]
        if not words or not users or users.effective != uid:
            continue
        program = words[0].rpartition("/")[2]
        if program in _PROGRAMS and any(word.startswith(f"{home}/") for word in words):
            yield process


def _is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs; one that has ended but was not reaped by its parent does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
