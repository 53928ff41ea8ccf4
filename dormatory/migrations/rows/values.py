"""Values for every kind of column: plausible ones, extreme ones, and as many different ones as are wanted.

Numbers, text, bytes and booleans are Python's own; everything else is text, as its database writes it.  Nothing here
draws by chance or asks for the time: a value depends on the names of its table and column alone.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Callable

    from dormatory.migrations.rows.kinds import Kind

Value: TypeAlias = "int | float | Decimal | str | bytes | bool | None"

FIRST_KEY = 1001  # revisions insert rows under small numbers: a key of ours must not be in their way
_WORDS = (
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "indigo", "jasper", "kelp", "larch",
    "maple", "Nadège", "ochre", "pebble", "quartz", "river", "sable", "thistle", "umber", "Väinö", "willow", "yarrow",
)  # fmt: skip
_TEXTS = (
    "",
    "Ünïcødé ñandú 漢字 🛏️",
    "it's \"quoted\", `ticked`",
    "100% of :name and %s \\ {0}",
    "  spaced  ",
    " ",
    "0012",
    '{"looks": ["like", null, "JSON"]}',
    "2024-02-29",
    "NULL",
    "-0.0",
    "two\nlines\tand a tab",
    "İstanbul ß ǆ e\u0301",
    "a;b,c|d/e",
    "<b>&amp;</b>",
    "true",
)
# Local times that some zones skip or meet twice; only as moments with a zone they survive every conversion.
DST_GAPS = ("2024-03-31 02:30:00.000000", "2024-03-10 02:30:00.000000")
DST_OVERLAPS = ("2024-10-27 02:30:00.000000", "2024-11-03 01:30:00.000000")
_MOMENTS = (*DST_GAPS, *DST_OVERLAPS, "2024-02-29 23:59:59.999999", "1970-01-01 00:00:00.000000")
_MOMENTS += ("0001-01-01 00:00:00.000000", "9999-12-31 23:59:59.999999", "1969-12-31 23:59:59.000001")
_ZONED = ("2024-03-31 01:30:00.000000+00", "2024-10-27 00:30:00.000000+00", "2024-10-27 01:30:00.000000+00")
_ZONED += ("2024-02-29 23:59:59.999999-11", "2024-01-01 00:00:00.000000+14", "1970-01-01 00:00:00.000000+00")
_ZONED += ("0001-01-02 00:00:00.000000+00", "9999-12-30 23:59:59.999999+00", "2024-07-01 12:00:00.000000+05:45")
_START = datetime(2024, 7, 1, 9, 0, 0)  # noqa: DTZ001  # the zone is added as text, where there is one
_STEP = timedelta(days=1, hours=1, minutes=17)
_LONG = 4000  # characters, where no limit is set
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def plausible(kind: Kind, label: str) -> tuple[Value, ...]:
    """Return values as an application would write them; `label` names the column."""
    if kind.family == "boolean":
        return (True, False)
    if kind.family == "enum":
        return kind.labels
    if kind.family == "integer":
        looks_like_key = label.lower().endswith(("id", "_fk", "_key", "_ref"))
        return (FIRST_KEY, FIRST_KEY + 1, 31999) if looks_like_key else (3, 1, 2, 17, 250)
    if kind.family == "text":
        return _plausible_texts(kind, label)
    found = (fresh(kind, label, number) for number in range(1, 6))
    return tuple(dict.fromkeys(value for value in found if value is not None))


def _plausible_texts(kind: Kind, label: str) -> tuple[Value, ...]:
    start = crc32(label.encode())
    words = (_WORDS[(start + step * 5) % len(_WORDS)] for step in range(6))
    return tuple(dict.fromkeys(word[: kind.length] for word in words))


def extremes(kind: Kind, label: str) -> tuple[Value, ...]:
    """Return the values at the edges of what a column can hold."""
    make = _EXTREMES.get(kind.family)
    return make(kind, label) if make else ()


def _extreme_texts(kind: Kind, _label: str) -> tuple[Value, ...]:
    size = kind.length or _LONG
    full = (_WORDS[0] * (size // len(_WORDS[0]) + 1))[:size]
    texts = (full, *_TEXTS, "ü" * size)
    return tuple(dict.fromkeys(text for text in texts if len(text) <= size))


def _extreme_integers(kind: Kind, _label: str) -> tuple[Value, ...]:
    if kind.name == "oid":
        return (0, 2**32 - 1)
    largest = 2 ** (kind.bytes * 8 - 1) - 1
    return (largest, 0, -largest - 1, -1, 100)


def _extreme_numerics(kind: Kind, _label: str) -> tuple[Value, ...]:
    if kind.length is None:
        return (Decimal("99999999999.123456"), Decimal(0), Decimal("-0.000001"), Decimal("1E+15"))
    largest = Decimal(10**kind.length - 1).scaleb(-(kind.scale or 0))
    return (largest, Decimal(0), -largest, Decimal(1).scaleb(-(kind.scale or 0)))


def _extreme_floats(kind: Kind, _label: str) -> tuple[Value, ...]:
    largest = 3.4e38 if kind.name == "real" else 1.7976931348623157e308
    return (largest, -0.0, -largest, 0.1, 1e-30, 0.0)


def _extreme_arrays(kind: Kind, label: str) -> tuple[Value, ...]:
    inner = kind.parts[0]
    some = [*extremes(inner, label), *plausible(inner, label)]
    return ("{}", "{NULL}", array((*some[:1], None, *some[1:2])), array(some[:8]))


def _extreme_ranges(kind: Kind, label: str) -> tuple[Value, ...]:
    first = literal(plausible(kind.parts[0], label)[0]) if plausible(kind.parts[0], label) else ""
    return ("empty", "(,)", f"[{_quoted(first)},)", f"(,{_quoted(first)})", f"[{_quoted(first)},{_quoted(first)}]")


def _extreme_bits(kind: Kind, _label: str) -> tuple[Value, ...]:
    size = kind.length or 8
    return ("1" * size, "0" * size)


_EXTREMES: dict[str, Callable[[Kind, str], tuple[Value, ...]]] = {
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
    "timestamp": lambda _kind, _label: _MOMENTS,
    "timestamptz": lambda _kind, _label: _ZONED,
    "date": lambda _kind, _label: ("2024-02-29", "1970-01-01", "0001-01-01", "9999-12-31", "1999-12-31"),
    "time": lambda _kind, _label: ("00:00:00.000000", "23:59:59.999999", "02:30:00.000000"),
    "timetz": lambda _kind, _label: ("00:00:00+14", "23:59:59.999999-12", "02:30:00+02"),
    "interval": lambda _kind, _label: ("0", "-1 mons +2 days", "1 year 2 mons 3 days 04:05:06.789", "10000 days"),
    "uuid": lambda _kind, _label: (str(UUID(int=0)), str(UUID(int=2**128 - 1))),
    "hex": lambda _kind, _label: (UUID(int=0).hex, UUID(int=2**128 - 1).hex),
    "json": lambda _kind, _label: (
        "null",
        "{}",
        "[]",
        '"text with \\"quotes\\", 100% and \\\\"',
        '{"ключ": {"nested": [1, 2.5, -0.0, true, null, "🛏"]}}',
        "0",
        "12345678901234567890",
        "[[[]]]",
        "false",
    ),
}


def fresh(kind: Kind, label: str, number: int) -> Value:
    """Return another value for each number from 1 on, None when the kind has no more."""
    make = _FRESH.get(kind.family)
    if make is not None:
        return make(kind, label, number)
    if kind.family == "boolean":
        return (True, False)[number - 1] if number <= 2 else None  # noqa: PLR2004
    if kind.family == "enum":
        return kind.labels[number - 1] if number <= len(kind.labels) else None
    samples = _SAMPLES.get(kind.name.rpartition(".")[2], lambda _number, _kind: None)
    return samples(number, kind)


def _fresh_text(kind: Kind, label: str, number: int) -> Value:
    word = _WORDS[(crc32(label.encode()) + number * 5) % len(_WORDS)]
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
    return value if kind.length is None or abs(value) < 10 ** (kind.length - (kind.scale or 0)) else _small(kind, number)


def _small(kind: Kind, number: int) -> Value:
    value = Decimal(number).scaleb(-(kind.scale or 0))
    return value if len(str(number)) <= (kind.length or 0) else None


def _fresh_bits(kind: Kind, _label: str, number: int) -> Value:
    text = f"{number:b}".zfill(kind.length or 1)
    return text if len(text) <= (kind.length or len(text)) else None


def _fresh_array(kind: Kind, label: str, number: int) -> Value:
    first, second = (fresh(kind.parts[0], label, step) for step in (number, number + 1))
    return None if first is None else array((first,) if second is None else (first, second))


def _fresh_range(kind: Kind, label: str, number: int) -> Value:
    """Return ranges that do not touch one another, in case they must not overlap."""
    low, high = (fresh(kind.parts[0], label, step) for step in (number * 3, number * 3 + 1))
    return None if low is None or high is None else f"[{_quoted(literal(low))},{_quoted(literal(high))})"


def _fresh_multirange(kind: Kind, label: str, number: int) -> Value:
    inner = _fresh_range(kind.parts[0], label, number)
    return None if inner is None else f"{{{inner}}}"


def _fresh_composite(kind: Kind, label: str, number: int) -> Value:
    fields = (fresh(part, label, number) for part in kind.parts)
    return f"({','.join('' if field is None else _quoted(literal(field)) for field in fields)})"


def moment(number: int) -> str:
    """Return moments in order, in the text form that SQLAlchemy gives them on SQLite."""
    return (_START + _STEP * number).strftime("%Y-%m-%d %H:%M:%S.%f")


def key(label: str, number: int) -> UUID:
    """Return a key as version 4 would look, a different one for each column and number."""
    bits = 0
    for part in range(4):
        bits = bits << 32 | crc32(f"{part}:{label}:{number}".encode())
    return UUID(int=bits, version=4)


_FRESH: dict[str, Callable[[Kind, str, int], Value]] = {
    "text": _fresh_text,
    "integer": _fresh_integer,
    "numeric": _fresh_numeric,
    "float": lambda _kind, _label, number: number + 0.5,
    "money": lambda _kind, _label, number: f"{number}.25",
    "binary": lambda _kind, label, number: f"{label} {number}".encode(),
    "json": lambda _kind, label, number: f'{{"{_WORDS[crc32(label.encode()) % len(_WORDS)]}": {number}}}',
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
    "tsvector": lambda number, _: f"'{_WORDS[number % len(_WORDS)]}':1 'number{number}':2",
    "tsquery": lambda number, _: f"'{_WORDS[number % len(_WORDS)]}' & 'number{number}'",
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


def based(number: int) -> str:
    """Return a number in digits and small letters, as short as it gets."""
    text = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
    return text or "0"


def array(items: tuple[Value, ...] | list[Value]) -> str:
    """Return an array as PostgreSQL reads it."""
    return f"{{{','.join('NULL' if item is None else _quoted(literal(item)) for item in items)}}}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal(value: Value) -> str:
    """Return a value, which is not NULL, in the text form that PostgreSQL reads."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    return repr(value) if isinstance(value, float) else f"{value:f}" if isinstance(value, Decimal) else str(value)
