"""What happens to values whose column gets another type: nothing, or they are refused, rounded, cut or parsed."""

from __future__ import annotations

import re
from enum import Enum

from dormatory.sql.types import NUMBER_FAMILIES, portable_type

_TEXTS = frozenset({"text", "varchar", "char"})
_DIGITS = {"smallint": 5, "integer": 10, "int": 10, "bigint": 19}
_USUAL_DIGITS = 10
_LONGEST_SCALAR = 36  # characters of a number, a UUID or a moment
_SAFE_PAIRS = frozenset({("date", "timestamp"), ("boolean", "integer")})
_CUT_PAIRS = frozenset({("timestamp", "date"), ("timestamp", "time"), *((it, "boolean") for it in NUMBER_FAMILIES)})
_MODIFIERS = re.compile(r"\(([^)]*)\)")


class TypeChange(Enum):
    """What a change of type does to values."""

    SAFE = "every value stays what it is"
    NARROWER = "a value that does not fit is refused, or kept where types have no limits"
    ROUNDED = "values are rounded"
    CUT = "a part of each value is lost"
    PARSED = "each value is read anew, and those that are none of the new type have no counterpart"

    @property
    def is_silent(self) -> bool:
        """Whether values may become others, or have none."""
        return self not in {TypeChange.SAFE, TypeChange.NARROWER}


def type_change(old: str, new: str) -> TypeChange:
    """Return what a column's change from one declared type to another does to its values."""
    if old.endswith("[]") and new.endswith("[]"):
        return type_change(old.removesuffix("[]"), new.removesuffix("[]"))
    one, other = _family(old), _family(new)
    if other in _TEXTS:
        return _to_text(one, _numbers(old), _numbers(new))
    if {one, other} <= NUMBER_FAMILIES:
        return _to_number(old, new)
    if one == other:
        return TypeChange.SAFE if _has_zone(old) == _has_zone(new) else TypeChange.PARSED
    if (one, other) in _SAFE_PAIRS:
        return TypeChange.SAFE
    return TypeChange.CUT if (one, other) in _CUT_PAIRS else TypeChange.PARSED


def _to_text(one: str, length: list[int], new_length: list[int]) -> TypeChange:
    if one in {"binary", "boolean", "json"} or one.endswith("[]"):
        return TypeChange.PARSED
    if not new_length or (one in _TEXTS and length and length[0] <= new_length[0]):
        return TypeChange.SAFE
    return TypeChange.SAFE if one not in _TEXTS and new_length[0] >= _LONGEST_SCALAR else TypeChange.NARROWER


def _to_number(old: str, new: str) -> TypeChange:
    change = TypeChange.ROUNDED
    match _family(old), _family(new):
        case "integer", "integer":
            change = TypeChange.SAFE if _digits(old) <= _digits(new) else TypeChange.NARROWER
        case "integer", "numeric":
            change = _to_numeric([_digits(old)], _numbers(new))
        case "integer", "float" if _digits(old) <= _USUAL_DIGITS and not _is_single(new):
            change = TypeChange.SAFE
        case "numeric", "numeric":
            change = _to_numeric(_numbers(old), _numbers(new))
        case "float", "float" if _is_single(old) or not _is_single(new):
            change = TypeChange.SAFE
        case "float", "numeric" if not _numbers(new):
            change = TypeChange.SAFE
    return change


def _to_numeric(old: list[int], new: list[int]) -> TypeChange:
    if not new:
        return TypeChange.SAFE
    (digits, scale), (new_digits, new_scale) = [*old, 0, 0][:2], [*new, 0][:2]
    if not old or scale > new_scale:
        return TypeChange.ROUNDED
    return TypeChange.SAFE if digits - scale <= new_digits - new_scale else TypeChange.NARROWER


def _family(declared: str) -> str:
    return portable_type(declared).partition("(")[0] + "[]" * declared.endswith("[]")


def _digits(declared: str) -> int:
    return _DIGITS.get(declared.lower(), _USUAL_DIGITS)


def _has_zone(declared: str) -> bool:
    return declared.lower().endswith(("tz", "with time zone"))


def _is_single(declared: str) -> bool:
    return declared.lower() in {"real", "float4"}


def _numbers(declared: str) -> list[int]:
    """Return the length of a type, or its precision and scale."""
    found = _MODIFIERS.search(declared)
    return [int(it) for it in found[1].split(",") if it.strip().isdigit()] if found else []
