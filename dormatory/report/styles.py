"""Colours on a terminal: pieces of a line, each with the name of its style. They change nothing in the text."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from dormatory.report.layout import line_width

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


@dataclass(frozen=True, slots=True)
class TextStyle:
    """How a text for people is written: with colours or without, in lines of `width` characters, None for no limit."""

    colours: bool = False
    width: int | None = None

    @classmethod
    def of(cls, stream: TextIO) -> TextStyle:
        """Return the style for a stream: a terminal's colours and width, and what NO_COLOR and COLUMNS ask for."""
        return cls(_has_colours(stream), line_width(stream))


PLAIN = TextStyle()


def _has_colours(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR") or not stream.isatty():
        return False
    from rich.console import Console  # noqa: PLC0415  # for a terminal only: it takes a while to load

    return Console(file=stream).color_system is not None


def text_of(lines: Iterable[Line], style: TextStyle) -> str:
    """Return lines as one text, each with its line break."""
    show = _coloured_piece if style.colours else _plain_piece
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
