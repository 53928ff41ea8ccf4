"""Which indexes a revision creates, read from its code; nothing is run."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from dormatory.sql.operations import OperationKind, parse_operations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.sql.dialect import Dialect


def created_indexes(tree: ast.Module, dialect: Dialect) -> frozenset[str]:
    """Return the names of the indexes that the `upgrade` of a revision creates, as far as its text gives them."""
    upgrades = (it for it in tree.body if isinstance(it, ast.FunctionDef) and it.name == "upgrade")
    return frozenset(name for function in upgrades for name in _created_names(function, dialect))


def _created_names(function: ast.FunctionDef, dialect: Dialect) -> Iterator[str]:
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Attribute(attr="create_index"), args=[name, *_]):
                yield from _texts(name)
            case ast.Call(func=ast.Attribute(attr="create_index"), keywords=keywords):
                yield from (text for it in keywords if it.arg == "index_name" for text in _texts(it.value))
            case ast.Constant(value=str(sql)) if "index" in sql.lower():
                created = (it for it in parse_operations(sql, dialect) if it.kind is OperationKind.CREATE_INDEX)
                yield from (it.name for it in created)


def _texts(node: ast.expr) -> Iterator[str]:
    """Yield the text of a name, which `op.f()` may enclose."""
    yield from (it.value for it in ast.walk(node) if isinstance(it, ast.Constant) and isinstance(it.value, str))
