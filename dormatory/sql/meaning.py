"""What an expression means where it stands: as the default of a column of some type, or as a CHECK."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from dormatory.sql.expression import EXACT, portable_expression
from dormatory.sql.normal_form import NULL
from dormatory.sql.types import NUMBER_FAMILIES, portable_type

if TYPE_CHECKING:
    from dormatory.sql.dialect import Dialect
    from dormatory.sql.normal_form import Node

_TRUE_WORDS = frozenset({"1", "t", "true", "y", "yes", "on"})
_FALSE_WORDS = frozenset({"0", "f", "false", "n", "no", "off"})
_STRICT_OPERATORS = frozenset(
    {"=", "<>", "<", "<=", ">", ">=", "like", "ilike", "not like", "not ilike", "+", "-", "*", "/"}
)
_STRICT_FUNCTIONS = frozenset({"abs", "json_valid", "length", "lower", "round", "substr", "trim", "upper"})


def default_meaning(sql: str | None, declared_type: str, dialect: Dialect) -> Node | None:
    """Return what a default stores in a column of a type, so that two defaults of one backend can be compared.

    None is no default. A cast that a literal kept from an earlier type of the column makes no difference.
    """
    if sql is None:
        return None
    family = portable_type(declared_type)
    node = portable_expression(sql, dialect, rules=EXACT)
    if family == "boolean" and node[0] == "string" and not dialect.has_static_types:
        return node if str(node[1]) not in {"0", "1"} else ("number", node[1])  # a word would be stored as a text
    if family.endswith("[]"):
        return ("array",) if node == ("string", "{}") else node
    return stored_default(node, family)


def condition_meaning(sql: str, dialect: Dialect, columns: frozenset[tuple[str, str]]) -> Node:
    """Return what a CHECK allows, so that two CHECKs of one backend can be compared; `columns` as in expressions."""
    return without_null_check(portable_expression(sql, dialect, columns, EXACT))


def stored_default(node: Node, family: str) -> Node | None:
    """Return a default as a column of a type family stores it: '0' and 0 are one number, false and 0 one boolean."""
    if node == NULL:
        return None
    if node[0] not in {"string", "number"}:
        return node
    text = str(node[1])
    if family == "boolean" and text.lower() in _TRUE_WORDS | _FALSE_WORDS:
        return ("number", "1" if text.lower() in _TRUE_WORDS else "0")
    try:
        if family.partition("(")[0] in NUMBER_FAMILIES:
            return ("number", f"{Decimal(text).normalize():f}")
        if family == "json":
            return ("string", json.dumps(json.loads(text), sort_keys=True))
    except (InvalidOperation, ValueError):
        pass  # no value of the type: compare the text
    return ("string", text)


def without_null_check(node: Node) -> Node:
    """Return a CHECK without `x IS NULL OR`: it passes for NULL anyway."""
    if node[0] != "or" or len(node) != 3:  # noqa: PLR2004  # OR and its two sides
        return node
    for one, other in ((node[1], node[2]), (node[2], node[1])):
        is_null = isinstance(one, tuple) and one[0] == "is" and one[2] == NULL
        if is_null and isinstance(other, tuple) and _is_strict_in(other, one[1]):
            return other
    return node


def _is_strict_in(node: Node | str, unknown: Node | str) -> bool:
    """Return whether an expression is surely NULL when the given part of it is."""
    if node == unknown or isinstance(node, str):
        return node == unknown
    if node[0] in {"in", "not in"}:
        return _is_strict_in(node[1], unknown)
    is_strict = node[0] in _STRICT_OPERATORS or (node[0] == "call" and node[1] in _STRICT_FUNCTIONS)
    return is_strict and any(_is_strict_in(item, unknown) for item in node[1:])
