"""What the names and texts in a revision's syntax tree stand for, as far as the tree itself shows it."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

UNKNOWN_TEXT = "\ue000"  # in a text, for each part that is only known at run time
_NO_TEXTS: Mapping[str, str] = {}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class NameResolver:
    """The names of one revision: where they come from, their texts and the functions.

    `origins` maps a name to what was imported by it (`o` to `alembic.op`), `imports` to the statement that did so.
    """

    def __init__(self, tree: ast.Module, lines: Sequence[str] = ()) -> None:
        self.tree, self.lines = tree, lines
        self.nodes = tuple(ast.walk(tree))
        self.imports = dict(_imported_names(self.nodes))
        self.origins = {name: origin for name, (origin, _) in self.imports.items()}
        self.functions = {node.name: node for node in self.nodes if isinstance(node, _FUNCTIONS)}
        self.parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}
        self._values: dict[tuple[ast.AST, str], list[ast.expr]] = {}
        for node in self.nodes:
            for name, value in _bound_names(node):
                self._values.setdefault((self._scopes(node)[0], name), []).append(value)

    def value(self, node: ast.expr | None) -> ast.expr | None:
        """Return an expression itself; for a name that has only one value in its scope, that value."""
        seen = set[str]()
        while isinstance(node, ast.Name) and node.id not in seen:
            seen.add(node.id)
            found = next(
                (self._values[key] for scope in self._scopes(node) if (key := (scope, node.id)) in self._values), []
            )
            if not found or (len(found) > 1 and len({ast.dump(value) for value in found}) > 1):
                break
            node = found[0]
        return node

    def _scopes(self, node: ast.AST) -> list[ast.AST]:
        """Return the functions around a node, the nearest first, and the module."""
        return [
            outer for outer in (node, *self.enclosing_nodes(node)) if isinstance(outer, (*_FUNCTIONS, ast.Module))
        ] or [self.tree]

    def dotted_name(self, node: ast.AST | None) -> str:
        """Return the full name of what an expression names, such as `alembic.op.execute`; calls stand as `()`.

        A name that was not imported stays as it is, or is replaced by the one value that it has.
        """
        match node:
            case ast.Name(id=name):
                if name in self.origins:
                    return self.origins[name]
                value = self.value(node)
                return (
                    name
                    if value is node or not isinstance(value, (ast.Attribute, ast.Call))
                    else self.dotted_name(value)
                )
            case ast.Attribute(value=value, attr=attr):
                return f"{self.dotted_name(value)}.{attr}"
            case ast.Call(func=function):
                return f"{self.dotted_name(function)}()"
            case ast.Await(value=value):
                return self.dotted_name(value)
        return ""

    def text(self, node: ast.expr | None, parameter_texts: Mapping[str, str] = _NO_TEXTS) -> str | None:
        """Return the text that an expression gives, with UNKNOWN_TEXT for what is not known; None for no text.

        `parameter_texts` are the texts of parameters. It reads `op.f()`, `sa.text()`, `str.format()` and
        `textwrap.dedent()`.
        """
        if isinstance(node, ast.Name) and node.id in parameter_texts:
            return parameter_texts[node.id]
        found: str | None = None
        match self.value(node):
            case ast.Constant(value=str(text)):
                found = text
            case ast.JoinedStr(values=values):
                found = "".join(self._text_of_piece(value, parameter_texts) for value in values)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                sides = self.text(left, parameter_texts), self.text(right, parameter_texts)
                found = (
                    None if sides == (None, None) else "".join(UNKNOWN_TEXT if side is None else side for side in sides)
                )
            case ast.BinOp(left=left, op=ast.Mod()):
                found = _with_unknowns(self.text(left, parameter_texts), _FILLED_BY_PERCENT)
            case ast.Call() as call:
                found = self._text_of_call(call, parameter_texts)
        return found

    def _text_of_call(self, call: ast.Call, parameter_texts: Mapping[str, str]) -> str | None:
        if isinstance(call.func, ast.Attribute) and call.func.attr in _FILLED_BY_FORMAT:
            return _with_unknowns(self.text(call.func.value, parameter_texts), _FILLED_BY_FORMAT[call.func.attr])
        return (
            self.text(call.args[0], parameter_texts)
            if call.args and self.called_name(call.func) in _TEXT_WRAPPERS
            else None
        )

    def called_name(self, function: ast.expr) -> str:
        """Return the last part of the name of what is called."""
        return self.dotted_name(function).rpartition(".")[2]

    def enclosing_nodes(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield the nodes around a node, the nearest first."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def _text_of_piece(self, node: ast.expr, parameter_texts: Mapping[str, str]) -> str:
        inner = node.value if isinstance(node, ast.FormattedValue) else node
        found = self.text(inner, parameter_texts) if isinstance(inner, ast.expr) else None
        return UNKNOWN_TEXT if found is None else found


_NO_PLACES = re.compile(r"(?!)")
_FILLED_BY_FORMAT = {"format": re.compile(r"\{[^{}]*\}"), "bindparams": _NO_PLACES, "columns": _NO_PLACES}
_FILLED_BY_PERCENT = re.compile(r"%(?:\(\w+\))?[srd]")
_TEXT_WRAPPERS = frozenset({"f", "text", "dedent", "cleandoc", "DDL", "literal_column"})


def _with_unknowns(text: str | None, places: re.Pattern[str]) -> str | None:
    return None if text is None else places.sub(UNKNOWN_TEXT, text)


def argument(call: ast.Call, position: int, *names: str) -> ast.expr | None:
    """Return what a call passes at a position, counted from 0, or by one of these names."""
    if len(call.args) > position and not any(isinstance(item, ast.Starred) for item in call.args[: position + 1]):
        return call.args[position]
    return keyword_argument(call, *names)


def keyword_argument(call: ast.Call, *names: str) -> ast.expr | None:
    """Return what a call passes by one of these names."""
    return next((word.value for word in call.keywords if word.arg in names), None)


def is_true(node: ast.expr | None) -> bool:
    """Return whether an argument is the literal True."""
    return isinstance(node, ast.Constant) and node.value is True


def _imported_names(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, tuple[str, ast.stmt]]]:
    """Yield each name that an import binds, what it stands for, and the import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for item in node.names:
                name = item.asname or item.name.partition(".")[0]
                yield name, (item.name if item.asname else name, node)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((item.asname or item.name, (f"{module}.{item.name}", node)) for item in node.names)


def _bound_names(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that a node binds, each with its value; a name bound to a part of a value has an unknown one."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, ast.Name):
                    yield target.id, value
                else:
                    yield from _unknown_names(target)
        case (
            ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            | ast.NamedExpr(target=ast.Name(id=name), value=value)
        ):
            yield name, value
        case ast.AugAssign(target=ast.Name(id=name)):
            yield name, _UNKNOWN_VALUE
            yield name, _UNKNOWN_VALUE
        case ast.For(target=target) | ast.AsyncFor(target=target) | ast.comprehension(target=target):
            yield from _unknown_names(target)
        case ast.withitem(context_expr=value, optional_vars=ast.Name(id=name)):
            yield name, value
        case ast.arg(arg=name):
            yield name, _UNKNOWN_VALUE


_UNKNOWN_VALUE = ast.Constant(value=...)


def _is_stored(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _unknown_names(target: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    yield from ((item.id, _UNKNOWN_VALUE) for item in ast.walk(target) if _is_stored(item))
