"""Digests of what revisions do, from their syntax trees: layout, comments and docstrings do not count.

A digest is the same on every version of Python, so `v1` names our own way to write a tree down and no version of
`ast.dump`.
"""

from __future__ import annotations

import ast
import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dormatory.project.script import Script

_IGNORED_FIELDS = frozenset({"ctx", "kind", "type_comment"})
_NODES_WITH_DOCSTRING = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def script_digests(scripts: Iterable[Script]) -> dict[str, str]:
    """Return the digest of each revision that parses, by its id; of two files with one id, that of the first."""
    found: dict[str, str] = {}
    for script in scripts:
        if script.revision is not None and script.tree is not None and script.revision.id not in found:
            found[script.revision.id] = tree_digest(script.tree, script.sql_files)
    return found


def tree_digest(tree: ast.Module, sql_files: Iterable[tuple[str, bytes]] = ()) -> str:
    """Return the digest of a syntax tree; it does not depend on layout, comments, docstrings or Python's version.

    The SQL files that the code reads count as they are, but for the ends of their lines.
    """
    digest = hashlib.sha256("".join(_serialize(tree)).encode("ascii"))
    for name, content in sql_files:
        text = b"\n".join(content.splitlines())
        digest.update(f"{name!a}:{hashlib.sha256(text).hexdigest()}".encode("ascii"))
    return "v1:" + digest.hexdigest()


def _serialize(value: Any) -> Iterator[str]:
    """Yield the parts of a tree as text that depends only on its meaning."""
    if isinstance(value, ast.AST):
        yield f"({type(value).__name__}"
        for name in sorted(value._fields):
            item: Any = getattr(value, name, None)
            if name == "body" and isinstance(value, _NODES_WITH_DOCSTRING):
                item = _without_docstring(item)
            elif name == "values" and isinstance(value, ast.JoinedStr):
                item = _merge_constants(item)
            # A field that is empty, or that a newer Python has added, is left out; None as a constant is a value.
            if name not in _IGNORED_FIELDS and (isinstance(value, ast.Constant) or (item is not None and item != [])):
                yield f" {name}="
                yield from _serialize(item)
        yield ")"
    elif isinstance(value, (list, tuple, frozenset)):
        yield "["
        for item in value:
            yield from _serialize(item)
            yield ","
        yield "]"
    else:
        # In ASCII: which characters repr() shows as they are depends on the tables of a Python's Unicode.
        yield f"{type(value).__name__}:{value!a}"


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    match body:
        case [ast.Expr(value=ast.Constant(value=str())), *rest]:
            # A function that holds only a docstring does the same as one that holds only `pass`.
            return rest or [ast.Pass()]
    return body


def _merge_constants(values: list[ast.expr]) -> list[ast.expr]:
    """Return the parts of an f-string, adjacent constants as one: Python 3.12 splits them differently than 3.11."""
    parts: list[ast.expr] = []
    for part in values:
        last = parts[-1] if parts else None
        if isinstance(part, ast.Constant) and isinstance(last, ast.Constant):
            parts[-1] = ast.Constant(value=str(last.value) + str(part.value))
        elif not (isinstance(part, ast.Constant) and part.value == ""):
            parts.append(part)
    return parts
