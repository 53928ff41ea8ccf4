"""The literals that expressions in a revision's code stand for or list, and its texts with these in their places."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from dormatory.checks.source.resolver import UNKNOWN_TEXT
from dormatory.replay.hints.bindings import MAX_NAME_DEPTH
from dormatory.sql.literals import quote_literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dormatory.replay.hints.bindings import Binding, CodeBindings
    from dormatory.sql.value_hints import HintValue

_MAX_TEXTS = 12  # of one text with placeholders
_PLACEHOLDER = re.compile(r"(?<![:\w]):(\w+)\b|%\((\w+)\)s")
_COPIES = frozenset({"set", "frozenset", "tuple", "list", "sorted", "reversed", "literal"})


class CodeLiterals:
    """The literals of some code."""

    def __init__(self, code: CodeBindings) -> None:
        self._code = code
        self._values_by_name: dict[str, list[HintValue]] = {}
        self._elements_by_name: dict[str, list[ast.expr]] = {}
        self._mappings_by_name: dict[str, ast.Dict | None] = {}
        self._parameters = self._values_of_parameters()

    def _values_of_parameters(self) -> dict[str, list[HintValue]]:
        """Return what dictionaries and keyword arguments give to names: the parameters of statements are among them."""
        found: defaultdict[str, list[HintValue]] = defaultdict(list)
        for node in self._code.nodes:
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(key.value, str):
                        found[key.value] += self.values(value)
            elif isinstance(node, ast.keyword) and node.arg:
                found[node.arg] += self.values(node.value)
        return found

    def texts(self, node: ast.expr) -> list[str]:
        """Return a text, once for each of the literals that its placeholders stand for."""
        text = self._code.text(node)
        if text is None:
            return []
        pieces = [piece.value for piece in getattr(node, "values", ()) if isinstance(piece, ast.FormattedValue)]
        given = [self.values(piece) for piece in pieces]
        keys = {found[1] or found[2] for found in _PLACEHOLDER.finditer(text)}
        bound = {key: values for key in keys if (values := self._parameters.get(key))}
        total = max((len(values) for values in (*given, *bound.values())), default=0)
        return (
            [_fill_places(text, given, bound, number) for number in range(min(total, _MAX_TEXTS))] if total else [text]
        )

    def texts_of(self, node: ast.expr) -> list[str]:
        """Return the texts that an expression stands for or lists."""
        return [value for value in self.values(node) if isinstance(value, str)]

    def keys(self, node: ast.expr, depth: int = 0) -> list[HintValue]:
        """Return the keys of a mapping that the code lists, nothing for any other expression."""
        mapping = self._mapping(node, depth)
        return self._all_values([key for key in mapping.keys if key], depth) if mapping else []

    def values(self, node: ast.expr, depth: int = 0) -> list[HintValue]:  # noqa: PLR0911  # one for each kind
        """Return the texts and numbers that an expression stands for or lists; the keys of a mapping."""
        if depth > MAX_NAME_DEPTH:
            return []
        match node:
            case ast.Constant(value=str() | int() as value) if not isinstance(value, bool):
                return [value]
            case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
                return self._all_values(items, depth)
            case ast.Call(args=[first, *_]) if self._code.called_name(node).rpartition(".")[2] in _COPIES:
                return self.values(first, depth + 1)
            case ast.Attribute():
                return self._all_values(self._members(node), depth)
            case ast.Name(id=name):
                return self._values_of_name(name, depth)
        return self.keys(node, depth)

    def _values_of_name(self, name: str, depth: int) -> list[HintValue]:
        """Return the values of all that is bound to a name; nothing more for a name that stands for itself."""
        if name not in self._values_by_name:
            self._values_by_name[name] = []
            bindings = self._code.bindings_of(name)
            found = (value for bound in bindings for value in self._bound_values(bound, depth))
            self._values_by_name[name] = list(dict.fromkeys(found))
        return self._values_by_name[name]

    def _all_values(self, nodes: Iterable[ast.expr], depth: int) -> list[HintValue]:
        return [value for node in nodes for value in self.values(node, depth + 1)]

    def _bound_values(self, binding: Binding, depth: int) -> list[HintValue]:
        items = self._elements(binding.value, depth) if binding.is_element else [binding.value]
        if binding.place is not None:
            parts = (getattr(item, "elts", ()) for item in items)
            items = [part[binding.place] for part in parts if len(part) == binding.size]
        return self._all_values(items, depth)

    def _elements(self, node: ast.expr, depth: int) -> Sequence[ast.expr]:
        """Return what a loop over an expression yields, as far as the code lists it."""
        if depth > MAX_NAME_DEPTH:
            return []
        match node:
            case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
                return items
            case ast.Call(func=ast.Attribute(value=inner, attr="items" | "keys" | "values" as attr)):
                return _mapping_elements(self._mapping(inner, depth + 1), attr)
            case ast.Call(args=[first, *_]) if self._code.called_name(node).rpartition(".")[2] in _COPIES:
                return self._elements(first, depth + 1)
            case ast.Name(id=name):
                return self._elements_of_name(name, depth)
        return _mapping_elements(self._mapping(node, depth + 1), "keys")

    def _elements_of_name(self, name: str, depth: int) -> Sequence[ast.expr]:
        if name not in self._elements_by_name:
            self._elements_by_name[name] = []
            bound = [it.value for it in self._code.bindings_of(name) if not it.is_element and it.place is None]
            self._elements_by_name[name] = [item for value in bound for item in self._elements(value, depth + 1)]
        return self._elements_by_name[name]

    def _mapping(self, node: ast.expr, depth: int) -> ast.Dict | None:
        if not isinstance(node, ast.Name) or depth > MAX_NAME_DEPTH:
            return node if isinstance(node, ast.Dict) else None
        if node.id not in self._mappings_by_name:
            self._mappings_by_name[node.id] = None
            values = [it.value for it in self._code.bindings_of(node.id)]
            found = (mapping for value in values if (mapping := self._mapping(value, depth + 1)))
            self._mappings_by_name[node.id] = next(found, None)
        return self._mappings_by_name[node.id]

    def _members(self, node: ast.Attribute) -> list[ast.expr]:
        """Return the value of a member of a class in the file, such as Status.OPEN or Status.OPEN.value."""
        owner = node.value if node.attr in {"value", "name"} and isinstance(node.value, ast.Attribute) else node
        if not isinstance(owner, ast.Attribute) or not isinstance(owner.value, ast.Name):
            return []
        body = getattr(self._code.classes.get(owner.value.id), "body", ())
        return [
            it.value for it in body if isinstance(it, ast.Assign) and getattr(it.targets[0], "id", "") == owner.attr
        ]


def _mapping_elements(mapping: ast.Dict | None, attr: str) -> list[ast.expr]:
    pairs = [(key, value) for key, value in zip(mapping.keys, mapping.values, strict=True) if key] if mapping else []
    if attr == "items":
        return [ast.Tuple([key, value]) for key, value in pairs]
    return [value if attr == "values" else key for key, value in pairs]


def _fill_places(
    text: str, given: Sequence[Sequence[HintValue]], bound: Mapping[str, Sequence[HintValue]], number: int
) -> str:
    """Return a text with the literals of one round in its places: those of an f-string, and its parameters."""
    for values in given:
        text = text.replace(UNKNOWN_TEXT, str(values[number % len(values)]) if values else "", 1)

    def literal(found: re.Match[str]) -> str:
        values = bound.get(found[1] or found[2])
        return quote_literal(str(values[number % len(values)])) if values else found[0]

    return _PLACEHOLDER.sub(literal, text)
