"""Rules about work on all rows of a table: written in one statement, or gone through more often than needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.locks.recipes import autocommit_block
from dormatory.checks.locks.upgrade import full_name
from dormatory.checks.rule import Rule
from dormatory.sql.lexer import tokenize_statement
from dormatory.sql.nesting import top_level
from dormatory.sql.operations import OperationKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.locks.upgrade import ExecutedStatement, Upgrade

WHOLE_TABLE_WRITE = Rule(
    "whole-table-write",
    "locks",
    Severity.WARNING,
    meaning="all rows of an existing table are changed or deleted in one statement",
    why="""Each row stays locked until the last one is written, replicas fall behind, and the dead rows double the
    table.""",
    recipe="""
    with op.get_context().autocommit_block():
        while op.get_bind().execute(batch_of_a_thousand).rowcount: ...
    """,
)


def whole_table_writes(upgrade: Upgrade, reported_lines: Collection[int]) -> Iterator[Finding]:
    """Report an UPDATE or DELETE without a condition that wrote to a table which existed before.

    `reported_lines` are those for which another rule already advises to write in batches.
    """
    for executed, operation in upgrade.operations(OperationKind.WRITE):
        statement = executed.statement
        is_whole = operation.name in {"update", "delete"} and not _has_condition(executed, upgrade)
        if is_whole and statement.line not in reported_lines:
            rows = f" ({statement.rows} here)" if statement.rows > 0 else ""
            message = f"{operation.name.upper()} of all rows of {operation.table}{rows} in one statement"
            hint = "in batches:\n" + autocommit_block("while op.get_bind().execute(batch_of_a_thousand).rowcount: ...")
            yield upgrade.finding(WHOLE_TABLE_WRITE, executed, message, hint, operation.table)


def _has_condition(executed: ExecutedStatement, upgrade: Upgrade) -> bool:
    words = {token.word for token in top_level(tokenize_statement(executed.statement.sql, upgrade.dialect))}
    return bool(words & {"where", "using", "from"} - ({"from"} if "delete" in words else set()))


ALTERED_IN_TURN = Rule(
    "altered-in-turn",
    "locks",
    Severity.NOTE,
    meaning="several ALTER TABLE each go through all rows of the same table",
    why="One ALTER TABLE with all its parts goes through them once, under the same lock.",
    recipe='op.execute("ALTER TABLE stay ALTER nights TYPE bigint, ALTER price TYPE numeric(12, 2)")',
)


def repeated_passes(upgrade: Upgrade) -> Iterator[Finding]:
    """Report statements after which a table had been read or copied more than once for ALTER TABLE."""
    for table in upgrade.step.before.tables:
        name = full_name(table)
        passes = [
            executed
            for executed in upgrade.statements
            if name in {*executed.statement.rewritten, *executed.statement.scanned}
            and executed.statement.sql.lstrip()[:11].upper() == "ALTER TABLE"
            and not any(it.kind is OperationKind.VALIDATE_CONSTRAINT for it in executed.operations)
        ]
        if len(passes) > 1 and upgrade.has_kept(name):
            lines = ", ".join(str(line) for line in sorted({it.statement.line for it in passes}))
            message = f"{len(passes)} statements (line {lines}) each go through all rows of {name}; one could do it"
            hint = f"ALTER TABLE {name} with all parts in one statement, separated by commas"
            yield upgrade.finding(ALTERED_IN_TURN, passes[-1], message, hint, name)
