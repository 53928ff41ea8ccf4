"""Which places of a parsed document the code of a revision reads, such as `("size", "height")` of a JSON text."""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import TYPE_CHECKING

from dormatory.replay.hints.bindings import MAX_NAME_DEPTH
from dormatory.replay.hints.json_samples import ANY_KEY, ELEMENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dormatory.replay.hints.bindings import Binding, CodeBindings
    from dormatory.replay.hints.literals import CodeLiterals
    from dormatory.sql.value_hints import JSONPath


class DocumentPaths:
    """The documents that some code reads."""

    def __init__(self, code: CodeBindings, literals: CodeLiterals) -> None:
        self._code, self._literals = code, literals

    def read(self, root: ast.Call) -> dict[JSONPath, list[str | int]]:
        """Return the places that the code reads in a parsed document, each with the literals it is compared with."""
        found: defaultdict[JSONPath, list[str | int]] = defaultdict(list)
        found[()] = []
        for node in self._code.nodes:
            path = self._path(node, root) if isinstance(node, ast.expr) else None
            if path is not None:
                found[path] += []
            match node:
                case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq() | ast.In() | ast.NotIn()], comparators=[right]):
                    if (path := self._path(left, root)) is not None:
                        found[path] += [value for value in self._literals.values(right) if not isinstance(value, bytes)]
                    elif (path := self._path(right, root)) is not None and isinstance(left, ast.Constant):
                        found[*path, str(left.value)] += []
                case ast.Call(func=ast.Attribute(value=value, attr="append" | "extend" | "remove")):
                    if (path := self._path(value, root)) is not None:
                        found[*path, ELEMENT] += []
        return found

    def _path(self, node: ast.expr, root: ast.Call, depth: int = 0) -> JSONPath | None:
        """Return where in the document that `root` parses an expression points, None if it points elsewhere."""
        if node is root:
            return ()
        if depth > MAX_NAME_DEPTH:
            return None
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
                return self._first_path(self._code.return_values(name), root, depth)
            case ast.Name(id=name):
                found = (self._bound_path(it, root, depth) for it in self._code.bindings_of(name))
                return next((path for path in found if path is not None), None)
        before = self._path(inner, root, depth + 1) if inner is not None else None
        return None if before is None else (*before, *step)

    def _first_path(self, nodes: Sequence[ast.expr], root: ast.Call, depth: int) -> JSONPath | None:
        found = (self._path(node, root, depth + 1) for node in nodes)
        return next((path for path in found if path is not None), None)

    def _bound_path(self, binding: Binding, root: ast.Call, depth: int) -> JSONPath | None:
        value, step = binding.value, ELEMENT
        if not binding.is_element:
            return self._path(value, root, depth + 1) if binding.place is None else None
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
        before = self._path(value, root, depth + 1)
        return None if before is None else (*before, step)
