"""The constants of a module, as far as they can be read from its syntax tree without running it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

UNKNOWN = object()
"""The value of a name that only running the module would show."""


def module_constants(tree: ast.Module) -> dict[str, object]:
    """Return the top-level names of a module with their values; UNKNOWN where the value depends on a run."""
    found: dict[str, object] = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    found.update(_assignments(target, value, found))
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                found.update(_assignments(target, value, found))
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                pass
            case _:
                found.update(dict.fromkeys(_bound_names(node), UNKNOWN))
    return found


def _assignments(target: ast.expr, value: ast.expr, known: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield the names that an assignment binds, each with its value; a tuple of names is taken apart."""
    if isinstance(target, ast.Name):
        yield target.id, _evaluate(value, known)
    elif isinstance(target, (ast.Tuple, ast.List)):
        parts = value.elts if isinstance(value, (ast.Tuple, ast.List)) else []
        if len(parts) == len(target.elts) and not any(isinstance(it, ast.Starred) for it in (*parts, *target.elts)):
            for name, part in zip(target.elts, parts, strict=True):
                yield from _assignments(name, part, known)
        else:
            yield from ((name, UNKNOWN) for name in _bound_names(target))


def _evaluate(node: ast.expr, known: Mapping[str, object]) -> object:
    """Return the value of a literal, of a name that is known, or of texts and tuples put together from these."""
    match node:
        case ast.Name(id=name):
            return known.get(name, UNKNOWN)
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            values = tuple(_evaluate(part, known) for part in parts)
            return UNKNOWN if UNKNOWN in values else values
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _sum(_evaluate(left, known), _evaluate(right, known))
        case ast.JoinedStr(values=parts):
            texts = [_evaluate(part, known) for part in parts]
            return "".join(map(str, texts)) if UNKNOWN not in texts else UNKNOWN
        case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
            return _evaluate(value, known)
    return _literal(node)


def _literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return UNKNOWN


def _sum(left: object, right: object) -> object:
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    return left + right if isinstance(left, tuple) and isinstance(right, tuple) else UNKNOWN


def _bound_names(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement binds, wherever in it."""
    for part in ast.walk(node):
        match part:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name
            case ast.alias(name=name, asname=asname):
                yield asname or name
