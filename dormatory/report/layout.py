"""Lines for a reader: broken between words at the width of the terminal, with a column at the right."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TextIO

_MIN_WIDTH = 40


def line_width(stream: TextIO, environ: Mapping[str, str] = os.environ) -> int | None:
    """Return the characters of a line: as COLUMNS says, else those of the terminal; None where nothing is broken."""
    given = environ.get("COLUMNS", "")
    columns = int(given) if given.isdecimal() else 0
    if not columns and stream.isatty():
        columns = os.get_terminal_size(stream.fileno()).columns  # 0 where nobody has set the size
    return max(columns, _MIN_WIDTH) if columns else None


def wrap_words(text: str, width: int | None, indent: str, first_indent: str | None = None) -> list[str]:
    """Return a text in lines of at most this width, each after its indent; a word that is longer is left whole."""
    first = indent if first_indent is None else first_indent
    if width is None or len(first) + len(text) <= width:
        return [first + text]
    lines = textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return lines or [first]


def column_after(line: str, column: str, width: int | None) -> str:
    """Return what to write after a line so that a column ends at the right: on the next line where it does not fit."""
    if width is None:
        return f"  {column}"
    room = width - len(line) - len(column)
    return " " * room + column if room >= 2 else "\n" + column.rjust(width)  # noqa: PLR2004  # two spaces between them


def wrap_parts(parts: Iterable[str], width: int | None, separator: str = " · ") -> list[str]:
    """Return parts in lines of at most this width, broken between two of them, or between words of a longer one."""
    lines: list[str] = []
    for part in parts:
        if lines and (width is None or len(lines[-1]) + len(separator) + len(part) <= width):
            lines[-1] += separator + part
        else:
            lines += wrap_words(part, width, "  " if lines else "")
    return lines


def shorten_words(text: str, limit: int | None) -> str:
    """Return a text in at most `limit` characters: whole words, and an ellipsis for the rest."""
    if limit is None or len(text) <= limit:
        return text
    kept = text[: limit - 1]
    return f"{kept.rpartition(' ')[0] or kept} …"[:limit]
