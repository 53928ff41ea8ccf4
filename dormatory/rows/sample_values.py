"""The values that a column gets first: plausible ones, as an application writes them, and the extremes of its type."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID
from zlib import crc32

from dormatory.rows import unique_values
from dormatory.sql.literals import text_form

if TYPE_CHECKING:
    from collections.abc import Callable

    from dormatory.rows.column_types import ColumnType
    from dormatory.rows.unique_values import GeneratedValue


# At most seven for each family: so many rows show them one by one, next to those with NULLs, defaults and repetitions.
# Only values that an application could have stored and a driver can read back: years from 1900 to 9999.
_SPECIAL_TEXTS = (
    "",
    "Ünïcødé ñandú 漢字 🛏️ İstanbul ß ǆ e\u0301",
    'it\'s "q" `t` 100% :x %s \\ {0};<b>&',
    "  two\nlines\tand a tab  ",
    "0012",
)
# Local times that do not exist, or exist twice, in some zones: without a zone, not every conversion keeps them.
DST_GAPS = ("2024-03-31 02:30:00.000000", "2024-03-10 02:30:00.000000")
DST_OVERLAPS = ("2024-10-27 02:30:00.000000", "2024-11-03 01:30:00.000000")
_SPECIAL_TIMESTAMPS: tuple[GeneratedValue, ...] = ("2024-02-29 23:59:59.999999", *DST_GAPS, *DST_OVERLAPS)
_SPECIAL_TIMESTAMPS += ("9999-12-31 00:00:00.000000", "1969-12-31 23:59:59.000001")
_SPECIAL_TIMESTAMPTZ: tuple[GeneratedValue, ...] = (
    "2024-02-29 23:59:59.999999-11",
    "2024-03-31 01:30:00.000000+00",
    "2024-10-27 00:30:00.000000+00",
    "2024-10-27 01:30:00.000000+00",
    "2024-01-01 00:00:00.000000+14",
    "9999-12-30 00:00:00.000000+00",
    "1969-12-31 23:59:59.000001+00",
)
_LONG_TEXT_LENGTH = 2000  # characters, if there is no limit


def plausible_values(column_type: ColumnType, label: str) -> tuple[GeneratedValue, ...]:
    """Return values as an application would write them; `label` names the column."""
    if column_type.family == "boolean":
        return (True, False)
    if column_type.family == "enum":
        return column_type.labels
    if column_type.family == "integer":
        looks_like_key = label.lower().endswith(("id", "_fk", "_key", "_ref"))
        return (unique_values.FIRST_KEY, unique_values.FIRST_KEY + 1, 31999) if looks_like_key else (3, 1, 2, 17, 250)
    if column_type.family == "text":
        return _plausible_texts(column_type, label)
    found = (unique_values.unique_value(column_type, label, number) for number in range(1, 6))
    return tuple(dict.fromkeys(value for value in found if value is not None))


def _plausible_texts(column_type: ColumnType, label: str) -> tuple[GeneratedValue, ...]:
    start = crc32(label.encode())
    words = (unique_values.WORDS[(start + step * 5) % len(unique_values.WORDS)] for step in range(6))
    return tuple(dict.fromkeys(word[: column_type.length] for word in words))


def extreme_values(column_type: ColumnType, label: str) -> tuple[GeneratedValue, ...]:
    """Return the extreme values that a column can hold."""
    make = _EXTREMES.get(column_type.family)
    return make(column_type, label) if make else ()


def _extreme_texts(column_type: ColumnType, _label: str) -> tuple[GeneratedValue, ...]:
    size = column_type.length or _LONG_TEXT_LENGTH
    texts = (_repeated_text(unique_values.WORDS[0], size), *_SPECIAL_TEXTS, _repeated_text("ü", size))
    return tuple(dict.fromkeys(text[:size] for text in texts))


@lru_cache(maxsize=256)
def _repeated_text(text: str, size: int) -> str:
    """Return a text repeated up to a length in characters; the same one for all columns of that length."""
    return (text * (size // len(text) + 1))[:size]


def _extreme_integers(column_type: ColumnType, _label: str) -> tuple[GeneratedValue, ...]:
    if column_type.name == "oid":
        return (0, 2**32 - 1)
    largest = 2 ** (column_type.byte_size * 8 - 1) - 1
    return (largest, 0, -largest - 1, -1)


def _extreme_numerics(column_type: ColumnType, _label: str) -> tuple[GeneratedValue, ...]:
    if column_type.length is None:
        return (Decimal("99999999999.123456"), Decimal(0), Decimal("-0.000001"), Decimal("1E+15"))
    largest = Decimal(10**column_type.length - 1).scaleb(-(column_type.scale or 0))
    return (largest, Decimal(0), -largest, Decimal(1).scaleb(-(column_type.scale or 0)))


def _extreme_floats(column_type: ColumnType, _label: str) -> tuple[GeneratedValue, ...]:
    largest = 3.4e38 if column_type.name == "real" else 1.7976931348623157e308
    return (largest, -0.0, -largest, 0.1, 1e-30)


def _extreme_arrays(column_type: ColumnType, label: str) -> tuple[GeneratedValue, ...]:
    inner = column_type.parts[0]
    some = [*extreme_values(inner, label), *plausible_values(inner, label)]
    return (
        "{}",
        "{NULL}",
        unique_values.array_literal((*some[:1], None, *some[1:2])),
        unique_values.array_literal(some[:8]),
    )


def _extreme_ranges(column_type: ColumnType, label: str) -> tuple[GeneratedValue, ...]:
    first = (
        text_form(plausible_values(column_type.parts[0], label)[0])
        if plausible_values(column_type.parts[0], label)
        else ""
    )
    return (
        "empty",
        "(,)",
        f"[{unique_values.quote_element(first)},)",
        f"(,{unique_values.quote_element(first)})",
        f"[{unique_values.quote_element(first)},{unique_values.quote_element(first)}]",
    )


def _extreme_bits(column_type: ColumnType, _label: str) -> tuple[GeneratedValue, ...]:
    size = column_type.length or 8
    return ("1" * size, "0" * size)


_EXTREMES: dict[str, Callable[[ColumnType, str], tuple[GeneratedValue, ...]]] = {
    "text": _extreme_texts,
    "integer": _extreme_integers,
    "numeric": _extreme_numerics,
    "float": _extreme_floats,
    "array": _extreme_arrays,
    "range": _extreme_ranges,
    "bit": _extreme_bits,
    "varbit": _extreme_bits,
    "multirange": lambda _kind, _label: ("{}",),
    "binary": lambda _kind, _label: (b"", b"\x00\xff\x80'\\%", b"plain text", bytes(range(256))),
    "money": lambda _kind, _label: ("92233720368547758.07", "0", "-0.01"),
    "timestamp": lambda _kind, _label: _SPECIAL_TIMESTAMPS,
    "timestamptz": lambda _kind, _label: _SPECIAL_TIMESTAMPTZ,
    "date": lambda _kind, _label: ("2024-02-29", "1970-01-01", "1900-01-01", "9999-12-31", "1999-12-31"),
    "time": lambda _kind, _label: ("00:00:00.000000", "23:59:59.999999", "02:30:00.000000"),
    "timetz": lambda _kind, _label: ("00:00:00+14", "23:59:59.999999-12", "02:30:00+02"),
    "interval": lambda _kind, _label: ("0", "-1 mons +2 days", "1 year 2 mons 3 days 04:05:06.789", "10000 days"),
    "uuid": lambda _kind, _label: (str(UUID(int=0)), str(UUID(int=2**128 - 1))),
    "hex": lambda _kind, _label: (UUID(int=0).hex, UUID(int=2**128 - 1).hex),
    "json": lambda _kind, _label: (
        '{"ключ": {"nested": [1, 2.5, -0.0, true, null, "🛏"]}}',
        "null",
        "{}",
        "[]",
        '"text with \\"quotes\\", 100% and \\\\"',
        "1234567890123456789",
        "[[[]]]",
    ),
}
