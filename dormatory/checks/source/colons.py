"""The rule of colons in SQL text, which SQLAlchemy takes for parameters."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from dormatory.checks.source.resolver import UNKNOWN, argument
from dormatory.checks.source.revision import bare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.source.revision import Revised

# As sqlalchemy.sql.elements.TextClause has it; beside a part that is not known nothing is claimed.
_PARAMETER = re.compile(rf"(?<![:\w\\{UNKNOWN}]):(\w+)(?![:\w{UNKNOWN}])")
_RUNS = frozenset({"execute", "scalar", "scalars", "stream"})
_DDL = frozenset({"Column", "Index", "Computed", "CheckConstraint", "create_index", "create_table", "add_column"})
_CONDITIONS = {"CheckConstraint": 0, "create_check_constraint": 2, "Computed": 0}


def colons(revised: Revised) -> Iterator[Finding]:
    """Report parameters that were not meant: within quotes, or where no value can be passed."""
    for node in revised.reading.nodes:
        if isinstance(node, ast.Call) and (found := _text_in(node, revised)) is not None:
            place, can_have_values = found
            yield from _in_text(revised, place, can_have_values=can_have_values)


def _text_in(node: ast.Call, revised: Revised) -> tuple[ast.expr, bool] | None:
    """Return the SQL text that a call reads parameters from, and whether values may be passed for them."""
    reading = revised.reading
    name, called = reading.dotted(node.func), reading.called(node.func)
    if called == "text" and name.startswith("sqlalchemy."):
        return (node.args[0], _may_get_values(node, revised)) if node.args else None
    if name == "alembic.op.execute" or (called == "execute" and name.startswith("alembic.op.batch_alter_table()")):
        text = reading.value(argument(node, 0, "sqltext"))
        return (text, False) if isinstance(text, (ast.Constant, ast.JoinedStr, ast.BinOp)) else None
    if called in _CONDITIONS:
        position = _CONDITIONS[called] - (called == "create_check_constraint" and "batch" in name)
        text = reading.value(argument(node, position, "condition", "sqltext"))
        return (text, False) if isinstance(text, (ast.Constant, ast.JoinedStr, ast.BinOp)) else None
    return None


def _may_get_values(text: ast.Call, revised: Revised) -> bool:
    """Say whether values may be bound to a text: not where it is executed as it is, nor in DDL."""
    for outer in revised.reading.enclosing(text):
        if isinstance(outer, ast.Attribute) and outer.attr in {"bindparams", "params"}:
            return True
        if isinstance(outer, ast.Call):
            name, called = revised.reading.dotted(outer.func), revised.reading.called(outer.func)
            if name == "alembic.op.execute" or called in _DDL:
                return False
            if called in _RUNS:
                return len(outer.args) > 1 or bool(outer.keywords)
        if isinstance(outer, ast.stmt):
            break
    return True


def _in_text(revised: Revised, node: ast.expr, *, can_have_values: bool) -> Iterator[Finding]:
    text = revised.reading.text(node) or ""
    code = bare(text)
    for found in _PARAMETER.finditer(text):
        is_quoted = code[found.start()] != ":"
        if is_quoted or not can_have_values:
            where = "within quotes" if is_quoted else "and gets no value"
            message = f"{found[0]} is taken for a parameter {where}"
            hint = rf"escape the colon: \\{found[0]}"
            line = _line(revised, node, found[0])
            yield revised.finding("unescaped-colon", node, message, hint, line=line, end_line=line, column=0, sql=text)


def _line(revised: Revised, node: ast.expr, word: str) -> int:
    """Return the line of an expression in which a word stands."""
    value = revised.reading.value(node) or node
    first, last = value.lineno, value.end_lineno or value.lineno
    lines = revised.reading.lines[first - 1 : last]
    return next((first + number for number, line in enumerate(lines) if word in line), first)
