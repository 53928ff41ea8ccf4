"""SQL text cut where quoting begins and ends, so that a change to its layout never reaches a literal.

The tokens of `tokens.py` forget white space and comments; a dump has to keep both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from dormatory.sql.lexer import Syntax

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHARED = r"""'(?:[^']|'')*' | "(?:[^"]|"")*" """
# A comment inside a comment is no case here: neither pg_dump nor sqlite_schema gives one outside a quoted body.
_COMMENT = r"(?P<comment>--[^\n]* | /\*.*?(?:\*/|\Z))"
_QUOTING = {
    Syntax.SQLITE: re.compile(
        rf"(?P<quoted>{_SHARED} | `(?:[^`]|``)*` | \[[^\]]*\]) | {_COMMENT}",
        re.VERBOSE | re.DOTALL,
    ),
    Syntax.POSTGRESQL: re.compile(
        rf"""(?P<quoted>(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$
        | (?<![\w$])[eE]'(?:[^'\\]|\\.|'')*' | {_SHARED}) | {_COMMENT}""",
        re.VERBOSE | re.DOTALL,
    ),
}


class SpanKind(Enum):
    """What a piece of SQL text is."""

    PLAIN = "plain"
    QUOTED = "quoted"
    COMMENT = "comment"


@dataclass(frozen=True, slots=True)
class TextSpan:
    """A stretch of SQL text of one kind; `start` is where it stands in the whole."""

    kind: SpanKind
    start: int
    text: str


def text_spans(sql: str, syntax: Syntax) -> Iterator[TextSpan]:
    """Yield `sql` in pieces that give it back when they are joined."""
    position = 0
    for found in _QUOTING[syntax].finditer(sql):
        if found.start() > position:
            yield TextSpan(SpanKind.PLAIN, position, sql[position : found.start()])
        kind = SpanKind.QUOTED if found["quoted"] is not None else SpanKind.COMMENT
        yield TextSpan(kind, found.start(), found[0])
        position = found.end()
    if position < len(sql):
        yield TextSpan(SpanKind.PLAIN, position, sql[position:])


def without_trailing_space(sql: str, syntax: Syntax) -> str:
    """Return `sql` with no blank before the end of a line, other than inside quotes.

    Editors and commit hooks remove such blanks, and a file they touched would no longer be the dump.
    """
    return "".join(_strip_line_ends(piece) for piece in text_spans(sql.rstrip(), syntax))


def _strip_line_ends(span: TextSpan) -> str:
    if span.kind is SpanKind.QUOTED:
        return span.text
    if span.text.startswith("--"):
        return span.text.rstrip()
    return re.sub(r"[ \t\r]+(?=\n)", "", span.text)
