"""Operations that Alembic does not have: for one backend only, SQL of a backend, and a choice that is left open."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

from alembic.autogenerate.render import render_op, renderers
from alembic.operations.ops import MigrateOperation, ModifyTableOps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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
    """Statements of a backend's own."""

    def __init__(self, statements: Sequence[AlterStatement]) -> None:
        self.statements = tuple(statements)


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
    """Return the calls, those of statements that run outside a transaction in a block that commits each by itself."""
    prefix = context.opts["alembic_module_prefix"]
    lines = list[str]()
    for is_online, statements in groupby(operation.statements, key=lambda it: it.is_online):
        calls = [f"{prefix}execute({_literal(_PARAMETER.sub(chr(92) + ':', it.sql))})" for it in statements]
        lines += [f"with {prefix}get_context().autocommit_block():", *calls, ""] if is_online else calls
    return lines


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


def join_blocks(operations: Iterable[MigrateOperation]) -> list[MigrateOperation]:
    """Return operations with those that follow each other under one condition, or on one table, in one block."""
    found = list[MigrateOperation]()
    for operation in operations:
        match found[-1:], operation:
            case [ModifyTableOps() as last], ModifyTableOps() if _table(last) == _table(operation):
                found[-1] = ModifyTableOps(last.table_name, [*last.ops, *operation.ops], schema=last.schema)
            case [OnlyOn() as last], OnlyOn() if last.dialect == operation.dialect:
                found[-1] = OnlyOn(last.dialect, join_blocks([*last.operations, *operation.operations]))
            case _:
                found.append(operation)
    return found


def _table(operation: ModifyTableOps) -> tuple[str | None, str]:
    return operation.schema, operation.table_name
