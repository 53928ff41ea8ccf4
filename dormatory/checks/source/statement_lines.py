"""The lines of statements in a revision's syntax tree."""

from __future__ import annotations

import ast


def is_docstring(node: ast.stmt) -> bool:
    """Return whether a statement is a literal alone, such as a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def statement_lines(tree: ast.Module, line: int) -> range:
    """Return the lines of the innermost statement around a line, if the line is its first or last, else the line.

    Of a statement with a body, these are the lines above the body.
    """
    around = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and line in _header_lines(node)]
    if not around:
        return range(line, line + 1)
    extent = _header_lines(min(around, key=lambda node: len(_header_lines(node))))
    return extent if line in (extent[0], extent[-1]) else range(line, line + 1)


def _header_lines(node: ast.stmt) -> range:
    body = getattr(node, "body", None)
    end = body[0].lineno if body else (node.end_lineno or node.lineno) + 1
    return range(node.lineno, max(end, node.lineno + 1))
