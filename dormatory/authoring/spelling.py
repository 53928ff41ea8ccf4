"""Whether two names are the same name in other spellings; names that share a word often mean different things."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
# Words that add nothing to a name: created and created_at, active and is_active.
_NEUTRAL_WORDS = frozenset({"at", "has", "is", "on", "the", "was"})
_MIN_LETTERS = 5  # a typing error in a shorter word makes another word: net and set
_MIN_ABBREVIATION = 3  # letters
_MIN_PLURAL = 4  # letters: is, has and bus are none
_MIN_SIMILARITY = 0.85


def is_same_spelling(one: str, other: str, table: str = "") -> bool:
    """Return whether two names differ only in separators, capitals, a plural, neutral words or the table's name."""
    owner = _words(table)
    return _telling_text(one, owner) == _telling_text(other, owner)


def is_close_spelling(one: str, other: str) -> bool:
    """Return whether one name is a typing error or an abbreviation of the other; numbers in them are the same."""
    words, others = _words(one), _words(other)
    if [it for it in words if it.isdigit()] != [it for it in others if it.isdigit()]:
        return False
    short, long = sorted(("".join(words), "".join(others)), key=len)
    if not short or short[0] != long[0]:  # sync and async, moral and amoral
        return False
    if len(words) == len(others) and all(map(_is_abbreviation, words, others)):
        return True
    return len(short) >= _MIN_LETTERS and SequenceMatcher(None, short, long).ratio() >= _MIN_SIMILARITY


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(name)]


def _telling_text(name: str, owner: list[str]) -> str:
    words = [_singular(it) for it in _words(name)]
    owner = [_singular(it) for it in owner]
    if owner and words[: len(owner)] == owner and len(words) > len(owner):
        words = words[len(owner) :]
    return "".join([it for it in words if it not in _NEUTRAL_WORDS] or words) or name


def _singular(word: str) -> str:
    if len(word) < _MIN_PLURAL or not word.endswith("s") or word.endswith("ss"):
        return word
    return f"{word[:-3]}y" if word.endswith("ies") else word[:-1]


def _is_abbreviation(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return one == other or (len(short) >= _MIN_ABBREVIATION and long.startswith(short))
