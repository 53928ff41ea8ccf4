"""As many different values as are wanted, for every kind of column.

Numbers, text, bytes and booleans are Python's own; everything else is text, as its database writes it.  Nothing here
draws by chance or asks for the time: a value depends on the names of its table and column alone.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dormatory.rows.column_types import Kind

Value: TypeAlias = "int | float | Decimal | str | bytes | bool | None"

FIRST_KEY = 1001  # revisions insert rows under small numbers: a key of ours must not be in their way
WORDS = (
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "indigo", "jasper", "kelp", "larch",
    "maple", "Nadège", "ochre", "pebble", "quartz", "river", "sable", "thistle", "umber", "Väinö", "willow", "yarrow",
)  # fmt: skip
_START = datetime(2024, 7, 1, 9, 0, 0)  # noqa: DTZ001  # the zone is added as text, where there is one
_STEP = timedelta(days=1, hours=1, minutes=17)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def fresh(kind: Kind, label: str, number: int) -> Value:
    """Return another value for each number from 1 on, None when the kind has no more."""
    make = _FRESH.get(kind.family)
    if make is not None:
        return make(kind, label, number)
    if kind.family == "boolean":
        return (True, False)[number - 1] if number <= 2 else None  # noqa: PLR2004
    if kind.family == "enum":
        return kind.labels[number - 1] if number <= len(kind.labels) else None
    sample = _SAMPLES.get(kind.name.rpartition(".")[2])
    return sample(number, kind) if sample else None


def _fresh_text(kind: Kind, label: str, number: int) -> Value:
    word = WORDS[(crc32(label.encode()) + number * 5) % len(WORDS)]
    text = f"{word} {number}"
    if kind.length is None or len(text) <= kind.length:
        return text
    code = based(number)
    return code if len(code) <= kind.length else None


def _fresh_integer(kind: Kind, _label: str, number: int) -> Value:
    value = FIRST_KEY - 1 + number
    return value if value < 2 ** (kind.bytes * 8 - 1) else None


def _fresh_numeric(kind: Kind, _label: str, number: int) -> Value:
    value = Decimal(number * 25 + 100).scaleb(-min(2, kind.scale if kind.scale is not None else 2))
    return (
        value if kind.length is None or abs(value) < 10 ** (kind.length - (kind.scale or 0)) else _small(kind, number)
    )


def _small(kind: Kind, number: int) -> Value:
    value = Decimal(number).scaleb(-(kind.scale or 0))
    return value if len(str(number)) <= (kind.length or 0) else None


def _fresh_bits(kind: Kind, _label: str, number: int) -> Value:
    text = f"{number:b}".zfill(kind.length or 1)
    return text if len(text) <= (kind.length or len(text)) else None


def _fresh_array(kind: Kind, label: str, number: int) -> Value:
    found = (fresh(kind.parts[0], label, number + step) for step in range(1 + number % 4))
    items = [item for item in found if item is not None]
    return array(items) if items else None


def _fresh_range(kind: Kind, label: str, number: int) -> Value:
    """Return ranges that do not touch one another, in case they must not overlap."""
    low, high = (fresh(kind.parts[0], label, step) for step in (number * 3, number * 3 + 1))
    return None if low is None or high is None else f"[{quoted(literal(low))},{quoted(literal(high))})"


def _fresh_multirange(kind: Kind, label: str, number: int) -> Value:
    inner = _fresh_range(kind.parts[0], label, number)
    return f"{{{inner}}}" if isinstance(inner, str) else None


def _fresh_composite(kind: Kind, label: str, number: int) -> Value:
    fields = (fresh(part, label, number) for part in kind.parts)
    return f"({','.join('' if field is None else quoted(literal(field)) for field in fields)})"


_FRESH: dict[str, Callable[[Kind, str, int], Value]] = {
    "text": _fresh_text,
    "integer": _fresh_integer,
    "numeric": _fresh_numeric,
    "float": lambda _kind, _label, number: number + 0.5,
    "money": lambda _kind, _label, number: f"{number}.25",
    "binary": lambda _kind, label, number: f"{label} {number}".encode(),
    "json": lambda _kind, label, number: f'{{"{WORDS[crc32(label.encode()) % len(WORDS)]}": {number}}}',
    "timestamp": lambda _kind, _label, number: moment(number),
    "timestamptz": lambda _kind, _label, number: f"{moment(number)}+00",
    "date": lambda _kind, _label, number: f"{_START.date() + timedelta(days=number)}",
    "time": lambda _kind, _label, number: moment(number)[11:],
    "timetz": lambda _kind, _label, number: f"{moment(number)[11:]}+00",
    "interval": lambda _kind, _label, number: f"{number} days 01:00:00",
    "uuid": lambda _kind, label, number: str(key(label, number)),
    "hex": lambda _kind, label, number: key(label, number).hex,
    "bit": _fresh_bits,
    "varbit": _fresh_bits,
    "array": _fresh_array,
    "range": _fresh_range,
    "multirange": _fresh_multirange,
    "composite": _fresh_composite,
}
# Types of which a few values will do, by name.
_SAMPLES: dict[str, Callable[[int, Kind], Value]] = {
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


def moment(number: int) -> str:
    """Return moments in order, in the text form that SQLAlchemy gives them on SQLite."""
    return (_START + _STEP * number).strftime("%Y-%m-%d %H:%M:%S.%f")


def later(text: str, days: int) -> str | None:
    """Return a date, or a moment, some days later, None for a text that is neither or where time ends."""
    try:
        day = date.fromisoformat(text[:10]) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return f"{day}{text[10:]}"


def key(label: str, number: int) -> UUID:
    """Return a key as version 4 would look, a different one for each column and number."""
    bits = 0
    for part in range(4):
        bits = bits << 32 | crc32(f"{part}:{label}:{number}".encode())
    return UUID(int=bits, version=4)


def based(number: int) -> str:
    """Return a number in digits and small letters, as short as it gets."""
    text = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
    return text or "0"


def array(items: Sequence[Value]) -> str:
    """Return an array as PostgreSQL reads it."""
    return f"{{{','.join('NULL' if item is None else quoted(literal(item)) for item in items)}}}"


def quoted(text: str) -> str:
    """Return a text as an element of an array, a range or a composite."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal(value: Value) -> str:
    """Return a value, which is not NULL, in the text form that PostgreSQL reads."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return repr(value)
