"""Operations that Alembic does not have: for one backend only, SQL of a backend, and a choice that is left open."""

from __future__ import annotations

import re
import textwrap
from itertools import groupby
from typing import TYPE_CHECKING

from alembic.autogenerate.render import render_op, renderers
from alembic.operations.ops import MigrateOperation, ModifyTableOps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from alembic.autogenerate.api import AutogenContext

    from dormatory.authoring.renames import ProbableRename
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
    """A choice that the developer makes: whoever runs the revision before that is told so at this line.

    It is no NotImplementedError, which would declare in a downgrade that there is no way back. An answer that writes
    rows `after_changes` of the structure stands in a block that commits those first: see `on_each_backend`.
    """

    def __init__(self, question: str, *, after_changes: bool = False) -> None:
        self.question, self.after_changes = question, after_changes


class RenameObject(MigrateOperation):
    """A table or column gets another name.

    With `if_new`, the lines for a new thing in its place, the developer decides: no one else can execute it before.
    """

    def __init__(
        self, rename: ProbableRename, *, is_reverse: bool = False, if_new: Sequence[str] | None = None
    ) -> None:
        self.rename, self.is_reverse, self.if_new = rename, is_reverse, if_new


@renderers.dispatch_for(Undecided)
def _render_undecided(context: AutogenContext, operation: Undecided) -> list[str]:
    line = f"raise RuntimeError({_literal(operation.question)})"
    return [_autocommit_block(context), line, ""] if operation.after_changes else [line]


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
        lines += [_autocommit_block(context), *calls, ""] if is_online else calls
    return lines


def _autocommit_block(context: AutogenContext) -> str:
    return f"with {context.opts['alembic_module_prefix']}get_context().autocommit_block():"


@renderers.dispatch_for(RenameObject)
def _render_rename(context: AutogenContext, operation: RenameObject) -> list[str]:
    """Return the call that renames, under the evidence for it; an open choice also has the other form, as a comment."""
    rename = operation.rename
    names = (rename.old_name, rename.new_name) if not operation.is_reverse else (rename.new_name, rename.old_name)
    schema = f", schema={rename.namespace!r}" if rename.namespace else ""
    prefix = context.opts["alembic_module_prefix"]
    if rename.column is None:
        call = f"{prefix}rename_table({names[0]!r}, {names[1]!r}{schema})"
    else:
        call = f"{prefix}alter_column({rename.table[1]!r}, {names[0]!r}, new_column_name={names[1]!r}{schema})"
    if operation.if_new is None:
        return [*_comment(f"Renamed, as it seems: {rename.evidence}."), call]
    question = (
        f"decide here whether {rename.subject} was renamed to {rename.new_name}: "
        "delete this line, and the form below that is wrong; in upgrade() and in downgrade()"
    )
    # In a downgrade a NotImplementedError would declare that there is no way back.
    error = "RuntimeError" if operation.is_reverse else "NotImplementedError"
    loss = "" if operation.is_reverse else f', and lossy = "{rename.lossy_name}" is to be written above upgrade()'
    return [
        *_comment(f"Was {rename.subject} renamed to {rename.new_name}? Evidence: {rename.evidence}."),
        f"raise {error}({_literal(question)})",
        "# Renamed, the values stay:",
        call,
        *_comment(f"Not renamed, {rename.new_name} is new{loss}:"),
        *(f"#     {line}" for line in operation.if_new if line),
    ]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _LINE_LENGTH, initial_indent="# ", subsequent_indent="# ")


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
