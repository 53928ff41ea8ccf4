"""The long torture test: `python -m tests.torture --seconds 600 --seed 7` interrupts commands at random moments.

No moment is killed twice: with enough time, or with `--every`, commands are killed before and after each statement.

It prints each try, and at the end their number. The exit code is 1 if a command left any damage.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.server import throwaway
from tests.torture.interruption import ALLOWED_EXIT_CODES, DamageError, interruptible_commands, run_interrupted
from tests.torture.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.torture.interruption import Command

BACKENDS = ("sqlite", "postgresql")
_SERVER_ONLY = frozenset({"cut", "server"})
_FILE_ONLY = frozenset({"disk"})


@contextmanager
def open_sandbox(backend: str) -> Iterator[Sandbox]:
    """Open a sandbox for one kind of database, with its own server if it needs one."""
    with TemporaryDirectory(prefix="torture-") as name, ExitStack() as stack:
        server = stack.enter_context(throwaway.server()) if backend == "postgresql" else None
        yield Sandbox(Path(name), server, stack)


def interruptions(backend: str) -> list[str]:
    """Return the kinds of interruption that are possible on a kind of database."""
    return [way for way in ALLOWED_EXIT_CODES if way not in (_FILE_ONLY if backend == "postgresql" else _SERVER_ONLY)]


def planned_interruptions(
    moment_counts: list[tuple[Command, int]], backend: str, rng: random.Random, *, every: bool
) -> Iterator[tuple[Command, int, str]]:
    """Yield what to interrupt, when and how: each moment of each command is killed once, in random order.

    Between two of these comes another kind of interruption at a random moment, unless `every` is set.
    """
    kills = [(command, at) for command, moments in moment_counts for at in range(1, moments + 1)]
    rng.shuffle(kills)
    others = [way for way in interruptions(backend) if way != "kill"]
    for command, at in kills:
        yield command, at, "kill"
        if not every:
            other, moments = rng.choice(moment_counts)
            yield other, rng.randint(1, moments), rng.choice(others)


def torture(backend: str, rng: random.Random, *, seconds: float, every: bool) -> int:
    """Try for so many seconds, or `every` moment however long that takes, and return how often there was damage."""
    deadline, failure_count, tried = time.monotonic() + seconds, 0, Counter[str]()
    with open_sandbox(backend) as opened:
        moment_counts = [
            (command, len(run_interrupted(opened, command).moments)) for command in interruptible_commands(opened)
        ]
        for command, moments in moment_counts:
            print_line(f"{backend}: {command.name} has {moments} moments")
        for command, at, how in planned_interruptions(moment_counts, backend, rng, every=every):
            if time.monotonic() > deadline and not every:
                break
            tried[how] += 1
            try:
                code = run_interrupted(opened, command, at=at, how=how).code
                print_line(f"{backend}: {command.name}, {how} at {at}: exit code {code}, no damage")
            except DamageError as error:
                failure_count += 1
                print_line(f"DAMAGED {error}")
    tries_by_kind = ", ".join(f"{count} by {how}" for how, count in tried.most_common())
    print_line(
        f"{backend}: {tried['kill']} of {sum(count for _, count in moment_counts)} moments killed; "
        f"tries: {tries_by_kind or 'none'}"
    )
    return failure_count


def main(arguments: list[str] | None = None) -> int:
    """Run the torture test for the given time, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long; default: 600")
    parser.add_argument("--every", action="store_true", help="kill at every moment instead, which takes hours")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6, help="seed of the random order")
    options = parser.parse_args(arguments)
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a job in the background ignores it, and so do its children
    rng = random.Random(options.seed)  # noqa: S311  # no secret: a run can be repeated
    print_line(f"seed {options.seed}, {'every moment' if options.every else f'{options.seconds:g} s'}")
    failure_count = 0
    for backend in BACKENDS:
        failure_count += torture(backend, rng, seconds=options.seconds / len(BACKENDS), every=options.every)
    print_line(f"{failure_count} times damaged")
    return 1 if failure_count else 0


def print_line(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201  # its output


if __name__ == "__main__":
    sys.exit(main())
