"""Operations that Alembic does not have: for one backend only, SQL of a backend, and a choice that is left open."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from alembic.autogenerate.render import render_op, renderers
from alembic.operations.ops import MigrateOperation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alembic.autogenerate.api import AutogenContext

    from dormatory.schema.alteration import AlterStatement

_LINE_LENGTH = 90
# What SQLAlchemy takes for a parameter in a text, as in sqlalchemy.sql.elements.TextClause.
_PARAMETER = re.compile(r"(?<![:\w\\]):(?=\w+(?!:))")
_WORDS = re.compile(r"\S*\s*")


class OnlyOn(MigrateOperation):
    """Operations that are executed on one backend only."""

    def __init__(self, dialect: str, operations: Sequence[MigrateOperation]) -> None:
        self.dialect, self.operations = dialect, tuple(operations)


class ExecuteSql(MigrateOperation):
    """One statement of a backend's own."""

    def __init__(self, statement: AlterStatement) -> None:
        self.statement = statement


class Undecided(MigrateOperation):
    """A choice that the developer makes: whoever runs the revision before that is told so at this line."""

    def __init__(self, question: str) -> None:
        self.question = question


@renderers.dispatch_for(Undecided)
def _render_undecided(_: AutogenContext, operation: Undecided) -> str:
    return f"raise NotImplementedError({_literal(operation.question)})"


@renderers.dispatch_for(OnlyOn)
def _render_only_on(context: AutogenContext, operation: OnlyOn) -> list[str]:
    """Return the lines of an `if`; an empty one ends the block, as Alembic's printer wants it."""
    prefix = context.opts["alembic_module_prefix"]
    lines = [f"if {prefix}get_context().dialect.name == {operation.dialect!r}:"]
    for one in operation.operations:
        lines += render_op(context, one)
    return [*lines, ""]


@renderers.dispatch_for(ExecuteSql)
def _render_sql(context: AutogenContext, operation: ExecuteSql) -> list[str]:
    prefix, statement = context.opts["alembic_module_prefix"], operation.statement
    call = f"{prefix}execute({_literal(_PARAMETER.sub(chr(92) + ':', statement.sql))})"
    if statement.is_online:
        return [f"with {prefix}get_context().autocommit_block():", call, ""]
    return [call]


def _literal(text: str) -> str:
    """Return the text as a literal, a long one as several that Python joins; white space in it is data."""
    return " ".join(map(repr, _lines(text))) if len(text) > _LINE_LENGTH else repr(text)


def _lines(text: str) -> Iterator[str]:
    """Yield the lines of a text, and long ones in several parts."""
    for line in text.splitlines(keepends=True):
        part = ""
        for word in _WORDS.findall(line):
            if part.strip() and len(part) + len(word) > _LINE_LENGTH:
                yield part
                part = ""
            part += word
        yield part
