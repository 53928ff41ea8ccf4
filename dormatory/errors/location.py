"""A place in a file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file; `line` and `column` count from 1, 0 where they are unknown, as `path` is "" then."""

    path: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Return `path:line:column`, or what is known of it; terminals and editors make it a link."""
        numbers = (self.line, self.column if self.line else 0)
        return ":".join((self.path, *(str(number) for number in numbers if number))) if self.path else ""


NOWHERE = Location()
