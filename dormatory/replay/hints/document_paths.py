"""Which places of a parsed document the code of a revision reads, such as `("size", "height")` of a JSON text."""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import TYPE_CHECKING

from dormatory.replay.hints.json_samples import ANY_KEY, ELEMENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dormatory.replay.hints.bindings import Binding, CodeBindings
    from dormatory.replay.hints.literals import CodeLiterals
    from dormatory.sql.value_hints import JSONPath

    _Paths = Sequence[JSONPath]  # none for what points elsewhere
    _KnownPaths = dict[ast.expr, _Paths]


class DocumentPaths:
    """The documents that some code reads."""

    def __init__(self, code: CodeBindings, literals: CodeLiterals) -> None:
        self._code, self._literals = code, literals

    def read(self, root: ast.Call) -> dict[JSONPath, list[str | int]]:
        """Return the places that the code reads in a parsed document, each with the literals it is compared with."""
        found: defaultdict[JSONPath, list[str | int]] = defaultdict(list)
        found[()] = []
        known: _KnownPaths = {root: [()]}
        for node in self._code.nodes:
            for path in self._paths(node, known) if isinstance(node, ast.expr) else ():
                found[path] += []
            match node:
                case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq() | ast.In() | ast.NotIn()], comparators=[right]):
                    for path in self._paths(left, known):
                        found[path] += [value for value in self._literals.values(right) if not isinstance(value, bytes)]
                    if isinstance(left, ast.Constant):
                        for path in self._paths(right, known):
                            found[*path, str(left.value)] += []
                case ast.Call(func=ast.Attribute(value=value, attr="append" | "extend" | "remove")):
                    for path in self._paths(value, known):
                        found[*path, ELEMENT] += []
        return found

    def _paths(self, node: ast.expr, known: _KnownPaths) -> _Paths:
        """Return where in a document an expression points: in several places, if a key is one of several texts.

        Each expression is read once: names may be bound many times, and in terms of each other.
        """
        if node not in known:
            known[node] = ()  # what leads back to itself leads nowhere
            known[node] = self._read_paths(node, known)
        return known[node]

    def _read_paths(self, node: ast.expr, known: _KnownPaths) -> _Paths:
        match node:
            case ast.Subscript(value=inner, slice=ast.Constant(value=int())):
                return self._paths_below(inner, [ELEMENT], known)
            case (
                ast.Subscript(value=inner, slice=key)
                | ast.Call(func=ast.Attribute(value=inner, attr="get" | "pop" | "setdefault"), args=[key, *_])
            ):
                return self._paths_below(inner, self._literals.texts_of(key), known)
            case ast.BoolOp(values=[inner, *_]) | ast.IfExp(body=inner):
                return self._paths(inner, known)
            case ast.Call(func=ast.Name(id=name)):
                return _first(self._paths(it, known) for it in self._code.return_values(name))
            case ast.Name(id=name):
                return _first(self._bound_paths(it, known) for it in self._code.bindings_of(name))
        return ()

    def _paths_below(self, inner: ast.expr, steps: Sequence[str], known: _KnownPaths) -> _Paths:
        return [(*path, step) for path in self._paths(inner, known) for step in steps] if steps else ()

    def _bound_paths(self, binding: Binding, known: _KnownPaths) -> _Paths:
        value, step = binding.value, ELEMENT
        if not binding.is_element:
            return self._paths(value, known) if binding.place is None else ()
        if (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Attribute)
            and value.func.attr in {"items", "values"}
        ):
            if value.func.attr == "items" and binding.place != 1:
                return ()
            value, step = value.func.value, ANY_KEY
        elif binding.place is not None:
            return ()
        return self._paths_below(value, [step], known)


def _first(found: Iterable[_Paths]) -> _Paths:
    return next((paths for paths in found if paths), ())
