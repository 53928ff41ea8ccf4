"""What squawk reports about the SQL that a history executed: pure, squawk itself runs elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.locks.upgrade import ExecutedStatement, Upgrade, recorded_upgrades
from dormatory.checks.rule import Rule
from dormatory.sql.operations import OperationKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dormatory.checks.finding import Finding, LinterMessage
    from dormatory.project.history import History
    from dormatory.recording.model import Recording

# Rules that are not about what this change does: style of SQL, preferred types, names and promises.
STYLE_RULES = frozenset(
    {
        *("prefer-bigint-over-int", "prefer-bigint-over-smallint", "prefer-identity", "prefer-text-field"),
        *("prefer-robust-stmts", "require-statement-timeout", "require-table-schema"),
        *("ban-drop-constraint", "ban-drop-default"),
        "syntax-error",  # squawk's grammar lacks something: the server did execute the statement
        "unused-ignore",
    }
)
# Rules about blocking or losing something; the others, and those of a later squawk, are notes: often it is intended.
_WARNING_RULES = frozenset(
    {
        "ban-alter-domain-with-add-constraint",
        "ban-create-domain-with-constraint",
        "ban-drop-database",
        "ban-set-schema",
        "ban-truncate-cascade",
        "require-concurrent-partition-detach",
    }
)
_ROW_STATEMENTS = ("select", "insert", "update", "delete", "with", "values", "merge", "copy", "set", "show", "reset")


@dataclass(frozen=True, slots=True)
class ExecutedDDL:
    """The DDL that the upgrade of one revision executed, as one text, and the line at which each statement begins."""

    upgrade: Upgrade
    text: str
    statement_lines: tuple[tuple[int, ExecutedStatement], ...]


def executed_ddl(recording: Recording, history: History) -> Mapping[str, ExecutedDDL]:
    """Return the DDL of each upgrade by revision; statements that write or read rows are left out."""
    found = {upgrade.step.revision: _ddl_of(upgrade) for upgrade in recorded_upgrades(recording, history)}
    return {name: script for name, script in found.items() if script.statement_lines}


SQUAWK = Rule(
    "squawk",
    "locks",
    Severity.WARNING,
    meaning="squawk reports a statement",
    why="It reads the SQL that was executed; https://squawkhq.com/docs/rules has its reasons.",
    recipe="# the message names squawk's rule and its remedy",
)


def squawk_findings(
    scripts: Mapping[str, ExecutedDDL],
    messages: Sequence[LinterMessage],
    *,
    replaced: Collection[str] = (),
    excluded: Collection[str] = STYLE_RULES,
) -> Iterator[Finding]:
    """Report the messages of squawk about tables that existed before the revision, at the line of the revision.

    `replaced` are the rules of squawk that a rule of our own replaces: it measures, so where it is silent, nothing
    blocked. `excluded` are further rules to leave out.
    """
    for it in messages:
        script = scripts[it.text_name]
        executed = next((played for line, played in reversed(script.statement_lines) if line <= it.line), None)
        if it.rule in replaced or it.rule in excluded or executed is None or not _is_about_existing_table(executed):
            continue
        table = next((operation.table for operation in executed.operations if operation.table), "")
        severity = None if it.rule in _WARNING_RULES else Severity.NOTE
        message = f"{it.message.rstrip('.')} (squawk: {it.rule})"
        hint = it.fix or f"https://squawkhq.com/docs/{it.rule}"
        yield script.upgrade.finding(SQUAWK, executed, message, hint, f"{it.rule} {table}".strip(), severity=severity)


def _is_about_existing_table(executed: ExecutedStatement) -> bool:
    """Return whether a statement changes something that existed: nobody waits for a table that the revision creates."""
    kinds = {OperationKind.OTHER, OperationKind.DROP_OBJECT}
    return any(operation.table or operation.kind in kinds for operation in executed.operations)


def _ddl_of(upgrade: Upgrade) -> ExecutedDDL:
    parts, lines, number, transaction = list[str](), list[tuple[int, ExecutedStatement]](), 1, 0
    for executed in upgrade.statements:
        statement = executed.statement
        if statement.sql.lower().startswith(_ROW_STATEMENTS):
            continue
        if statement.transaction != transaction:  # squawk reads whether statements stand in a transaction
            transaction_marks = ["COMMIT;\n"] * bool(transaction) + ["BEGIN;\n"] * bool(statement.transaction)
            parts, number, transaction = (
                [*parts, *transaction_marks],
                number + len(transaction_marks),
                statement.transaction,
            )
        lines.append((number, executed))
        parts.append(f"{statement.sql.rstrip().rstrip(';')};\n")
        number += parts[-1].count("\n")
    parts += ["COMMIT;\n"] * bool(transaction)
    return ExecutedDDL(upgrade, "".join(parts), tuple(lines))
