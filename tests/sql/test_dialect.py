"""Dialects: names in quotes, and no code outside of the backends that names one of them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import dormatory
from dormatory.backends.names import BACKEND_NAMES
from dormatory.backends.postgresql.dialect import DIALECT as POSTGRESQL
from dormatory.backends.registry import dialect_by_name
from dormatory.backends.sqlite.dialect import DIALECT as SQLITE
from dormatory.sql.lexer import lexemes

PACKAGE = Path(dormatory.__file__).parent
FILES_OUTSIDE_OF_BACKENDS = [
    path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] != "backends"
]


@pytest.mark.parametrize("name", BACKEND_NAMES)
def test_every_backend_has_a_dialect_of_its_name(name: str) -> None:
    assert dialect_by_name(name).name == name


def test_names_are_quoted_only_where_they_need_it() -> None:
    assert [SQLITE.quote_identifier(name) for name in ("room", "Room", 'a"b', "key", "order")] == [
        "room", '"Room"', '"a""b"', "key", '"order"'
    ]  # fmt: skip
    assert [POSTGRESQL.quote_identifier(name) for name in ("user", "begin", "room_2", "2nd")] == [
        '"user"', '"begin"', "room_2", '"2nd"'
    ]  # fmt: skip


def test_a_qualified_name_has_its_namespace_in_front() -> None:
    assert POSTGRESQL.qualified_name("audit", "Event") == 'audit."Event"'
    assert SQLITE.qualified_name(None, "event") == "event"


def test_a_comment_within_a_comment_ends_where_the_dialect_says() -> None:
    sql = "/* one /* two */ three */"

    assert list(lexemes(sql, POSTGRESQL)) == [("comment", 0, len(sql))]
    assert next(lexemes(sql, SQLITE)) == ("comment", 0, len("/* one /* two */"))


def test_no_code_outside_of_the_backends_names_a_dialect() -> None:
    dialect_modules = {f"dormatory.backends.{name}.dialect" for name in BACKEND_NAMES}
    found = [
        f"{path.relative_to(PACKAGE)}: {ast.unparse(node)}"
        for path in FILES_OUTSIDE_OF_BACKENDS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if dialect_modules & set(_imported_modules(node))
    ]

    assert len(FILES_OUTSIDE_OF_BACKENDS) > len(BACKEND_NAMES)
    assert found == []


def _imported_modules(node: ast.AST) -> list[str]:
    """Return the full names of all that a statement may import as a module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []
