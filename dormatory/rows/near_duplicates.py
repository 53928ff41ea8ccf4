"""Values that differ from another one only in what a coarser uniqueness ignores: case, blanks, accents, time of day.

A revision that makes `lower(email)`, `trim(code)` or the date of a time unique fails on them, as it fails on rows of
an application: people write one address in two ways. Only the normal form of Unicode is no plausible difference: an
application gets its texts from browsers, which all send the composed form.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dormatory.rows.column_types import ColumnType
    from dormatory.rows.unique_values import GeneratedValue

_ACUTE = "\u0301"  # combines with the letter before it
_UNACCENTED_LETTER = re.compile(r"[aeiouAEIOU]")
_SMALL_LETTERS = re.compile(r"[a-z]+")
_NUMBER = re.compile(r"\d+(\.\d+)?")
_NORMAL_FORMS = ("Zo\u00e9", "Zoe\u0301")
_LATER_TIMES = ("18:45:30.000000", "06:05:00.000000")


def near_duplicates(column_type: ColumnType, value: GeneratedValue) -> Iterator[GeneratedValue]:
    """Yield values of this type that an application may hold next to a value, the most likely one first."""
    make = _NEAR_DUPLICATES.get(column_type.family)
    if make is not None and isinstance(value, str):
        yield from (it for it in make(column_type, value) if it != value and _fits(column_type, it))


def normal_forms(column_type: ColumnType) -> tuple[GeneratedValue, ...]:
    """Return two texts that are one text to a reader: an accent within its letter, and as a letter of its own."""
    return tuple(it for it in _NORMAL_FORMS if _fits(column_type, it)) if column_type.family == "text" else ()


def _fits(column_type: ColumnType, value: str) -> bool:
    return column_type.family != "text" or not column_type.length or len(value) <= column_type.length


def _similar_texts(column_type: ColumnType, value: str) -> Iterator[str]:
    if _NUMBER.fullmatch(value):
        yield f"{value}0" if "." in value else f"{value}.0"
        yield f"0{value}"
    if not column_type.caseless:
        # Not every database knows the case of other letters.
        capitals = _SMALL_LETTERS.sub(lambda found: found[0].upper(), value)
        yield capitals if capitals != value else value.lower()
    if not column_type.padded:
        yield f"{value} "
    yield f" {value}"
    yield _with_accent(value)


def _with_accent(value: str) -> str:
    """Return a text with an accent on its first vowel, composed with its letter."""
    return unicodedata.normalize("NFC", _UNACCENTED_LETTER.sub(lambda found: found[0] + _ACUTE, value, count=1))


def _other_times(_: ColumnType, value: str) -> Iterator[str]:
    """Yield times of the same day, in the form of the given one."""
    day, zone = value[:11], value[26:]
    yield from (f"{day}{time}{zone}" for time in _LATER_TIMES)


_NEAR_DUPLICATES: dict[str, Callable[[ColumnType, str], Iterator[str]]] = {
    "text": _similar_texts,
    "timestamp": _other_times,
    "timestamptz": _other_times,
}
