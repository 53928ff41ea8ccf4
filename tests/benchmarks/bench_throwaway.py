"""How long a throwaway server takes to be ready, compared with initdb and pg_ctl run by hand with the same options."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from typing import TYPE_CHECKING

from dormatory.backends import programs
from dormatory.backends.postgresql.server import cluster_cache, installation, postmaster, throwaway
from dormatory.system import private_directory, process
from tests.benchmarks.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CACHE_VARIABLE = "XDG_CACHE_HOME"
ROUNDS = 5
FIRST_RATIO_LIMIT, SECOND_LIMIT_SECONDS = 1.3, 1.0


def seconds_by_hand(binaries: Path) -> float:
    """Return the seconds that initdb and `pg_ctl start` take, each run as a user would."""
    account = installation.server_account()
    with private_directory.locked_directory(account) as home:
        installed = installation.runnable_installation(binaries, home, account)
        settings = postmaster._SETTINGS | {"unix_socket_directories": str(home)}
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        pg_ctl = [str(installed.binaries / "pg_ctl"), "-D", str(home / postmaster.DATA_DIRECTORY), "-w"]
        began = time.perf_counter()
        cluster_cache.initdb(installed, home, account)
        start = [*pg_ctl, "-l", str(home / "log"), "-o", options, "start"]
        process.run_program(start, env=installed.environment, cwd=home, account=account)
        seconds = time.perf_counter() - began
        process.run_program([*pg_ctl, "-m", "fast", "stop"], env=installed.environment, cwd=home, account=account)
    return seconds


def our_seconds(binaries: Path) -> float:
    """Return the seconds until a throwaway server is ready."""
    began = time.perf_counter()
    with throwaway.server(binaries):
        return time.perf_counter() - began


def figures() -> Iterator[Figure]:
    """Yield the time of the first server, which has no cache yet, relative to its programs; and the second's time."""
    binaries = programs.server_binaries()
    hand, first, second = [], [], []
    before = os.environ.get(_CACHE_VARIABLE)
    for _ in range(ROUNDS):  # alternating, so that a busy machine is slow for all of them
        hand.append(seconds_by_hand(binaries))
        with tempfile.TemporaryDirectory() as cache:
            os.environ[_CACHE_VARIABLE] = cache
            first.append(our_seconds(binaries))
            second.append(our_seconds(binaries))
    os.environ.pop(_CACHE_VARIABLE)
    if before is not None:
        os.environ[_CACHE_VARIABLE] = before
    ratio = statistics.median(ours / theirs for ours, theirs in zip(first, hand, strict=True))
    detail = f"{statistics.median(first):.3g} s, {statistics.median(hand):.3g} s"
    yield Figure(
        "first throwaway server against initdb and pg_ctl by hand", ratio, FIRST_RATIO_LIMIT, "x", detail=detail
    )
    yield Figure("second throwaway server", statistics.median(second), SECOND_LIMIT_SECONDS, "s")
