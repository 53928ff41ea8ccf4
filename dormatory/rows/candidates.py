"""Candidate values for a column with conditions: values in the conditions, their neighbours, and common texts."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dormatory.rows import unique_values
from dormatory.sql import evaluate, patterns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.rows.unique_values import GeneratedValue

_COMPARISON_OPERATORS = frozenset({"=", "<>", "<", "<=", ">", ">=", "is", "is not", "in", "not in"})
_PATTERN_OPERATORS = frozenset({"like", "ilike", "glob", "~", "~*"})
_ISO_FORMATS: tuple[str, ...] = (
    "{day}T{time}Z",
    "{day} {time}",
    "{day}T{time}",
    "{day}T{time}+00:00",
    "{day}",
    "{day}T{short}Z",
    "{day} {short}",
)
_TEXT_FORMATS: tuple[str, ...] = (
    "{hex}",
    "{uuid}",
    "{number}",
    "guest{number}@example.org",
    "https://example.org/{number}",
    "room-{number}",
)
_TEXT_FORMATS += (
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
_MAX_TEXT_LENGTH = 10_000  # characters; longer texts test nothing more
_NEIGHBOUR_STEPS = (Decimal(0), Decimal(1), Decimal(-1))


def candidate_values(condition: Sequence[Any]) -> Iterator[tuple[str, GeneratedValue]]:
    """Yield columns, in lower case, with values that a condition compares them with, and the neighbours of those."""
    if condition[0] in _COMPARISON_OPERATORS:
        yield from _compared_values(condition)
    elif condition[0] in _PATTERN_OPERATORS:
        yield from _matching_texts(condition)
    elif condition[0] == "%":  # x % 5 = 0
        yield from (
            (name, value) for name in evaluate.referenced_columns(condition) for value in _literals(condition[2:])
        )
    for part in condition:
        if isinstance(part, tuple):
            yield from candidate_values(part)


def _compared_values(condition: Sequence[Any]) -> Iterator[tuple[str, GeneratedValue]]:
    columns = sorted(evaluate.referenced_columns(condition))
    if len(columns) != 1:
        return
    is_length = any(part[:2] == ("call", "length") for part in condition[1:] if isinstance(part, tuple))
    for value in _literals(condition[1:]):
        if is_length and isinstance(value, int):
            yield from (
                (columns[0], "x" * size) for size in (value, value + 1, value - 1) if 0 <= size <= _MAX_TEXT_LENGTH
            )
        elif isinstance(value, (int, Decimal)):
            neighbours = (value + step for step in _NEIGHBOUR_STEPS)
            yield from ((columns[0], int(found) if found == int(found) else found) for found in neighbours)
        else:
            yield columns[0], value
            neighbours_in_time = (unique_values.days_later(value, days) for days in (1, -1) if isinstance(value, str))
            yield from ((columns[0], text) for text in neighbours_in_time if text)


def _literals(parts: Sequence[Any]) -> Iterator[Any]:
    for part in parts:
        if part[0] in {"string", "number"}:
            value = evaluate.evaluate(part, {})
            if value is not evaluate.UNDECIDED:
                yield value


def _matching_texts(condition: Sequence[Any]) -> Iterator[tuple[str, GeneratedValue]]:
    for number in range(4):
        found = matching_text(condition, number)
        if found is not None:
            yield found


def matching_text(condition: Sequence[Any], number: int) -> tuple[str, str] | None:
    """Return the column that must match a pattern, and a text that does; None for any other condition."""
    if condition[0] not in _PATTERN_OPERATORS or condition[1][0] != "name" or condition[2][0] != "string":
        return None
    pattern = patterns.compile_pattern(condition[0], str(evaluate.evaluate(condition[2], {})))
    text = patterns.sample_text(pattern, number) if pattern else None
    return None if text is None else (str(condition[1][1]), text)


def formatted_texts(label: str, number: int) -> Iterator[str]:
    """Yield texts in formats that a CHECK may require, different ones for each number."""
    day, time = unique_values.timestamp_text(number).split(" ")
    for form in _ISO_FORMATS:
        yield form.format(day=day, time=time, short=time[:8])
    key = unique_values.unique_uuid(label, number)
    for form in _TEXT_FORMATS:
        yield form.format(hex=key.hex, uuid=key, number=number, byte=number % 255)
    yield unique_values.base36(number)
    yield str(number).zfill(10)
    yield unique_values.base36(number).upper().rjust(8, "A")
