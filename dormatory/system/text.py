"""Words, numbers and excerpts as messages write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def quantity(number: int, noun: str) -> str:
    """Return a number and what it counts, such as `1 row` or `2 rows`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def last_lines(text: str, count: int) -> list[str]:
    """Return the last lines of a text, blank ends removed."""
    return text.strip().splitlines()[-count:]


def name_list(names: Iterable[str], limit: int = 12) -> str:
    """Return names with commas; of more than `limit` the first ones and the number of the others."""
    found = list(names)
    shown = ", ".join(found[:limit])
    return shown if len(found) <= limit else f"{shown} and {len(found) - limit} more"


def shorten(text: str, limit: int) -> str:
    """Return at most `limit` characters of a text; an ellipsis stands for the rest."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def first_line(text: str) -> str:
    """Return a text up to its first line break."""
    return text.partition("\n")[0]
