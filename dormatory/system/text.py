"""Words, numbers and excerpts as messages write them."""

from __future__ import annotations


def quantity(number: int, noun: str) -> str:
    """Return a number and what it counts, such as `1 row` or `2 rows`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def last_lines(text: str, count: int) -> list[str]:
    """Return the last lines of a text, blank ends removed."""
    return text.strip().splitlines()[-count:]
