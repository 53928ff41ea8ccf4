"""The values of cells, in a form that compares by meaning and not by storage."""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from dormatory.backends.row_io import CellForm

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence


@dataclass(frozen=True, slots=True)
class JsonValue:
    """A JSON value; the order of keys, white space and 1.0 instead of 1 make no difference."""

    parsed: Hashable


CellValue: TypeAlias = str | bytes | bool | int | float | Decimal | datetime | JsonValue | None

_UUID_HEX_DIGITS = 32
_NATIVE_TYPES = {str, int, float, bytes, type(None)}
_TEXT_TYPES = {str, type(None)}
_SHORTEST_TIMESTAMP_LENGTH = 16  # characters, down to the minute; shorter texts are their own canonical form
_MAX_SHOWN_LENGTH = 30  # characters
_RELATIVE_TOLERANCE = 1e-9  # the error of calculating with floats there and back


def cell_reader(form: CellForm) -> Callable[[Any], CellValue]:
    """Return the function that turns a selected cell of this form into a value; `str` where it is one already."""
    return _READERS[form]


def is_native(column: Iterable[Any]) -> bool:
    """Return whether all cells of a column are values already."""
    return set(map(type, column)) <= _NATIVE_TYPES


def is_same_value(one: CellValue, other: CellValue) -> bool:
    """Return whether two values of one column mean the same; floats may differ in their last digits."""
    if one is None or other is None:
        return one is other
    if isinstance(one, float) or isinstance(other, float):
        with suppress(TypeError, ValueError, OverflowError):
            return math.isclose(one, other, rel_tol=_RELATIVE_TOLERANCE)  # type: ignore[arg-type]
    if isinstance(one, int | Decimal) and isinstance(other, int | Decimal):
        return one == other
    return type(one) is type(other) and one == other


def is_same_json(one: CellValue, other: CellValue) -> bool:
    """Return whether two texts or values are the same JSON object or array, in whatever form."""
    parsed = [_parse_json(it) if isinstance(it, str) and it[:1] in {"{", "["} else it for it in (one, other)]
    return isinstance(parsed[0], JsonValue) and parsed[0] == parsed[1]


def canonical_form(value: CellValue) -> Hashable:
    """Return a form that is equal for equal values of different types: 7 and '7', UUIDs with and without dashes."""
    if isinstance(value, str):
        return value if len(value) < _SHORTEST_TIMESTAMP_LENGTH else _canonical_text(value)
    if isinstance(value, int | float | Decimal):
        return _canonical_number(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ")
    if isinstance(value, JsonValue):
        return canonical_form(value.parsed) if isinstance(value.parsed, str | Decimal) else value.parsed
    return value


def canonical_forms(column: Sequence[CellValue]) -> tuple[Hashable, ...]:
    """Return the canonical forms of a whole column, faster if all values have one type."""
    types = set(map(type, column))
    if types <= _TEXT_TYPES:
        return tuple(
            [it if it is None or len(it) < _SHORTEST_TIMESTAMP_LENGTH else _canonical_text(it) for it in column]  # type: ignore[arg-type]
        )
    if types == {int}:
        return tuple(map(str, column))
    return tuple(map(canonical_form, column))


def as_text(value: CellValue) -> str:
    """Return a value as a text, to search for it in another text."""
    return value if isinstance(value, str) else str(canonical_form(value))


def display_form(value: CellValue) -> str:
    """Return a value as messages show it, shortened."""
    if value is None:
        return "NULL"
    text = json.dumps(_plain_json(value.parsed), ensure_ascii=False) if isinstance(value, JsonValue) else as_text(value)
    short = text if len(text) <= _MAX_SHOWN_LENGTH else f"{text[: _MAX_SHOWN_LENGTH - 1]}…"
    return repr(short) if isinstance(value, str) else short


def example_of(before: CellValue, after: CellValue) -> str:
    """Return a value before and after, for messages; of texts that are too long their lengths."""
    texts = [it for it in (before, after) if isinstance(it, str)]
    if len(texts) == len((before, after)) and min(map(len, texts)) >= _MAX_SHOWN_LENGTH:
        return f"such as a text of {len(texts[0])} characters → {len(texts[1])} characters"
    return f"such as {display_form(before)} → {display_form(after)}"


def as_number(value: CellValue) -> Decimal | None:
    """Return the number that a value is, or that its text contains, else None."""
    if isinstance(value, int | float | Decimal):
        found = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        return found if found.is_finite() else None
    if isinstance(value, str):
        with suppress(InvalidOperation):
            found = Decimal(value.strip())
            return found if found.is_finite() else None
    return None


def _canonical_text(value: str) -> str:
    if len(value) - value.count("-") == _UUID_HEX_DIGITS:
        digits = value.replace("-", "").lower()
        if set(digits) <= set("0123456789abcdef"):
            return digits
    parsed = _parse_datetime(value)
    return parsed.replace(tzinfo=None).isoformat(" ") if isinstance(parsed, datetime) else value


def _canonical_number(value: float | Decimal) -> str:
    if isinstance(value, int):
        return str(int(value))  # of a boolean, too
    exact = Decimal(repr(value)) if isinstance(value, float) else value
    if not exact.is_finite():
        return str(exact)
    exact = exact.normalize()
    return f"{exact:f}" if exact else "0"


def native_value(raw: Any) -> CellValue:
    """Return a cell unchanged, or converted if its type is no type of values."""
    if isinstance(raw, memoryview | bytearray):
        return bytes(raw)
    return raw if isinstance(raw, str | bytes | int | float) else str(raw)


def _parse_float(raw: Any) -> CellValue:
    found = float(raw)
    return found if not math.isnan(found) else "NaN"  # which is not equal to itself


def _parse_numeric(raw: Any) -> CellValue:
    found = Decimal(raw)
    return found if found.is_finite() else str(found)


def _parse_boolean(raw: Any) -> CellValue:
    return str(raw) in {"true", "t", "True", "1"}


def _parse_datetime(raw: Any) -> CellValue:
    """Return a time, in UTC if it has an offset; a year that Python cannot represent stays text."""
    if isinstance(raw, str):
        return _parse_datetime_text(raw) if _TIMESTAMP_START.match(raw) else raw
    return raw if isinstance(raw, datetime) else native_value(raw)


@lru_cache(maxsize=8192)  # the same rows are read many times
def _parse_datetime_text(text: str) -> CellValue:
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found
    except (ValueError, OverflowError):
        return text


def _parse_utc_datetime(raw: Any) -> CellValue:
    found = _parse_datetime(raw)
    return found.replace(tzinfo=UTC) if isinstance(found, datetime) else found


def _parse_json(raw: Any) -> CellValue:
    if isinstance(raw, str):
        return _parse_json_text(raw)
    return JsonValue(_hashable_json(raw)) if isinstance(raw, dict | list) else native_value(raw)


@lru_cache(maxsize=8192)
def _parse_json_text(text: str) -> CellValue:
    try:
        return JsonValue(_hashable_json(_JSON_DECODER.decode(text)))
    except (ValueError, RecursionError):
        return text


def _hashable_json(parsed: Any) -> Hashable:
    if isinstance(parsed, dict):
        return ("object", *sorted((key, _hashable_json(value)) for key, value in parsed.items()))
    if isinstance(parsed, list):
        return ("array", *map(_hashable_json, parsed))
    return ("boolean", parsed) if isinstance(parsed, bool) else parsed  # True is 1 to Python


def _plain_json(parsed: Any) -> Any:
    """Return what `_hashable_json` was made of."""
    match parsed:
        case ("object", *entries):
            return {key: _plain_json(value) for key, value in entries}
        case ("array", *items):
            return [_plain_json(item) for item in items]
        case ("boolean", truth):
            return truth
        case Decimal():
            return int(parsed) if parsed == parsed.to_integral_value() else float(parsed)
    return parsed


_JSON_DECODER = json.JSONDecoder(parse_float=Decimal, parse_int=Decimal)
_TIMESTAMP_START = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d")
_READERS: dict[CellForm, Callable[[Any], CellValue]] = {
    CellForm.STORED: native_value,
    CellForm.TEXT: str,
    CellForm.INTEGER: int,
    CellForm.FLOAT: _parse_float,
    CellForm.NUMERIC: _parse_numeric,
    CellForm.BOOLEAN: _parse_boolean,
    CellForm.BINARY: bytes.fromhex,
    CellForm.JSON: _parse_json,
    CellForm.TIMESTAMP: _parse_datetime,
    CellForm.UTC_TIMESTAMP: _parse_utc_datetime,
}
