"""Outside of `backends/`, no code decides by the name of a backend: the facts and methods of `Backend` decide."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import dormatory
from dormatory.backends.names import BACKEND_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(dormatory.__file__).parent


def decisions_by_name(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield each expression that decides by a backend's name: comparison, `match`, prefix, or literal dictionary."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and _has_name(node.left, *node.comparators):
            yield node
        elif isinstance(node, ast.MatchValue) and _has_name(node.value):
            yield node.value
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".startswith") and _has_name(*node.args):
            yield node
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Dict):
            yield from [node] if _has_name(*filter(None, node.value.keys)) else []


def _has_name(*nodes: ast.AST) -> bool:
    constants = (it for node in nodes for it in ast.walk(node) if isinstance(it, ast.Constant))
    return any(constant.value in BACKEND_NAMES for constant in constants)


def test_no_code_outside_of_the_backends_decides_by_a_name() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno} {ast.unparse(node)}"
        for path in PACKAGE.rglob("*.py")
        if PACKAGE / "backends" not in path.parents
        for node in decisions_by_name(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "target.backend_name == 'sqlite'",
        "'postgresql' in backends",
        "connection.dialect.name not in ('sqlite', 'mysql')",
        "found.keys() == {'sqlite', 'postgresql'}",
        "match name:\n    case 'sqlite': pass",
        "match name:\n    case 'mysql' | 'postgresql': pass",
        "url.startswith('postgresql')",
        "{'sqlite': 1, 'postgresql': 2}[name]",
    ],
)
def test_every_way_to_decide_by_a_name_is_found(code: str) -> None:
    assert [*decisions_by_name(ast.parse(code))]


def test_a_name_in_a_text_for_a_revision_decides_nothing() -> None:
    code = """f"{x!r} if op.get_context().dialect.name == 'postgresql' else {y!r}" """
    assert not [*decisions_by_name(ast.parse(code))]
