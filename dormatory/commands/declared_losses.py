"""Declares in a new revision what it drops: a line `lossy`, as `db.check` asks for it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from dormatory.project.script import function_definition, parse_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HEADER_NAMES = {"revision", "down_revision", "branch_labels", "depends_on"}


def declare_losses(file: Path) -> None:
    """Write behind the identifiers of a generated revision which tables and columns its upgrade drops, if any."""
    tree = parse_source(file, file.read_bytes())
    upgrade = function_definition(tree, "upgrade")
    names = list(dict.fromkeys(_dropped_names(upgrade))) if upgrade else []
    ends = [it.end_lineno or it.lineno for it in tree.body if _assigned_name(it) in _HEADER_NAMES]
    if names and ends:
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        lines.insert(max(ends), f'lossy = "{", ".join(names)}"\n')
        file.write_text("".join(lines), encoding="utf-8")


def _assigned_name(node: ast.stmt) -> str:
    match node:
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name), *_]):
            return name
    return ""


def _dropped_names(node: ast.AST, batch: str = "") -> Iterator[str]:
    """Yield `table NAME` and `TABLE.COLUMN` of the drops in generated code; `batch` is the table of a batch."""
    if isinstance(node, ast.With):
        batch = next((_texts(item.context_expr)[0] for item in node.items if _texts(item.context_expr)), batch)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        match node.func.attr, _texts(node):
            case "drop_table", [table]:
                yield f"table {table}"
            case "drop_column", [table, column]:
                yield f"{table}.{column}"
            case "drop_column", [column] if batch:
                yield f"{batch}.{column}"
    for child in ast.iter_child_nodes(node):
        yield from _dropped_names(child, batch)


def _texts(node: ast.AST) -> list[str]:
    """Return the positional arguments of a call that are texts; keywords hold a schema, which messages leave out."""
    arguments = node.args if isinstance(node, ast.Call) else []
    return [it.value for it in arguments if isinstance(it, ast.Constant) and isinstance(it.value, str)]
