"""Texts that match a pattern of LIKE, GLOB or a regular expression."""

from __future__ import annotations

import re
from functools import lru_cache
from re import _constants as op  # type: ignore[attr-defined]  # the parser behind re.compile, there since 3.11
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

_LIKELY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_ .,:/@+"
_CLASSES = {op.CATEGORY_DIGIT: r"\d", op.CATEGORY_WORD: r"\w", op.CATEGORY_SPACE: r"\s"}
_CLASSES |= {op.CATEGORY_NOT_DIGIT: r"\D", op.CATEGORY_NOT_WORD: r"\W", op.CATEGORY_NOT_SPACE: r"\S"}
_LOOKAROUNDS = frozenset({op.ASSERT, op.ASSERT_NOT, op.AT})


def sample(pattern: re.Pattern[str], number: int) -> str | None:
    """Return a short text that matches, another one for each number while there are others; None if none is found."""
    maker = _Maker(number)
    text = maker.written(_parsed(pattern))
    return text if pattern.search(text) else None


@lru_cache(maxsize=1024)
def _parsed(pattern: re.Pattern[str]) -> Any:
    return parser.parse(pattern.pattern, pattern.flags)


class _Maker:
    """Spends a number on one choice after the other, so that different numbers choose differently."""

    def __init__(self, number: int) -> None:
        self._left = number

    def written(self, parts: Any) -> str:
        return "".join(self._part(code, argument) for code, argument in parts)

    def _part(self, code: Any, argument: Any) -> str:
        if code is op.LITERAL:
            return chr(argument)
        if code in _LOOKAROUNDS:
            return ""
        if code is op.IN:
            return self._one_of(argument)
        if code in {op.ANY, op.NOT_LITERAL}:
            return self._chosen([sign for sign in _LIKELY if ord(sign) != argument])
        if code in {op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT}:
            low, high, inner = argument
            return "".join(self.written(inner) for _ in range(max(low, min(high, 1))))
        if code is op.SUBPATTERN:
            return self.written(argument[-1])
        if code is op.BRANCH:
            return self.written(self._chosen(argument[1]))
        return ""

    def _one_of(self, members: Any) -> str:
        negated = bool(members) and members[0][0] is op.NEGATE
        found = [sign for sign in _LIKELY if any(_has(member, sign) for member in members) is not negated]
        if not found and not negated:
            code, argument = members[0]
            found = [chr(argument if code is op.LITERAL else argument[0])]
        return self._chosen(found) if found else ""

    def _chosen(self, options: Any) -> Any:
        self._left, index = divmod(self._left, len(options))
        return options[index]


def _has(member: tuple[Any, Any], sign: str) -> bool:
    code, argument = member
    if code is op.LITERAL:
        return bool(argument == ord(sign))
    if code is op.RANGE:
        return bool(argument[0] <= ord(sign) <= argument[1])
    return code is op.CATEGORY and re.match(_CLASSES.get(argument, "(?!)"), sign) is not None
