"""The value of an SQL expression for a row, as far as it can be computed without a database.

SQL has true, false and NULL; this module adds UNDECIDED: only the database can compute the value.
"""

from __future__ import annotations

import json
import operator
import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from dormatory.sql import patterns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dormatory.sql.normal_form import Node


class _Undecided:
    __slots__ = ()


UNDECIDED: Final = _Undecided()

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def evaluate(node: Sequence[Any], row: Mapping[str, Any]) -> Any:
    """Return the value of an expression for a row, whose column names are in small letters; it may be UNDECIDED."""
    handler = _EVALUATORS.get(node[0])
    return UNDECIDED if handler is None else handler(node, row)


def is_surely_false(node: Sequence[Any], row: Mapping[str, Any]) -> bool:
    """Return whether a CHECK surely refuses a row; NULL passes."""
    found = evaluate(node, row)
    return found is False or (isinstance(found, int) and not found)


def conjuncts(node: Node) -> Iterator[Node]:
    """Yield the conditions that an AND joins, or the condition itself."""
    if node[0] == "and":
        for part in node[1:]:
            yield from conjuncts(part)  # type: ignore[arg-type]  # a word comes first only
    else:
        yield node


@lru_cache(maxsize=8192)
def referenced_columns(node: Any) -> frozenset[str]:
    """Return the columns that an expression names; one that could not be parsed names none."""
    if not isinstance(node, tuple):
        return frozenset()
    if node[:1] == ("name",):
        return frozenset(node[1:])
    return frozenset().union(*(referenced_columns(part) for part in node if isinstance(part, tuple)))


def _evaluate_operands(node: Sequence[Any], row: Mapping[str, Any]) -> Any:
    """Return the result of an operator or a function, UNDECIDED if one of its operands is."""
    is_call = node[0] == "call"
    found = [evaluate(part, row) for part in node[2 if is_call else 1 :]]
    if any(value is UNDECIDED for value in found):
        return UNDECIDED
    return _call_function(node[1], found) if is_call else _OPERATORS[node[0]](node[0], found)


def _literal_text(text: str) -> str:
    """Return the value of a string literal; the escapes of PostgreSQL's E'' form are resolved."""
    if text[:2] in {"E'", "e'"}:
        inner = text[2:-1].replace("''", "'")
        return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), inner)
    return text


def _literal_number(text: str) -> Any:
    try:
        if text.lower().startswith("0x"):
            return int(text, 0)
        return int(text) if text.lstrip("-").isdigit() else Decimal(text)
    except (InvalidOperation, ValueError):
        return UNDECIDED


def _and_or(word: str, values: Iterator[Any]) -> Any:
    decisive = word == "or"
    found = {_truth_value(value) for value in values}
    return next((value for value in (decisive, UNDECIDED, None) if value in found), not decisive)


def _truth_value(value: Any) -> Any:
    return bool(value) if isinstance(value, (int, Decimal, float)) else value


def _not(value: Any) -> Any:
    return value if value is UNDECIDED or value is None else not _truth_value(value)


def _evaluate_is(node: Sequence[Any], row: Mapping[str, Any]) -> Any:
    left, right = evaluate(node[1], row), evaluate(node[2], row)
    if left is UNDECIDED or right is UNDECIDED:
        return UNDECIDED
    same = left is right if left is None or right is None else _compare("=", [left, right])
    return same if node[0] == "is" else _not(same)


def _evaluate_case(node: Sequence[Any], row: Mapping[str, Any]) -> Any:
    parts = node[1:]
    if parts[0] != "when":
        return UNDECIDED
    for word, condition, _, result in zip(parts[::4], parts[1::4], parts[2::4], parts[3::4], strict=False):
        if word != "when":
            break
        found = evaluate(condition, row)
        if found is UNDECIDED:
            return UNDECIDED
        if found:
            return evaluate(result, row)
    return evaluate(parts[-1], row) if len(parts) % 4 == 2 else None  # noqa: PLR2004  # ELSE and its result


def _evaluate_cast(value: Any, to: str) -> Any:
    if value is UNDECIDED or value is None or to.startswith(("text", "varchar")):
        return value
    if to in {"integer", "numeric", "float"} and isinstance(value, (int, float, Decimal, str)):
        number = _as_number(value)
        return int(number) if to == "integer" and number is not UNDECIDED else number
    return UNDECIDED


def _as_number(value: Any) -> Any:
    try:
        return Decimal(str(value)) if isinstance(value, str) else value
    except InvalidOperation:
        return UNDECIDED


def _compare(word: str, values: Sequence[Any]) -> Any:
    left, right = values
    if left is None or right is None:
        return None
    if isinstance(left, str) is not isinstance(right, str):
        left, right = _as_number(left), _as_number(right)
    try:
        return _COMPARISONS[word](left, right)
    except (TypeError, InvalidOperation):
        return UNDECIDED


def _evaluate_in(word: str, values: Sequence[Any]) -> Any:
    found = _and_or("or", (_compare("=", [values[0], value]) for value in values[1:]))
    return found if word == "in" else _not(found)


def _calculate(word: str, values: Sequence[Any]) -> Any:
    if any(value is None for value in values):
        return None
    if word == "||":
        return "".join(map(str, values)) if all(isinstance(value, (str, int)) for value in values) else UNDECIDED
    numbers = [Decimal(repr(value)) if isinstance(value, float) else value for value in values]
    try:
        return _ARITHMETIC[word](*numbers)
    except (TypeError, ArithmeticError):
        return UNDECIDED


def _subtract(left: Any, right: Any = None) -> Any:
    return -left if right is None else left - right


def _divide(left: Any, right: Any) -> Any:
    """Divide as SQL does: integers are truncated towards zero."""
    found = Decimal(left) / Decimal(right)
    return int(found) if isinstance(left, int) and isinstance(right, int) else found


def _remainder(left: Any, right: Any) -> Any:
    """Return the remainder of a division, with the sign of the dividend."""
    return Decimal(left) % Decimal(right)


def _match_pattern(word: str, values: Sequence[Any]) -> Any:
    if values[0] is None or values[1] is None:
        return None
    if not all(isinstance(value, str) for value in values):
        return UNDECIDED
    kind = word.removeprefix("not ").lstrip("!")
    wanted = patterns.compile_pattern(kind, *values[1:])
    if wanted is None:
        return UNDECIDED
    found = wanted.search(values[0]) is not None
    return not found if word.startswith(("not ", "!")) else found


def _call_function(name: str, values: list[Any]) -> Any:
    if name == "coalesce":
        return next((value for value in values if value is not None), None)
    if name in {"num_nonnulls", "num_nulls"}:
        return sum((value is None) is (name == "num_nulls") for value in values)
    function = _FUNCTIONS.get(name)
    if function is None:
        return UNDECIDED
    if any(value is None for value in values):
        return UNDECIDED if name == "json_valid" else None  # SQLite before 3.42 returns 0 for NULL
    try:
        return function(*values)
    except (TypeError, ValueError, AttributeError, ArithmeticError, IndexError):
        return UNDECIDED


def _substring(text: str, start: int, length: int | None = None) -> str:
    if start < 1:
        raise ValueError(start)
    return text[start - 1 :] if length is None else text[start - 1 : start - 1 + length]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _json_type(text: str) -> str:
    found = json.loads(text)
    types = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return types.get(type(found), "number")


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "length": len,
    "lower": str.lower,
    "upper": str.upper,
    "trim": lambda text, signs=" ": text.strip(signs),
    "ltrim": lambda text, signs=" ": text.lstrip(signs),
    "rtrim": lambda text, signs=" ": text.rstrip(signs),
    "substr": _substring,
    "abs": abs,
    "replace": str.replace,
    "json_valid": _is_json,
    "json_typeof": _json_type,
    "jsonb_typeof": _json_type,
    "octet_length": lambda value: len(value if isinstance(value, bytes) else value.encode()),
    "instr": lambda text, part: text.find(part) + 1,
    "strpos": lambda text, part: text.find(part) + 1,
    "mod": _remainder,
    "nullif": lambda left, right: None if left == right else left,
}
_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": _subtract,
    "*": operator.mul,
    "/": _divide,
    "%": _remainder,
}
_OPERATORS: dict[str, Callable[[str, Sequence[Any]], Any]] = {
    **dict.fromkeys(_COMPARISONS, _compare),
    **dict.fromkeys(("in", "not in"), _evaluate_in),
    **dict.fromkeys((*_ARITHMETIC, "||"), _calculate),
    **dict.fromkeys(("like", "not like", "ilike", "not ilike", "glob", "~", "~*", "!~", "!~*"), _match_pattern),
}
_EVALUATORS: dict[str, Callable[[Sequence[Any], Mapping[str, Any]], Any]] = {
    **dict.fromkeys((*_OPERATORS, "call"), _evaluate_operands),
    "name": lambda node, row: row.get(node[1], UNDECIDED),
    "string": lambda node, _: _literal_text(node[1]),
    "number": lambda node, _: _literal_number(node[1]),
    "null": lambda *_: None,
    **dict.fromkeys(("and", "or"), lambda node, row: _and_or(node[0], (evaluate(part, row) for part in node[1:]))),
    "not": lambda node, row: _not(evaluate(node[1], row)),
    **dict.fromkeys(("is", "is not"), _evaluate_is),
    "case": _evaluate_case,
    "cast": lambda node, row: _evaluate_cast(evaluate(node[1], row), node[2]),
    "collate": lambda node, row: evaluate(node[1], row),
}
