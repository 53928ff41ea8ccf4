"""The nodes of a portable SQL expression, and the rules by which different texts become equal nodes."""

from __future__ import annotations

from typing import TypeAlias, Union

from dormatory.sql.types import NUMBER_FAMILIES, REDUNDANT_CAST_TYPES

# The kind comes first: ("name", "x"), ("number", "1"), ("string", "a"), ("and", …), ("call", "lower", …), ("=", …).
Node: TypeAlias = tuple[Union[str, "Node"], ...]

NOW: Node = ("now",)
TODAY: Node = ("today",)
TIME_OF_DAY: Node = ("time of day",)
RANDOM_KEY: Node = ("random key",)
NULL: Node = ("null",)
ONE: Node = ("number", "1")
ZERO: Node = ("number", "0")

_OPPOSITES = {"=": "<>", "<": ">=", ">": "<=", "in": "not in", "is": "is not", "like": "not like", "ilike": "not ilike"}
_OPPOSITES |= {opposite: word for word, opposite in _OPPOSITES.items()}
_TRANSACTION_CLOCKS = frozenset({"now", "transaction_timestamp"})
_CLOCK_FUNCTIONS = frozenset({"now", "transaction_timestamp", "statement_timestamp", "clock_timestamp"})
_SQLITE_CLOCKS = {"datetime": NOW, "date": TODAY, "time": TIME_OF_DAY}
_ROUNDING_TYPES = frozenset({"char", "date", "interval", "time", "timestamp"})  # a cast to one cuts some literals
_RANDOM_FUNCTIONS = frozenset({"gen_random_uuid", "uuid_generate_v4", "uuidv4"})
_SIXTEEN_BYTES: Node = ("call", "hex", ("call", "randomblob", ("number", "16")))


def negation(node: Node) -> Node:
    """Return the negation of a condition."""
    if node[0] == "not":
        return node[1]  # type: ignore[return-value]
    opposite = _OPPOSITES.get(str(node[0]))
    return (opposite, *node[1:]) if opposite else ("not", node)


def logical_node(word: str, *parts: Node) -> Node:
    """Return an AND or OR with all its parts on one level, sorted."""
    flat = [item for part in parts for item in (part[1:] if part[0] == word else (part,))]
    return (word, *sorted(flat, key=repr))


def membership(left: Node, values: Node, *, negated: bool) -> Node:
    """Return `left IN (values)`, or NOT IN, with the values sorted; with one value it is a comparison."""
    if values[0] != "array":
        return ("<> all" if negated else "= any", left, values)
    several = sorted(set(values[1:]), key=repr)
    if len(several) == 1:
        return ("<>" if negated else "=", left, several[0])
    return ("not in" if negated else "in", left, *several)


def signed_node(sign: str, node: Node) -> Node:
    """Return an operand with its sign."""
    if sign == "+":
        return node
    return ("number", f"-{node[1]}") if node[0] == "number" else ("-", node)


def cast_node(node: Node, to: str, *, is_array: bool) -> Node:
    """Return a cast to a portable type, or the operand itself if the cast makes no difference."""
    if node[0] == "string" and to in NUMBER_FAMILIES and not is_array:
        return ("number", node[1])
    if node in {NOW, TODAY, TIME_OF_DAY}:
        return {"date": TODAY, "time": TIME_OF_DAY}.get(to, node)
    is_redundant = node[0] in {"string", "number", "null", "array"} or to in REDUNDANT_CAST_TYPES
    return node if is_redundant else ("cast", node, to)


def call_node(name: str, items: list[Node]) -> Node:
    """Return a call, or a node for its purpose where each backend has functions of its own."""
    now = items[-1:] == [("string", "now")]
    if (name in _CLOCK_FUNCTIONS and not items) or (name == "timezone" and items[-1:] == [NOW]):
        return NOW
    if now and name in {"datetime", "strftime"}:
        return NOW
    if now and len(items) == 1 and name in {"date", "time"}:
        return TODAY if name == "date" else TIME_OF_DAY
    if name in _RANDOM_FUNCTIONS and not items:
        return RANDOM_KEY
    node: Node = ("call", name, *items)
    return RANDOM_KEY if node in {_SIXTEEN_BYTES, ("call", "lower", RANDOM_KEY)} else node


def exact_cast_node(node: Node, to: str, *, is_array: bool) -> Node:
    """Return a cast of one backend, or the operand itself if the value stays the same in every type of column."""
    cast: Node = ("cast", node, to + "[]" * is_array)
    if node in {NOW, TODAY, TIME_OF_DAY}:
        return {"timestamp": node, "date": TODAY, "time": TIME_OF_DAY}.get(to, cast)
    if "(" in to:
        return cast
    if to == "text" or node in {NULL, ("array",)}:
        return node
    if node[0] not in {"string", "number"} or is_array:
        return node if node[0] == "string" else cast
    if to in NUMBER_FAMILIES:
        is_kept = to != "integer" or str(node[1]).strip().lstrip("+-").isdigit()
        return ("number", str(node[1]).strip()) if is_kept else cast
    return cast if to in _ROUNDING_TYPES else node


def exact_call_node(name: str, items: list[Node]) -> Node:
    """Return a call on one backend: only functions that always give the same are one node."""
    if name in _TRANSACTION_CLOCKS and not items:
        return NOW
    if items == [("string", "now")] and name in _SQLITE_CLOCKS:
        return _SQLITE_CLOCKS[name]
    return ("call", name, *items)
