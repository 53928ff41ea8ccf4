"""External text made safe to show: it cannot control a terminal, break XML or add lines."""

from __future__ import annotations

import re
from functools import lru_cache

# Control characters, invisible line breaks, changes of direction, halves of surrogate pairs, and what XML 1.0 forbids.
_UNSAFE_CHARACTER = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)


def sanitize(text: str) -> str:
    r"""Return a text of lines with each unsafe character written as its escape, such as `\x1b`."""
    return _UNSAFE_CHARACTER.sub(_escape, text.replace("\r\n", "\n"))


@lru_cache(4096)
def sanitize_line(text: str) -> str:
    r"""Return a text in one line, such as a name: breaks and tabs are written as escapes, too."""
    return sanitize(text).replace("\n", r"\n").replace("\t", r"\t")


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"  # noqa: PLR2004  # as Python writes them
