"""Values that the conditions on a column speak of, and texts that such conditions tend to want."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dormatory.rows import unique_values
from dormatory.sql import evaluate, patterns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.rows.unique_values import Value

_COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">=", "is", "is not", "in", "not in"})
_PATTERNS = frozenset({"like", "ilike", "glob", "~", "~*"})
_ISO: tuple[str, ...] = (
    "{day}T{time}Z",
    "{day} {time}",
    "{day}T{time}",
    "{day}T{time}+00:00",
    "{day}",
    "{day}T{short}Z",
    "{day} {short}",
)
_FORMS: tuple[str, ...] = (
    "{hex}",
    "{uuid}",
    "{number}",
    "guest{number}@example.org",
    "https://example.org/{number}",
    "room-{number}",
)
_FORMS += (
    "+4930{number:07}",
    "#{number:06x}",
    "10.0.0.{byte}",
    "de",
    "EUR",
    "UTC",
    "Europe/Berlin",
    "1.{number}.0",
    "{{}}",
)
_LONGEST = 10_000  # characters; a longer text shows nothing more
_NEAR = (Decimal(0), Decimal(1), Decimal(-1))


def spoken_of(condition: Sequence[Any]) -> Iterator[tuple[str, Value]]:
    """Yield columns, in small letters, with values that a condition compares them with, and the neighbours of those."""
    if condition[0] in _COMPARISONS:
        yield from _compared(condition)
    elif condition[0] in _PATTERNS:
        yield from _matching(condition)
    elif condition[0] == "%":  # x % 5 = 0
        yield from ((name, value) for name in evaluate.names(condition) for value in _literals(condition[2:]))
    for part in condition:
        if isinstance(part, tuple):
            yield from spoken_of(part)


def _compared(condition: Sequence[Any]) -> Iterator[tuple[str, Value]]:
    columns = sorted(evaluate.names(condition))
    if len(columns) != 1:
        return
    measured = any(part[:2] == ("call", "length") for part in condition[1:] if isinstance(part, tuple))
    for value in _literals(condition[1:]):
        if measured and isinstance(value, int):
            yield from ((columns[0], "x" * size) for size in (value, value + 1, value - 1) if 0 <= size <= _LONGEST)
        elif isinstance(value, (int, Decimal)):
            near = (value + step for step in _NEAR)
            yield from ((columns[0], int(found) if found == int(found) else found) for found in near)
        else:
            yield columns[0], value
            beside = (unique_values.later(value, days) for days in (1, -1) if isinstance(value, str))
            yield from ((columns[0], text) for text in beside if text)


def _literals(parts: Sequence[Any]) -> Iterator[Any]:
    for part in parts:
        if part[0] in {"string", "number"}:
            value = evaluate.evaluate(part, {})
            if value is not evaluate.UNKNOWN:
                yield value


def _matching(condition: Sequence[Any]) -> Iterator[tuple[str, Value]]:
    for number in range(4):
        found = matching(condition, number)
        if found is not None:
            yield found


def matching(condition: Sequence[Any], number: int) -> tuple[str, str] | None:
    """Return the column that must match a pattern, and a text that does; None for any other condition."""
    if condition[0] not in _PATTERNS or condition[1][0] != "name" or condition[2][0] != "string":
        return None
    pattern = patterns.pattern(condition[0], str(evaluate.evaluate(condition[2], {})))
    text = patterns.sample(pattern, number) if pattern else None
    return None if text is None else (str(condition[1][1]), text)


def forms(label: str, number: int) -> Iterator[str]:
    """Yield texts of the shapes that a CHECK on a text may ask for, other ones for each number."""
    day, time = unique_values.moment(number).split(" ")
    for form in _ISO:
        yield form.format(day=day, time=time, short=time[:8])
    key = unique_values.key(label, number)
    for form in _FORMS:
        yield form.format(hex=key.hex, uuid=key, number=number, byte=number % 255)
    yield unique_values.based(number)
    yield str(number).zfill(10)
    yield unique_values.based(number).upper().rjust(8, "A")
