"""Different values for a column, as many as needed, for every family of types.

Numbers, text, bytes and booleans are Python's own; everything else is text, as its database writes it. Nothing is
random and nothing depends on the time: a value follows from a number and the names of its table and column.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID
from zlib import crc32

from dormatory.sql.literals import text_form

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dormatory.rows.column_types import ColumnType

GeneratedValue: TypeAlias = "int | float | Decimal | str | bytes | bool | None"

FIRST_KEY = 1001  # revisions insert rows with small keys, which ours must not take
WORDS = (
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "indigo", "jasper", "kelp", "larch",
    "maple", "Nadège", "ochre", "pebble", "quartz", "river", "sable", "thistle", "umber", "Väinö", "willow", "yarrow",
)  # fmt: skip
_FIRST_MOMENT = datetime(2024, 7, 1, 9, 0, 0)  # noqa: DTZ001  # a zone is added as text
_STEP = timedelta(days=1, hours=1, minutes=17)
_BASE36_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def unique_value(column_type: ColumnType, label: str, number: int) -> GeneratedValue:
    """Return a different value for each number from 1 on, None if the type has no more."""
    make = _UNIQUE_BY_FAMILY.get(column_type.family)
    if make is not None:
        return make(column_type, label, number)
    if column_type.family == "boolean":
        return (True, False)[number - 1] if number <= 2 else None  # noqa: PLR2004
    if column_type.family == "enum":
        return column_type.labels[number - 1] if number <= len(column_type.labels) else None
    sample = _SAMPLE_BY_TYPE_NAME.get(column_type.name.rpartition(".")[2])
    return sample(number, column_type) if sample else None


def _unique_text(column_type: ColumnType, label: str, number: int) -> GeneratedValue:
    word = WORDS[(crc32(label.encode()) + number * 5) % len(WORDS)]
    text = f"{word} {number}"
    if column_type.length is None or len(text) <= column_type.length:
        return text
    code = base36(number)
    return code if len(code) <= column_type.length else None


def _unique_integer(column_type: ColumnType, _label: str, number: int) -> GeneratedValue:
    value = FIRST_KEY - 1 + number
    return value if value < 2 ** (column_type.byte_size * 8 - 1) else None


def _unique_numeric(column_type: ColumnType, _label: str, number: int) -> GeneratedValue:
    value = Decimal(number * 25 + 100).scaleb(-min(2, column_type.scale if column_type.scale is not None else 2))
    return (
        value
        if column_type.length is None or abs(value) < 10 ** (column_type.length - (column_type.scale or 0))
        else _small_numeric(column_type, number)
    )


def _small_numeric(column_type: ColumnType, number: int) -> GeneratedValue:
    value = Decimal(number).scaleb(-(column_type.scale or 0))
    return value if len(str(number)) <= (column_type.length or 0) else None


def _unique_bits(column_type: ColumnType, _label: str, number: int) -> GeneratedValue:
    text = f"{number:b}".zfill(column_type.length or 1)
    return text if len(text) <= (column_type.length or len(text)) else None


def _unique_array(column_type: ColumnType, label: str, number: int) -> GeneratedValue:
    found = (unique_value(column_type.parts[0], label, number + step) for step in range(1 + number % 4))
    items = [item for item in found if item is not None]
    return array_literal(items) if items else None


def _unique_range(column_type: ColumnType, label: str, number: int) -> GeneratedValue:
    """Return ranges that do not touch each other, in case they must not overlap."""
    low, high = (unique_value(column_type.parts[0], label, step) for step in (number * 3, number * 3 + 1))
    return (
        None if low is None or high is None else f"[{quote_element(text_form(low))},{quote_element(text_form(high))})"
    )


def _unique_multirange(column_type: ColumnType, label: str, number: int) -> GeneratedValue:
    inner = _unique_range(column_type.parts[0], label, number)
    return f"{{{inner}}}" if isinstance(inner, str) else None


def _unique_composite(column_type: ColumnType, label: str, number: int) -> GeneratedValue:
    fields = (unique_value(part, label, number) for part in column_type.parts)
    return f"({','.join('' if field is None else quote_element(text_form(field)) for field in fields)})"


_UNIQUE_BY_FAMILY: dict[str, Callable[[ColumnType, str, int], GeneratedValue]] = {
    "text": _unique_text,
    "integer": _unique_integer,
    "numeric": _unique_numeric,
    "float": lambda _kind, _label, number: number + 0.5,
    "money": lambda _kind, _label, number: f"{number}.25",
    "binary": lambda _kind, label, number: f"{label} {number}".encode(),
    "json": lambda _kind, label, number: f'{{"{WORDS[crc32(label.encode()) % len(WORDS)]}": {number}}}',
    "timestamp": lambda _kind, _label, number: timestamp_text(number),
    "timestamptz": lambda _kind, _label, number: f"{timestamp_text(number)}+00",
    "date": lambda _kind, _label, number: f"{_FIRST_MOMENT.date() + timedelta(days=number)}",
    "time": lambda _kind, _label, number: timestamp_text(number)[11:],
    "timetz": lambda _kind, _label, number: f"{timestamp_text(number)[11:]}+00",
    "interval": lambda _kind, _label, number: f"{number} days 01:00:00",
    "uuid": lambda _kind, label, number: str(unique_uuid(label, number)),
    "hex": lambda _kind, label, number: unique_uuid(label, number).hex,
    "bit": _unique_bits,
    "varbit": _unique_bits,
    "array": _unique_array,
    "range": _unique_range,
    "multirange": _unique_multirange,
    "composite": _unique_composite,
}
# Types for which a few values are enough, by name.
_SAMPLE_BY_TYPE_NAME: dict[str, Callable[[int, ColumnType], GeneratedValue]] = {
    "inet": lambda number, _: f"192.168.{number // 250}.{number % 250 + 1}" if number % 3 else f"2001:db8::{number:x}",
    "cidr": lambda number, _: f"10.{number % 250}.0.0/16",
    "macaddr": lambda number, _: f"08:00:2b:01:{number // 256 % 256:02x}:{number % 256:02x}",
    "macaddr8": lambda number, _: f"08:00:2b:01:02:03:{number // 256 % 256:02x}:{number % 256:02x}",
    "xml": lambda number, _: f"<room number='{number}'>ä</room>",
    "tsvector": lambda number, _: f"'{WORDS[number % len(WORDS)]}':1 'number{number}':2",
    "tsquery": lambda number, _: f"'{WORDS[number % len(WORDS)]}' & 'number{number}'",
    "point": lambda number, _: f"({number},{-number}.5)",
    "line": lambda number, _: f"{{1,{number},3}}",
    "lseg": lambda number, _: f"[(0,0),({number},1)]",
    "box": lambda number, _: f"({number}.5,1),({number},0)",
    "path": lambda number, _: f"((0,0),({number},1),(2,2))",
    "polygon": lambda number, _: f"((0,0),({number},1),(2,2))",
    "circle": lambda number, _: f"<({number * 3},0),1>",
    "pg_lsn": lambda number, _: f"0/{number:X}",
    "jsonpath": lambda number, _: f"$.a[{number}]",
    "hstore": lambda number, _: f'"number"=>"{number}", "none"=>NULL',
    "ltree": lambda number, _: f"top.branch{number}",
    "vector": lambda number, kind: f"[{','.join([str(number)] * (kind.length or 3))}]",
    "regclass": lambda number, _: "pg_class" if number == 1 else None,
}


def timestamp_text(number: int) -> str:
    """Return times in order, in the text form that SQLAlchemy gives them on SQLite."""
    return (_FIRST_MOMENT + _STEP * number).strftime("%Y-%m-%d %H:%M:%S.%f")


def days_later(text: str, days: int) -> str | None:
    """Return a date or time some days later, None for a text that is neither and beyond the year 9999."""
    try:
        day = date.fromisoformat(text[:10]) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return f"{day}{text[10:]}"


def unique_uuid(label: str, number: int) -> UUID:
    """Return a UUID that looks like version 4, a different one for each column and number."""
    bits = 0
    for part in range(4):
        bits = bits << 32 | crc32(f"{part}:{label}:{number}".encode())
    return UUID(int=bits, version=4)


def base36(number: int) -> str:
    """Return a number in base 36, without leading zeros."""
    text = ""
    while number:
        number, digit = divmod(number, len(_BASE36_DIGITS))
        text = _BASE36_DIGITS[digit] + text
    return text or "0"


def array_literal(items: Sequence[GeneratedValue]) -> str:
    """Return an array as PostgreSQL reads it."""
    return f"{{{','.join('NULL' if item is None else quote_element(text_form(item)) for item in items)}}}"


def quote_element(text: str) -> str:
    """Return a text as an element of an array, a range or a composite."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
