"""How long a throwaway server takes to be ready, against initdb and pg_ctl run by hand with the same options."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from dormatory.database import installation, postmaster, private, process, programs, template, throwaway

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 5
FIRST_RATIO, SECOND_SECONDS = 1.3, 1.0


def by_hand(binaries: Path) -> float:
    """Return the seconds that initdb and `pg_ctl start` take, each run as a user would."""
    account = installation.unprivileged()
    with private.directory(account) as home:
        installed = installation.reachable(binaries, home, account)
        settings = postmaster._SETTINGS | {"unix_socket_directories": str(home)}
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        pg_ctl = [str(installed.binaries / "pg_ctl"), "-D", str(home / postmaster.DATA), "-w"]
        began = time.perf_counter()
        template.initdb(installed, home, account)
        start = [*pg_ctl, "-l", str(home / "log"), "-o", options, "start"]
        process.run(start, env=installed.environment, cwd=home, account=account)
        seconds = time.perf_counter() - began
        process.run([*pg_ctl, "-m", "fast", "stop"], env=installed.environment, cwd=home, account=account)
    return seconds


def ours(binaries: Path) -> float:
    """Return the seconds until a throwaway server is ready."""
    began = time.perf_counter()
    with throwaway.server(binaries):
        return time.perf_counter() - began


def main() -> int:
    """Print the median of each way, in seconds, and return 1 when a promise is broken."""
    binaries = programs.server_binaries()
    hand, first, second = [], [], []
    for _ in range(ROUNDS):  # in turns, so that a busy machine is slow for all of them
        hand.append(by_hand(binaries))
        with tempfile.TemporaryDirectory() as cache:
            os.environ["XDG_CACHE_HOME"] = cache
            first.append(ours(binaries))
            second.append(ours(binaries))
    ratio = statistics.median(first) / statistics.median(hand)
    sys.stdout.write(
        f"initdb and pg_ctl start by hand  {statistics.median(hand):6.3f} s\n"
        f"first throwaway server           {statistics.median(first):6.3f} s  ({ratio:.2f} x, at most {FIRST_RATIO})\n"
        f"second throwaway server          {statistics.median(second):6.3f} s  (at most {SECOND_SECONDS} s)\n"
    )
    return int(ratio > FIRST_RATIO or statistics.median(second) > SECOND_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
