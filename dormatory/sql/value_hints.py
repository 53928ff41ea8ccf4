"""Values that SQL texts compare columns with: what a revision's own code knows of the values of a column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from dormatory.sql.lexer import TokenKind, tokenize
from dormatory.sql.literals import string_value
from dormatory.sql.nesting import closing_parenthesis
from dormatory.sql.patterns import compile_pattern, sample_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.sql.dialect import Dialect
    from dormatory.sql.lexer import Token

HintValue: TypeAlias = "str | int | bytes"
JSONPath: TypeAlias = "tuple[str, ...]"

_EQUAL = frozenset({"=", "==", "<>", "!=", "<", ">", "<=", ">=", "is"})
_PATTERNS = {"like": "like", "ilike": "ilike", "glob": "glob", "~": "~", "~*": "~*", "!~": "~", "regexp": "~"}
_ARROWS = frozenset({"->", "->>", "#>", "#>>"})
_WHOLE_VALUES = frozenset({"coalesce", "ifnull", "nullif"})
_NO_NAMES = frozenset({"as", "in", "from", "for", "and", "or", "not", "is", "null"})
_JSON_TYPES = frozenset({"json", "jsonb"})


@dataclass(frozen=True, slots=True)
class ColumnHint:
    """Values that a column of this name may hold in one of these tables; `is_exclusive` if it holds no others.

    Names are in small letters. If none of the tables has the column, values that are `is_for_any` are for each of their
    text columns.
    """

    column: str
    tables: frozenset[str]
    values: tuple[HintValue, ...]
    is_exclusive: bool = False
    is_for_any: bool = False


@dataclass(frozen=True, slots=True)
class ComparedValue:
    """A column, and a text with which SQL compares it."""

    column: str
    text: str


@dataclass(frozen=True, slots=True)
class JSONRead:
    """A column that SQL reads as JSON, and where in it; without a path, the whole value."""

    column: str
    path: JSONPath = ()


def read_value_hints(sql: str, dialect: Dialect) -> Iterator[ComparedValue | JSONRead]:
    """Yield what a text, a statement or a part of one, knows of the values of columns."""
    tokens = tokenize(sql, dialect)
    for at, token in enumerate(tokens):
        if token.kind is TokenKind.STRING:
            yield from _compared_values(tokens, at)
        elif token.word in _JSON_TYPES and at and tokens[at - 1].word in {"::", "as"}:
            yield from (JSONRead(column) for column in _columns_before(tokens, at - 1))
        elif token.word.startswith("json") and tokens[at + 1 : at + 2] and tokens[at + 1].word == "(":
            yield from _function_reads(tokens[at + 2 : closing_parenthesis(tokens, at + 1)])


def _compared_values(tokens: Sequence[Token], at: int) -> Iterator[ComparedValue | JSONRead]:
    """Yield what the string at a place says of the columns near it."""
    text, before = string_value(tokens[at].text), tokens[at - 1].word if at else ""
    if before in _ARROWS:
        path = tuple(part for part in text.strip("{}").split(",") if part) if before.startswith("#") else (text,)
        yield from (JSONRead(column, path) for column in _columns_before(tokens, at - 1))
    elif before in _EQUAL:
        yield from (ComparedValue(column, text) for column in _columns_before(tokens, at - 1))
    elif before in _PATTERNS:
        pattern = compile_pattern(_PATTERNS[before], text)
        samples = {sample_text(pattern, number) for number in range(2)} if pattern else set()
        skipped = at - 1 - (tokens[at - 2].word == "not")
        columns = _columns_before(tokens, skipped)
        yield from (ComparedValue(column, sample) for column in columns for sample in sorted(filter(None, samples)))
    elif before == "when":
        yield from (ComparedValue(column, text) for column in _columns_of_case(tokens, at))
    else:
        yield from _values_in_parentheses(tokens, at, text)


def _values_in_parentheses(tokens: Sequence[Token], at: int, text: str) -> Iterator[ComparedValue]:
    """Yield what a string in the list of an IN, or among the arguments of a function, says of a column."""
    opening = _opening_parenthesis(tokens, at)
    if opening is None or not opening:
        return
    word = tokens[opening - 1].word
    if word in {"in", "any", "all"}:
        skipped = opening - 1 - (word != "in" or tokens[opening - 2].word == "not")  # the operator before ANY, or NOT
        yield from (ComparedValue(column, text) for column in _columns_before(tokens, skipped))
    elif tokens[opening - 1].is_name and word not in {"values", "select"} and not word.startswith("json"):
        end = closing_parenthesis(tokens, opening)
        searched = text if word in _WHOLE_VALUES else f"one{text}two"  # what a function looks for is part of a value
        yield from (ComparedValue(it, searched) for it in _columns_in(tokens[opening + 1 : end]))


def _function_reads(arguments: Sequence[Token]) -> Iterator[JSONRead]:
    """Yield what a function such as json_extract(payload, '$.size') reads."""
    columns = _columns_in(arguments)[:1]
    paths = [string_value(token.text) for token in arguments if token.kind is TokenKind.STRING]
    for column in columns:
        yield JSONRead(column)
        for path in paths:
            parts = path.removeprefix("$").replace("[", ".[").split(".")
            yield JSONRead(column, tuple("[]" if part.startswith("[") else part.strip('"') for part in parts if part))


def _columns_before(tokens: Sequence[Token], end: int) -> list[str]:
    """Return the columns in the operand that ends before a place: a name, with casts, or a call."""
    at = end - 1
    while at > 1 and tokens[at - 1].word == "::":
        at -= 2
    while at > 1 and tokens[at].kind is TokenKind.STRING and tokens[at - 1].word in _ARROWS:
        at -= 2
    if at < 0:
        return []
    if tokens[at].word == ")":
        opening = _opening_parenthesis(tokens, at)
        return _columns_in(tokens[opening + 1 : at]) if opening is not None else []
    return [tokens[at].text.lower()] if tokens[at].is_name else []


def _columns_in(tokens: Sequence[Token]) -> list[str]:
    """Return the names in an expression, without those of functions and of what stands before a dot."""
    following = [*(token.word for token in tokens[1:]), ""]
    return [
        token.text.lower()
        for token, word in zip(tokens, following, strict=False)  # without tokens, the one "" follows nothing
        if token.is_name and word not in {"(", "."} and token.word not in _NO_NAMES
    ]


def _opening_parenthesis(tokens: Sequence[Token], at: int) -> int | None:
    """Return the place of the parenthesis around a place, None if there is none."""
    depth = 0
    for place in range(at - 1, -1, -1):
        depth += (tokens[place].word == ")") - (tokens[place].word == "(")
        if depth < 0:
            return place
    return None


def _columns_of_case(tokens: Sequence[Token], at: int) -> list[str]:
    """Return the columns between CASE and its first WHEN, for a place behind one of its WHENs."""
    words = [token.word for token in tokens[:at]]
    if "case" not in words:
        return []
    start = len(words) - 1 - words[::-1].index("case")
    return _columns_in(tokens[start + 1 : words.index("when", start)])
