"""The long torture: `python -m tests.torture --seconds 600 --seed 7` breaks commands off wherever chance has it.

No moment is killed twice, so that time enough, or `--every`, kills before and after each statement there is.

It prints what it tries, and at the end how much; what a command may not leave ends it with exit code 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.server import throwaway
from tests.torture.ordeal import WAYS, WoundedError, commands, run
from tests.torture.victim import Ward

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.torture.ordeal import Command

BACKENDS = ("sqlite", "postgresql")
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


def tries(
    whole: list[tuple[Command, int]], backend: str, chance: random.Random, *, every: bool
) -> Iterator[tuple[Command, int, str]]:
    """Yield what to break off, when and how: each moment of each command is killed at once, in an order of chance.

    Between two of these comes another way at any moment, unless `every` one is to have its turn.
    """
    kills = [(command, at) for command, moments in whole for at in range(1, moments + 1)]
    chance.shuffle(kills)
    others = [way for way in ways(backend) if way != "kill"]
    for command, at in kills:
        yield command, at, "kill"
        if not every:
            other, moments = chance.choice(whole)
            yield other, chance.randint(1, moments), chance.choice(others)


def torture(backend: str, chance: random.Random, *, seconds: float, every: bool) -> int:
    """Try for so many seconds, or `every` moment for as long as that takes, and return how many wounds there were."""
    deadline, wounds, tried = time.monotonic() + seconds, 0, Counter[str]()
    with ward(backend) as opened:
        whole = [(command, len(run(opened, command).moments)) for command in commands(opened)]
        for command, moments in whole:
            say(f"{backend}: {command.name} has {moments} moments")
        for command, at, how in tries(whole, backend, chance, every=every):
            if time.monotonic() > deadline and not every:
                break
            tried[how] += 1
            try:
                code = run(opened, command, at=at, how=how).code
                say(f"{backend}: {command.name}, {how} at {at}: exit code {code}, whole")
            except WoundedError as error:
                wounds += 1
                say(f"WOUNDED {error}")
    told = ", ".join(f"{count} by {how}" for how, count in tried.most_common())
    say(f"{backend}: {tried['kill']} of {sum(count for _, count in whole)} moments killed; tries: {told or 'none'}")
    return wounds


def main(arguments: list[str] | None = None) -> int:
    """Torture for as long as asked, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long; default: 600")
    parser.add_argument("--every", action="store_true", help="kill at every moment instead, which takes hours")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6, help="where chance begins")
    options = parser.parse_args(arguments)
    chance = random.Random(options.seed)  # noqa: S311  # no secret: to be repeated
    say(f"seed {options.seed}, {'every moment' if options.every else f'{options.seconds:g} s'}")
    wounds = 0
    for backend in BACKENDS:
        wounds += torture(backend, chance, seconds=options.seconds / len(BACKENDS), every=options.every)
    say(f"{wounds} wounds")
    return 1 if wounds else 0


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201  # to print is its job


if __name__ == "__main__":
    sys.exit(main())
