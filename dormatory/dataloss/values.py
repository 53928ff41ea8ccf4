"""The values that cells hold, in a form that compares by what they mean rather than by how they were stored."""

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

from dormatory.sql.lexer import Syntax
from dormatory.sql.types import portable_type

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON value, equal to its like: the order of keys, white space and 1.0 for 1 make no difference."""

    parsed: Hashable


Value: TypeAlias = str | bytes | bool | int | float | Decimal | datetime | Json | None

_HEX_DIGITS = 32
_NATIVE = {str, int, float, bytes, type(None)}
_TEXTS = {str, type(None)}
_SHORTEST_MOMENT = 16  # characters, down to the minute; no other text has a looser form than itself
_CLOSE = 1e-9  # relative; what calculating with floats back and forth leaves


def reader(declared: str, syntax: Syntax) -> Callable[[Any], Value]:
    """Return what turns a cell of a declared type, as it was selected, into a value."""
    return _on_sqlite(declared) if syntax is Syntax.SQLITE else _on_postgresql(declared)


def is_native(column: Iterable[Any]) -> bool:
    """Tell whether all cells of a column are values as they came."""
    return set(map(type, column)) <= _NATIVE


def same(one: Value, other: Value) -> bool:
    """Tell whether two values of one column mean the same; floats may differ in their last digits."""
    if one is None or other is None:
        return one is other
    if isinstance(one, float) or isinstance(other, float):
        with suppress(TypeError, ValueError, OverflowError):
            return math.isclose(one, other, rel_tol=_CLOSE)  # type: ignore[arg-type]
    if isinstance(one, int | Decimal) and isinstance(other, int | Decimal):
        return one == other
    return type(one) is type(other) and one == other


def loose(value: Value) -> Hashable:
    """Return a form that is equal for a value and its like of another type: 7 and '7', UUIDs with dashes or none."""
    if isinstance(value, str):
        return value if len(value) < _SHORTEST_MOMENT else _loose_text(value)
    if isinstance(value, int | float | Decimal):
        return _plain_number(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ")
    if isinstance(value, Json):
        return loose(value.parsed) if isinstance(value.parsed, str | Decimal) else value.parsed
    return value


def loosened(column: Sequence[Value]) -> tuple[Hashable, ...]:
    """Return the loose forms of a whole column, which costs little where all is of one kind."""
    kinds = set(map(type, column))
    if kinds <= _TEXTS:
        return tuple(
            [it if it is None or len(it) < _SHORTEST_MOMENT else _loose_text(it) for it in column]  # type: ignore[arg-type]
        )
    if kinds == {int}:
        return tuple(map(str, column))
    return tuple(map(loose, column))


def text(value: Value) -> str:
    """Return a value as a text that may stand within another one."""
    return value if isinstance(value, str) else str(loose(value))


def number(value: Value) -> Decimal | None:
    """Return the number that a value is, or that its text spells, else None."""
    if isinstance(value, int | float | Decimal):
        found = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        return found if found.is_finite() else None
    if isinstance(value, str):
        with suppress(InvalidOperation):
            found = Decimal(value.strip())
            return found if found.is_finite() else None
    return None


def _loose_text(value: str) -> str:
    if len(value) - value.count("-") == _HEX_DIGITS:
        digits = value.replace("-", "").lower()
        if set(digits) <= set("0123456789abcdef"):
            return digits
    moment = _moment(value)
    return moment.replace(tzinfo=None).isoformat(" ") if isinstance(moment, datetime) else value


def _plain_number(value: float | Decimal) -> str:
    if isinstance(value, int):
        return str(int(value))  # of a boolean, too
    exact = Decimal(repr(value)) if isinstance(value, float) else value
    if not exact.is_finite():
        return str(exact)
    exact = exact.normalize()
    return f"{exact:f}" if exact else "0"


@lru_cache(maxsize=4096)
def _on_postgresql(declared: str) -> Callable[[Any], Value]:
    if declared.endswith("]"):
        return _json
    if "with time zone" in declared and declared.startswith("timestamp"):
        return _instant
    family = portable_type(declared)
    return _POSTGRESQL.get(family.partition("(")[0], str)


@lru_cache(maxsize=4096)
def _on_sqlite(declared: str) -> Callable[[Any], Value]:
    """SQLite hands out what is stored, whatever the column is declared as."""
    upper = declared.upper()
    if "JSON" in upper:
        return _json
    if "DATETIME" in upper or "TIMESTAMP" in upper:
        return _moment
    return plain


def plain(raw: Any) -> Value:
    """Return a cell as it came, unless no value has its type."""
    if isinstance(raw, memoryview | bytearray):
        return bytes(raw)
    return raw if isinstance(raw, str | bytes | int | float) else str(raw)


def _float(raw: Any) -> Value:
    found = float(raw)
    return found if not math.isnan(found) else "NaN"  # which is not equal to itself


def _numeric(raw: Any) -> Value:
    found = Decimal(raw)
    return found if found.is_finite() else str(found)


def _boolean(raw: Any) -> Value:
    return str(raw) in {"true", "t", "True", "1"}


def _moment(raw: Any) -> Value:
    """Return a moment, in UTC where it has an offset; one beyond Python's years stays text."""
    if isinstance(raw, str):
        return _moment_of(raw) if _MOMENT.match(raw) else raw
    return raw if isinstance(raw, datetime) else plain(raw)


@lru_cache(maxsize=8192)  # rows are read again and again
def _moment_of(text: str) -> Value:
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found
    except (ValueError, OverflowError):
        return text


def _instant(raw: Any) -> Value:
    found = _moment(raw)
    return found.replace(tzinfo=UTC) if isinstance(found, datetime) else found


def _json(raw: Any) -> Value:
    if isinstance(raw, str):
        return _json_of(raw)
    return Json(_frozen(raw)) if isinstance(raw, dict | list) else plain(raw)


@lru_cache(maxsize=8192)
def _json_of(text: str) -> Value:
    try:
        return Json(_frozen(_DECODER.decode(text)))
    except (ValueError, RecursionError):
        return text


def _frozen(parsed: Any) -> Hashable:
    if isinstance(parsed, dict):
        return ("object", *sorted((key, _frozen(value)) for key, value in parsed.items()))
    if isinstance(parsed, list):
        return ("array", *map(_frozen, parsed))
    return ("boolean", parsed) if isinstance(parsed, bool) else parsed  # True is 1 to Python


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_int=Decimal)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d")
_POSTGRESQL: dict[str, Callable[[Any], Value]] = {
    "integer": int,
    "float": _float,
    "numeric": _numeric,
    "boolean": _boolean,
    "binary": bytes.fromhex,
    "json": _json,
    "timestamp": _moment,
}
