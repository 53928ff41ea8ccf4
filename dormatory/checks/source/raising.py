"""Whether an exception always follows a call: what the call does to the transaction is then undone anyway."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.checks.source.resolver import NameResolver

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LEAVES = (ast.Return, ast.Break, ast.Continue, ast.Yield, ast.YieldFrom)


def always_raises_after(resolver: NameResolver, call: ast.Call) -> bool:
    """Return whether an exception that nothing in the revision catches follows a call on every path.

    A helper is looked at together with all places that call it.
    """
    return _raises_after(resolver, call, ())


def _raises_after(resolver: NameResolver, node: ast.AST, helpers: tuple[str, ...]) -> bool:
    for outer in resolver.enclosing_nodes(node):
        if isinstance(outer, _FUNCTIONS):
            calls = [it for it in resolver.nodes if isinstance(it, ast.Call) and _calls(resolver, it, outer.name)]
            inner = (*helpers, outer.name)
            return outer.name not in helpers and bool(calls) and all(_raises_after(resolver, it, inner) for it in calls)
        following = _statements_after(outer, node)
        if _always_raises(following):
            return not any(_catches(around, inner) for inner, around in _levels_around(resolver, node))
        if isinstance(outer, (ast.For, ast.AsyncFor, ast.While)) or _may_leave(following):
            return False
        node = outer
    return False


def _calls(resolver: NameResolver, call: ast.Call, function: str) -> bool:
    return resolver.dotted_name(call.func) == function


def _statements_after(outer: ast.AST, node: ast.AST) -> Sequence[ast.stmt]:
    """Return the statements that follow a node in its block."""
    blocks = (block for _, block in ast.iter_fields(outer) if isinstance(block, list))
    return next((block[block.index(node) + 1 :] for block in blocks if node in block), [])


def _always_raises(body: Sequence[ast.stmt]) -> bool:
    """Return whether statements end in an exception, whatever is true when they run."""
    for statement in body:
        match statement:
            case ast.Raise():
                return True
            case ast.If(body=true, orelse=false) if _always_raises(true) and _always_raises(false):
                return True
            case ast.With(body=inner) if _always_raises(inner):
                return True
        if _may_leave([statement]):
            return False
    return False


def _may_leave(body: Sequence[ast.stmt]) -> bool:
    return any(isinstance(node, _LEAVES) for statement in body for node in ast.walk(statement))


def _levels_around(resolver: NameResolver, node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Yield each node within its function together with the node around it, the inner one first."""
    for outer in resolver.enclosing_nodes(node):
        if isinstance(outer, _FUNCTIONS):
            return
        yield node, outer
        node = outer


def _catches(outer: ast.AST, inner: ast.AST) -> bool:
    """Return whether a `try` has a handler for what its body raises that does not raise again."""
    return (
        isinstance(outer, ast.Try)
        and inner in outer.body
        and any(not _always_raises(handler.body) for handler in outer.handlers)
    )
