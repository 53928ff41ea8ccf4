"""Which places of a parsed document the code of a revision reads, such as `("size", "height")` of a JSON text."""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import TYPE_CHECKING

from dormatory.replay.hints.json_samples import ANY_KEY, ELEMENT

if TYPE_CHECKING:
    from dormatory.replay.hints.bindings import Binding, CodeBindings
    from dormatory.replay.hints.literals import CodeLiterals
    from dormatory.sql.value_hints import JSONPath

    _Paths = dict[ast.expr, JSONPath | None]  # where expressions point that are known


class DocumentPaths:
    """The documents that some code reads."""

    def __init__(self, code: CodeBindings, literals: CodeLiterals) -> None:
        self._code, self._literals = code, literals

    def read(self, root: ast.Call) -> dict[JSONPath, list[str | int]]:
        """Return the places that the code reads in a parsed document, each with the literals it is compared with."""
        found: defaultdict[JSONPath, list[str | int]] = defaultdict(list)
        found[()] = []
        known: _Paths = {root: ()}
        for node in self._code.nodes:
            path = self._path(node, known) if isinstance(node, ast.expr) else None
            if path is not None:
                found[path] += []
            match node:
                case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq() | ast.In() | ast.NotIn()], comparators=[right]):
                    if (path := self._path(left, known)) is not None:
                        found[path] += [value for value in self._literals.values(right) if not isinstance(value, bytes)]
                    elif (path := self._path(right, known)) is not None and isinstance(left, ast.Constant):
                        found[*path, str(left.value)] += []
                case ast.Call(func=ast.Attribute(value=value, attr="append" | "extend" | "remove")):
                    if (path := self._path(value, known)) is not None:
                        found[*path, ELEMENT] += []
        return found

    def _path(self, node: ast.expr, known: _Paths) -> JSONPath | None:
        """Return where in a document an expression points, None if it points elsewhere.

        Each expression is read once: names may be bound many times, and in terms of each other.
        """
        if node not in known:
            known[node] = None  # what leads back to itself leads nowhere
            known[node] = self._read_path(node, known)
        return known[node]

    def _read_path(self, node: ast.expr, known: _Paths) -> JSONPath | None:
        inner: ast.expr | None = None
        step: JSONPath = ()
        match node:
            case ast.Subscript(value=inner, slice=ast.Constant(value=str(key))):
                step = (key,)
            case ast.Subscript(value=inner, slice=ast.Constant(value=int())):
                step = (ELEMENT,)
            case ast.Call(
                func=ast.Attribute(value=inner, attr="get" | "pop" | "setdefault"),
                args=[ast.Constant(value=str(key)), *_],
            ):
                step = (key,)
            case ast.BoolOp(values=[inner, *_]) | ast.IfExp(body=inner):
                pass
            case ast.Call(func=ast.Name(id=name)):
                returned = (self._path(it, known) for it in self._code.return_values(name))
                return next((path for path in returned if path is not None), None)
            case ast.Name(id=name):
                found = (self._bound_path(it, known) for it in self._code.bindings_of(name))
                return next((path for path in found if path is not None), None)
        before = self._path(inner, known) if inner is not None else None
        return None if before is None else (*before, *step)

    def _bound_path(self, binding: Binding, known: _Paths) -> JSONPath | None:
        value, step = binding.value, ELEMENT
        if not binding.is_element:
            return self._path(value, known) if binding.place is None else None
        if (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Attribute)
            and value.func.attr in {"items", "values"}
        ):
            if value.func.attr == "items" and binding.place != 1:
                return None
            value, step = value.func.value, ANY_KEY
        elif binding.place is not None:
            return None
        before = self._path(value, known)
        return None if before is None else (*before, step)
