"""The long torture: `python -m tests.torture --seconds 600 --seed 7` breaks commands off wherever chance has it.

It prints what it tries, and at the end how much; what a command may not leave ends it with exit code 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dormatory.database import throwaway
from tests.torture.ordeal import WAYS, WoundedError, commands, run
from tests.torture.victim import Ward

if TYPE_CHECKING:
    from collections.abc import Iterator

_OF_SERVERS = frozenset({"cut", "server"})
_OF_FILES = frozenset({"disk"})


@contextmanager
def ward(backend: str) -> Iterator[Ward]:
    """Open a ward for one kind of database, with a server of its own if it needs one."""
    with TemporaryDirectory(prefix="torture-") as name, ExitStack() as stack:
        server = stack.enter_context(throwaway.server()) if backend == "postgresql" else None
        yield Ward(Path(name), server, stack)


def ways(backend: str) -> list[str]:
    """Return the ways of breaking off that there are on a kind of database."""
    return [way for way in WAYS if way not in (_OF_FILES if backend == "postgresql" else _OF_SERVERS)]


def main(arguments: list[str] | None = None) -> int:
    """Torture for as long as asked, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long; default: 600")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6, help="where chance begins")
    options = parser.parse_args(arguments)
    chance = random.Random(options.seed)  # noqa: S311  # no secret: to be repeated
    say(f"seed {options.seed}, {options.seconds:g} s")
    wounds = tries = 0
    for backend in ("sqlite", "postgresql"):
        deadline = time.monotonic() + options.seconds / 2
        with ward(backend) as opened:
            whole = [(command, len(run(opened, command).moments)) for command in commands(opened)]
            for command, moments in whole:
                say(f"{backend}: {command.name} has {moments} moments")
            while time.monotonic() < deadline:
                command, moments = chance.choice(whole)
                at, how = chance.randint(1, moments), chance.choice(ways(backend))
                tries += 1
                try:
                    code = run(opened, command, at=at, how=how).code
                    say(f"{backend}: {command.name}, {how} at {at}: exit code {code}, whole")
                except WoundedError as error:
                    wounds += 1
                    say(f"WOUNDED {error}")
    say(f"{tries} tries, {wounds} wounds")
    return 1 if wounds else 0


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201  # to print is its job


if __name__ == "__main__":
    sys.exit(main())
