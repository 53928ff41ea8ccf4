"""The columns whose values expressions in a revision's code take, by the names that the code gives them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from dormatory.replay.hints.bindings import MAX_NAME_DEPTH
from dormatory.sql.clauses import clause_end, column_label, select_bodies
from dormatory.sql.lexer import tokenize
from dormatory.sql.nesting import split_at_commas

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dormatory.replay.hints.bindings import Binding, CodeBindings
    from dormatory.replay.hints.literals import CodeLiterals
    from dormatory.sql.dialect import Dialect

_NO_COLUMNS = frozenset({"c", "columns", "dialect", "connection", "metadata"})


class CodeColumns:
    """The columns that some code names: attributes and keys of rows, places in what it selects."""

    def __init__(self, code: CodeBindings, literals: CodeLiterals, dialect: Dialect) -> None:
        self._code, self._literals = code, literals
        self._names_by_bound_name: dict[str, list[str]] = {}
        self._selects: list[list[str]] = []  # the labels of what each SELECT returns
        self._selects = list(self._selected_labels(dialect))
        self._names_by_bound_name.clear()  # they were read without these labels

    def _selected_labels(self, dialect: Dialect) -> Iterator[list[str]]:
        for node in self._code.nodes:
            if isinstance(node, ast.Call) and self._code.called_name(node).endswith("select"):
                named = [self.names(item) or [""] for item in node.args]  # several, where a helper is told the column
                for number in range(max(map(len, named), default=0)):
                    yield [names[number % len(names)] for names in named]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "select" in node.value.lower():
                for body in select_bodies(tokenize(node.value, dialect)):
                    yield [column_label(item) for item in split_at_commas(body[: clause_end(body, 0)])]

    def names(self, node: ast.expr, depth: int = 0) -> list[str]:  # noqa: PLR0911  # one for each kind of expression
        """Return the names of columns, in small letters; a name that is not known to be anything else may be one."""
        if depth > MAX_NAME_DEPTH:
            return []
        match node:
            case ast.Attribute(value=value, attr=attr):
                return [] if self._is_of_module(value) or attr in _NO_COLUMNS else [attr.lower()]
            case ast.Subscript(slice=ast.Constant(value=str(key))):
                return [key.lower()]
            case ast.Subscript(slice=ast.Constant(value=int(place))):
                return [labels[place] for labels in self._selects if place < len(labels) and labels[place]]
            case ast.Subscript(slice=ast.Name() as key) if texts := self._literals.texts_of(key):
                return [text.lower() for text in texts]
            case ast.Name(id=name):
                return self._names_bound_to(name, depth)
            case ast.Call():
                return self._names_in_call(node, depth)
        return self._all_names((it for it in ast.iter_child_nodes(node) if isinstance(it, ast.expr)), depth)

    def _all_names(self, nodes: Iterable[ast.expr], depth: int) -> list[str]:
        return [name for node in nodes for name in self.names(node, depth + 1)]

    def _is_of_module(self, value: ast.expr) -> bool:
        """Return whether an attribute is one of a module, a class or a dialect."""
        name = value.id if isinstance(value, ast.Name) else ""
        return self._code.is_code(name) or getattr(value, "attr", "") == "dialect"

    def _names_in_call(self, call: ast.Call, depth: int) -> list[str]:
        if self._code.called_name(call).rpartition(".")[2] in {"column", "literal_column"}:
            text = self._code.text(call.args[0]) if call.args else None
            return [text.lower()] if text else []
        owner = [call.func.value] if isinstance(call.func, ast.Attribute) else []
        return self._all_names((*owner, *call.args), depth)

    def _names_bound_to(self, name: str, depth: int) -> list[str]:
        """Return what a name stands for; nothing more for a name that stands for itself."""
        if self._code.is_code(name):
            return []
        if name not in self._names_by_bound_name:
            self._names_by_bound_name[name] = []
            bindings = self._code.bindings_of(name)
            found = list(dict.fromkeys(it for bound in bindings for it in self._names_of_binding(bound, depth)))
            self._names_by_bound_name[name] = found or ([] if name in self._code.constants else [name.lower()])
        return self._names_by_bound_name[name]

    def _names_of_binding(self, binding: Binding, depth: int) -> list[str]:
        if binding.place is not None:
            fitting = (labels for labels in self._selects if len(labels) == binding.size)
            return [labels[binding.place] for labels in fitting if labels[binding.place]]
        return [] if binding.is_element else self.names(binding.value, depth + 1)
