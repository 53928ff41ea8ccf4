"""What the names in a revision's code are bound to: by assignments, loops and the arguments of its own functions."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.checks.source.resolver import NameResolver

MAX_NAME_DEPTH = 8  # of names that stand for names


@dataclass(frozen=True, slots=True)
class Binding:
    """What a name is bound to: an expression or one of its elements, and of that the part at a place out of `size`."""

    value: ast.expr
    is_element: bool = False
    place: int | None = None
    size: int = 0


class CodeBindings:
    """The names of a function; `nodes` are its own, and those of the functions and constants of the file it uses."""

    def __init__(self, resolver: NameResolver, function: str) -> None:
        self._resolver = resolver
        self.classes = {node.name: node for node in resolver.nodes if isinstance(node, ast.ClassDef)}
        self.constants = dict(_constants(resolver.tree))
        self.nodes = tuple(self._used_nodes(function))
        self._bindings: dict[str, list[Binding]] = {}
        for node in self.nodes:
            for name, binding in self._bound_names(node):
                self._bindings.setdefault(name, []).append(binding)

    def _used_nodes(self, function: str) -> Iterator[ast.AST]:
        waiting, seen = [function], set[str]()
        while waiting:
            name = waiting.pop()
            used = self._resolver.functions.get(name) or self.classes.get(name) or self.constants.get(name)
            if used is None or name in seen:
                continue
            seen.add(name)
            for node in ast.walk(used):
                yield node
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                    waiting.append(node.id)

    def _bound_names(self, node: ast.AST) -> Iterator[tuple[str, Binding]]:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    yield from _names_of_target(target, value, is_element=False)
            case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value):
                yield from _names_of_target(target, value, is_element=False)
            case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
                yield from _names_of_target(target, value, is_element=True)
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in self._resolver.functions:
                parameters = self._resolver.functions[name].args.args
                for parameter, argument in zip(parameters, arguments, strict=False):
                    yield parameter.arg, Binding(argument)

    def bindings_of(self, name: str) -> Sequence[Binding]:
        """Return what a name is bound to in the function, or else at the top of the file."""
        found = self._bindings.get(name)
        if found is None:
            return [Binding(self.constants[name])] if name in self.constants else []
        return found

    def is_code(self, name: str) -> bool:
        """Return whether a name is that of an import, a function or a class."""
        return name in self._resolver.origins or name in self._resolver.functions or name in self.classes

    def return_values(self, function: str) -> list[ast.expr]:
        """Return what a function of the file returns."""
        node = self._resolver.functions.get(function)
        return [it.value for it in ast.walk(node) if isinstance(it, ast.Return) and it.value] if node else []

    def called_name(self, call: ast.Call) -> str:
        """Return the full name of what is called."""
        return self._resolver.dotted_name(call.func)

    def text(self, node: ast.expr) -> str | None:
        """Return the text that an expression gives, as NameResolver does."""
        return self._resolver.text(node)


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node.value


def _names_of_target(target: ast.expr, value: ast.expr, *, is_element: bool) -> Iterator[tuple[str, Binding]]:
    if isinstance(target, ast.Name):
        yield target.id, Binding(value, is_element)
    elif isinstance(target, (ast.Tuple, ast.List)):
        for place, item in enumerate(target.elts):
            if isinstance(item, ast.Name):
                yield item.id, Binding(value, is_element, place, len(target.elts))
