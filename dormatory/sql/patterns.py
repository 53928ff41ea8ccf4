"""Patterns of LIKE, GLOB and regular expressions as patterns of Python, and texts that match them."""

from __future__ import annotations

import re
from functools import lru_cache
from re import _constants as op  # type: ignore[attr-defined]  # the parser behind re.compile, there since 3.11
from re import _parser as parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_LIKELY_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_ .,:/@+"
_CATEGORY_PATTERNS = {op.CATEGORY_DIGIT: r"\d", op.CATEGORY_WORD: r"\w", op.CATEGORY_SPACE: r"\s"}
_CATEGORY_PATTERNS |= {op.CATEGORY_NOT_DIGIT: r"\D", op.CATEGORY_NOT_WORD: r"\W", op.CATEGORY_NOT_SPACE: r"\S"}
_POSIX_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
}
_POSIX_CLASSES |= {"xdigit": "0-9A-Fa-f", "word": r"\w", "punct": r"!-/:-@\[-`{-~"}


@lru_cache(maxsize=1024)
def compile_pattern(operator: str, text: str, escape: str = "\\") -> re.Pattern[str] | None:
    """Return the pattern of LIKE, ILIKE, GLOB or a regular expression; None if Python cannot compile it."""
    if operator in {"like", "ilike"}:
        written = "".join(_like_regex_parts(text, escape))
        return re.compile(rf"\A(?:{written})\Z", re.DOTALL | (re.IGNORECASE if operator == "ilike" else 0))
    if operator == "glob":
        return _compile(rf"\A(?:{''.join(_glob_regex_parts(text))})\Z", re.DOTALL)
    translated = re.sub(r"\[:(\w+):\]", lambda found: _POSIX_CLASSES.get(found[1], found[0]), text)
    translated = re.sub(r"(?<!\\)\$$", r"\\Z", translated).replace(r"\m", r"\b").replace(r"\M", r"\b")
    return _compile(translated, re.IGNORECASE if operator == "~*" else 0)


def _compile(text: str, flags: int) -> re.Pattern[str] | None:
    try:
        return re.compile(text, flags)
    except (re.error, OverflowError):
        return None


def _like_regex_parts(text: str, escape: str) -> Iterator[str]:
    characters = iter(text)
    for character in characters:
        if character == escape:
            yield re.escape(next(characters, ""))
        else:
            yield {"%": ".*", "_": "."}.get(character) or re.escape(character)


def _glob_regex_parts(text: str) -> Iterator[str]:
    for part in re.findall(r"\[\^?\]?[^]]*\]|.", text, re.DOTALL):
        if len(part) > 1:
            yield part.replace("\\", r"\\")
        else:
            yield {"*": ".*", "?": "."}.get(part) or re.escape(part)


def sample_text(pattern: re.Pattern[str], number: int) -> str | None:
    """Return a short text that matches, for each number another one if possible; None if none is found."""
    writer = _SampleWriter(number)
    text = writer.write(_parse(pattern))
    return text if pattern.search(text) else None


@lru_cache(maxsize=1024)
def _parse(pattern: re.Pattern[str]) -> Any:
    return parser.parse(pattern.pattern, pattern.flags)


class _SampleWriter:
    """Writes a text; the digits of a number decide each choice, so that different numbers give different texts."""

    def __init__(self, number: int) -> None:
        self._remaining = number

    def write(self, parts: Any) -> str:
        return "".join(self._write_part(code, argument) for code, argument in parts)

    def _write_part(self, code: Any, argument: Any) -> str:
        make = _WRITERS.get(code)
        return make(self, argument) if make else ""  # an assertion such as ^ writes nothing

    def any_except(self, excluded: int | None) -> str:
        return str(self.choose([sign for sign in _LIKELY_CHARACTERS if ord(sign) != excluded]))

    def repeat(self, argument: Any) -> str:
        low, high, inner = argument
        return "".join(self.write(inner) for _ in range(max(low, min(high, 1))))

    def one_of(self, members: Any) -> str:
        found = _class_characters(tuple(members))
        return str(self.choose(found)) if found else ""

    def choose(self, options: Any) -> Any:
        self._remaining, index = divmod(self._remaining, len(options))
        return options[index]


@lru_cache(maxsize=1024)
def _class_characters(members: tuple[tuple[Any, Any], ...]) -> Sequence[str]:
    """Return the likely characters that are in a class, or one member of it if none of them is."""
    is_negated = bool(members) and members[0][0] is op.NEGATE
    found = [
        sign for sign in _LIKELY_CHARACTERS if any(_is_member(member, sign) for member in members) is not is_negated
    ]
    if not found and not is_negated:
        code, argument = members[0]
        found = [chr(argument if code is op.LITERAL else argument[0])]
    return found


def _is_member(member: tuple[Any, Any], character: str) -> bool:
    code, argument = member
    if code is op.LITERAL:
        return bool(argument == ord(character))
    if code is op.RANGE:
        return bool(argument[0] <= ord(character) <= argument[1])
    return code is op.CATEGORY and re.match(_CATEGORY_PATTERNS.get(argument, "(?!)"), character) is not None


_WRITERS: dict[Any, Callable[[_SampleWriter, Any], str]] = {
    op.LITERAL: lambda _, argument: chr(argument),
    op.NOT_LITERAL: _SampleWriter.any_except,
    op.ANY: _SampleWriter.any_except,
    op.IN: _SampleWriter.one_of,
    op.SUBPATTERN: lambda maker, argument: maker.write(argument[-1]),
    op.BRANCH: lambda maker, argument: maker.write(maker.choose(argument[1])),
    **dict.fromkeys((op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT), _SampleWriter.repeat),
}
