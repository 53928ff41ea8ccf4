"""Patterns of LIKE, GLOB and regular expressions as Python's own, and texts that match them."""

from __future__ import annotations

import re
from functools import lru_cache
from re import _constants as op  # type: ignore[attr-defined]  # the parser behind re.compile, there since 3.11
from re import _parser as parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_LIKELY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_ .,:/@+"
_CATEGORIES = {op.CATEGORY_DIGIT: r"\d", op.CATEGORY_WORD: r"\w", op.CATEGORY_SPACE: r"\s"}
_CATEGORIES |= {op.CATEGORY_NOT_DIGIT: r"\D", op.CATEGORY_NOT_WORD: r"\W", op.CATEGORY_NOT_SPACE: r"\S"}
_CLASSES = {"alpha": "a-zA-Z", "digit": "0-9", "alnum": "a-zA-Z0-9", "upper": "A-Z", "lower": "a-z", "space": r"\s"}
_CLASSES |= {"xdigit": "0-9A-Fa-f", "word": r"\w", "punct": r"!-/:-@\[-`{-~"}


@lru_cache(maxsize=1024)
def pattern(kind: str, text: str, escape: str = "\\") -> re.Pattern[str] | None:
    """Return what LIKE, ILIKE, GLOB or a regular expression of PostgreSQL look for; None if it cannot be said."""
    if kind in {"like", "ilike"}:
        written = "".join(_like_signs(text, escape))
        return re.compile(rf"\A(?:{written})\Z", re.DOTALL | (re.IGNORECASE if kind == "ilike" else 0))
    if kind == "glob":
        return _compiled(rf"\A(?:{''.join(_glob_signs(text))})\Z", re.DOTALL)
    translated = re.sub(r"\[:(\w+):\]", lambda found: _CLASSES.get(found[1], found[0]), text)
    translated = re.sub(r"(?<!\\)\$$", r"\\Z", translated).replace(r"\m", r"\b").replace(r"\M", r"\b")
    return _compiled(translated, re.IGNORECASE if kind == "~*" else 0)


def _compiled(text: str, flags: int) -> re.Pattern[str] | None:
    try:
        return re.compile(text, flags)
    except (re.error, OverflowError):
        return None


def _like_signs(text: str, escape: str) -> Iterator[str]:
    signs = iter(text)
    for sign in signs:
        if sign == escape:
            yield re.escape(next(signs, ""))
        else:
            yield {"%": ".*", "_": "."}.get(sign) or re.escape(sign)


def _glob_signs(text: str) -> Iterator[str]:
    for part in re.findall(r"\[\^?\]?[^]]*\]|.", text, re.DOTALL):
        if len(part) > 1:
            yield part.replace("\\", r"\\")
        else:
            yield {"*": ".*", "?": "."}.get(part) or re.escape(part)


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
        make = _MAKERS.get(code)
        return make(self, argument) if make else ""  # what looks around writes nothing

    def any_but(self, refused: int | None) -> str:
        return str(self.chosen([sign for sign in _LIKELY if ord(sign) != refused]))

    def repeated(self, argument: Any) -> str:
        low, high, inner = argument
        return "".join(self.written(inner) for _ in range(max(low, min(high, 1))))

    def one_of(self, members: Any) -> str:
        found = _signs(tuple(members))
        return str(self.chosen(found)) if found else ""

    def chosen(self, options: Any) -> Any:
        self._left, index = divmod(self._left, len(options))
        return options[index]


@lru_cache(maxsize=1024)
def _signs(members: tuple[tuple[Any, Any], ...]) -> Sequence[str]:
    """Return the likely signs that are in a class, or one that is when none of them are."""
    negated = bool(members) and members[0][0] is op.NEGATE
    found = [sign for sign in _LIKELY if any(_has(member, sign) for member in members) is not negated]
    if not found and not negated:
        code, argument = members[0]
        found = [chr(argument if code is op.LITERAL else argument[0])]
    return found


def _has(member: tuple[Any, Any], sign: str) -> bool:
    code, argument = member
    if code is op.LITERAL:
        return bool(argument == ord(sign))
    if code is op.RANGE:
        return bool(argument[0] <= ord(sign) <= argument[1])
    return code is op.CATEGORY and re.match(_CATEGORIES.get(argument, "(?!)"), sign) is not None


_MAKERS: dict[Any, Callable[[_Maker, Any], str]] = {
    op.LITERAL: lambda _, argument: chr(argument),
    op.NOT_LITERAL: _Maker.any_but,
    op.ANY: _Maker.any_but,
    op.IN: _Maker.one_of,
    op.SUBPATTERN: lambda maker, argument: maker.written(argument[-1]),
    op.BRANCH: lambda maker, argument: maker.written(maker.chosen(argument[1])),
    **dict.fromkeys((op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT), _Maker.repeated),
}
