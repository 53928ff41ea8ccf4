"""The rule about colons in SQL text, which SQLAlchemy takes for parameters."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule
from dormatory.checks.source.resolver import UNKNOWN_TEXT, argument
from dormatory.checks.source.sql_text import sql_without_literals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.source.revision import RevisionSource

# As in sqlalchemy.sql.elements.TextClause; next to an unknown part nothing is reported.
_PARAMETER = re.compile(rf"(?<![:\w\\{UNKNOWN_TEXT}]):(\w+)(?![:\w{UNKNOWN_TEXT}])")
_EXECUTE_METHODS = frozenset({"execute", "scalar", "scalars", "stream"})
_DDL_CALLS = frozenset({"Column", "Index", "Computed", "CheckConstraint", "create_index", "create_table", "add_column"})
_CONDITION_POSITIONS = {"CheckConstraint": 0, "create_check_constraint": 2, "Computed": 0}


UNESCAPED_COLON = Rule(
    "unescaped-colon",
    "source",
    Severity.ERROR,
    meaning="a colon in SQL text is taken for a parameter",
    why="""`op.execute` and `sa.text` read `:word` as a parameter, within quotes, too. A statement then fails; in a
    default, a CHECK or an index, NULL takes its place silently.""",
    recipe=r"""
    op.execute("UPDATE page SET address = 'urn\\:isbn' || isbn")
    """,
)


def unescaped_colons(source: RevisionSource) -> Iterator[Finding]:
    """Report unintended parameters: within quotes, or where no value can be passed."""
    for node in source.resolver.nodes:
        if isinstance(node, ast.Call) and (found := _sql_text_of_call(node, source)) is not None:
            place, can_have_values = found
            yield from _colons_in_text(source, place, can_have_values=can_have_values)


def _sql_text_of_call(node: ast.Call, source: RevisionSource) -> tuple[ast.expr, bool] | None:
    """Return the SQL text that a call reads parameters from, and whether values may be passed for them."""
    resolver = source.resolver
    name, called = resolver.dotted_name(node.func), resolver.called_name(node.func)
    if called == "text" and name.startswith("sqlalchemy."):
        return (node.args[0], _can_have_values(node, source)) if node.args else None
    if name == "alembic.op.execute" or (called == "execute" and name.startswith("alembic.op.batch_alter_table()")):
        text = resolver.value(argument(node, 0, "sqltext"))
        return (text, False) if isinstance(text, (ast.Constant, ast.JoinedStr, ast.BinOp)) else None
    if called in _CONDITION_POSITIONS:
        position = _CONDITION_POSITIONS[called] - (called == "create_check_constraint" and "batch" in name)
        text = resolver.value(argument(node, position, "condition", "sqltext"))
        return (text, False) if isinstance(text, (ast.Constant, ast.JoinedStr, ast.BinOp)) else None
    return None


def _can_have_values(text: ast.Call, source: RevisionSource) -> bool:
    """Return whether values may be bound to a text: not where it is executed as it is, nor in DDL."""
    for outer in source.resolver.enclosing_nodes(text):
        if isinstance(outer, ast.Attribute) and outer.attr in {"bindparams", "params"}:
            return True
        if isinstance(outer, ast.Call):
            name, called = source.resolver.dotted_name(outer.func), source.resolver.called_name(outer.func)
            if name == "alembic.op.execute" or called in _DDL_CALLS:
                return False
            if called in _EXECUTE_METHODS:
                return len(outer.args) > 1 or bool(outer.keywords)
        if isinstance(outer, ast.stmt):
            break
    return True


def _colons_in_text(source: RevisionSource, node: ast.expr, *, can_have_values: bool) -> Iterator[Finding]:
    text = source.resolver.text(node) or ""
    code = sql_without_literals(text)
    for found in _PARAMETER.finditer(text):
        is_quoted = code[found.start()] != ":"
        if is_quoted or not can_have_values:
            where = "within quotes" if is_quoted else "and gets no value"
            message = f"{found[0]} is taken for a parameter {where}"
            hint = rf"escape the colon: \\{found[0]}"
            line = _line_of_word(source, node, found[0])
            yield source.finding(UNESCAPED_COLON, node, message, hint, line=line, sql=text)


def _line_of_word(source: RevisionSource, node: ast.expr, word: str) -> int:
    """Return the line of an expression that contains a word."""
    value = source.resolver.value(node) or node
    first, last = value.lineno, value.end_lineno or value.lineno
    lines = source.resolver.lines[first - 1 : last]
    return next((first + number for number, line in enumerate(lines) if word in line), first)
