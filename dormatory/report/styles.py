"""Colours on a terminal: pieces of a line, each with the name of its style. They change nothing in the text."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

Line = tuple[tuple[str, str], ...]
"""Pieces of a line, each with the name of its style; "" is none."""
_STYLES = {
    "error": "bold red",
    "warning": "bold yellow",
    "note": "cyan",
    "strong": "bold",
    "faint": "dim",
    "fix": "green",
}


def has_colours(stream: TextIO) -> bool:
    """Return whether a stream shows colours: it is a terminal, and NO_COLOR is not set."""
    if os.environ.get("NO_COLOR") or not stream.isatty():
        return False
    from rich.console import Console  # noqa: PLC0415  # for a terminal only: it takes a while to load

    return Console(file=stream).color_system is not None


def text_of(lines: Iterable[Line], *, colours: bool) -> str:
    """Return lines as one text, each with its line break."""
    show = _coloured_piece if colours else _plain_piece
    return "".join("".join(show(*piece) for piece in line) + "\n" for line in lines)


def _plain_piece(piece: str, _style: str) -> str:
    return piece


def _coloured_piece(piece: str, style: str) -> str:
    before, after = _ansi_codes(style)
    return f"{before}{piece}{after}" if piece else ""


@cache
def _ansi_codes(style: str) -> tuple[str, str]:
    """Return the codes before and after a piece; only the eight colours that every terminal has."""
    if not style:
        return "", ""
    from rich.color import ColorSystem  # noqa: PLC0415  # as above
    from rich.style import Style  # noqa: PLC0415

    before, _, after = Style.parse(_STYLES[style]).render("|", color_system=ColorSystem.STANDARD).partition("|")
    return before, after
