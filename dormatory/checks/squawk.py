"""What squawk says of the SQL that a history executed, as findings: pure, squawk itself runs elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_by_name, dialect_by_name
from dormatory.checks.finding import Severity
from dormatory.checks.locks.upgrade import ExecutedStatement, Upgrade
from dormatory.sql.operations import OperationKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dormatory.checks.finding import Finding, LinterDiagnostic
    from dormatory.project.history import History
    from dormatory.recording.model import Recording

# Ours judge the same by what the server was seen to do; where they are silent, it did not block.
REPLACED_RULES: Mapping[str, str] = {
    "require-concurrent-index-creation": "index-not-concurrent",
    "require-concurrent-reindex": "index-not-concurrent",
    "require-concurrent-index-deletion": "index-drop-not-concurrent",
    "ban-concurrent-index-creation-in-transaction": "upgrade-fails",
    "constraint-missing-not-valid": "constraint-validated-under-lock",
    "adding-foreign-key-constraint": "constraint-validated-under-lock",
    "adding-not-nullable-field": "not-null-scan",
    "adding-field-with-default": "table-rewrite",
    "changing-column-type": "table-rewrite",
    "prefer-repack": "table-rewrite",
    "disallowed-unique-constraint": "constraint-builds-index",
    "adding-serial-primary-key-field": "constraint-builds-index",
    "adding-required-field": "required-column",
    "ban-drop-column": "column-in-use-dropped",
    "ban-drop-table": "table-in-use-dropped",
    "renaming-column": "renamed-in-use",
    "renaming-table": "renamed-in-use",
    "require-lock-timeout": "no-lock-timeout",
    "require-timeout-settings": "no-lock-timeout",
    "identifier-too-long": "identifier-too-long",
    "ban-uncommitted-transaction": "transaction-in-revision",
    "transaction-nesting": "transaction-in-revision",
}
# What says nothing of this change: how a project writes its SQL, which types it prefers, what it promises no more.
STYLE_RULES = frozenset(
    {
        *("prefer-bigint-over-int", "prefer-bigint-over-smallint", "prefer-identity", "prefer-text-field"),
        *("prefer-robust-stmts", "require-statement-timeout", "require-table-schema"),
        *("ban-drop-constraint", "ban-drop-default"),
        "syntax-error",  # of its own grammar: the server executed the statement
        "unused-ignore",
    }
)
# What blocks or loses something; the rest, and what a later squawk may add, is worth knowing and often meant so.
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
    """The DDL that the upgrade of one revision executed, as one text; `lines` are where each statement begins in it."""

    upgrade: Upgrade
    text: str
    statement_lines: tuple[tuple[int, ExecutedStatement], ...]


def executed_ddl(recording: Recording, history: History) -> Mapping[str, ExecutedDDL]:
    """Return the DDL of each upgrade by revision; statements that write or read rows are left out."""
    revision_by_id = history.by_id
    dialect = dialect_by_name(recording.backend)
    upgrades = (Upgrade.of(step, revision_by_id[step.revision], dialect) for step in recording.steps)
    found = {upgrade.step.revision: _ddl_of(upgrade) for upgrade in upgrades}
    is_ours = backend_by_name(recording.backend).has_lock_rules  # squawk reads the statements of no other backend
    return {name: script for name, script in found.items() if is_ours and script.statement_lines}


def squawk_findings(
    scripts: Mapping[str, ExecutedDDL],
    complaints: Sequence[LinterDiagnostic],
    *,
    excluded: Collection[str] = STYLE_RULES,
) -> Iterator[Finding]:
    """Report what squawk says, at the Python line, of what was there before the revision.

    What our own rules measure is theirs to say; `excluded` are further rules that nobody wants to hear of.
    """
    for it in complaints:
        script = scripts[it.text_name]
        executed = next((played for line, played in reversed(script.statement_lines) if line <= it.line), None)
        if (
            executed is None
            or it.rule in REPLACED_RULES
            or it.rule in excluded
            or not _is_about_existing_table(executed)
        ):
            continue
        table = next((operation.table for operation in executed.operations if operation.table), "")
        severity = None if it.rule in _WARNING_RULES else Severity.NOTE
        message = f"{it.message.rstrip('.')} (squawk: {it.rule})"
        hint = it.fix or f"https://squawkhq.com/docs/{it.rule}"
        yield script.upgrade.finding("squawk", executed, message, hint, f"{it.rule} {table}".strip(), severity=severity)


def _is_about_existing_table(executed: ExecutedStatement) -> bool:
    """Say whether a statement changes something that was there: a table made by the revision keeps nobody waiting."""
    return any(operation.table or operation.kind is OperationKind.OTHER for operation in executed.operations)


def _ddl_of(upgrade: Upgrade) -> ExecutedDDL:
    parts, lines, number, transaction = list[str](), list[tuple[int, ExecutedStatement]](), 1, 0
    for executed in upgrade.statements:
        statement = executed.statement
        if statement.sql.lower().startswith(_ROW_STATEMENTS):
            continue
        if statement.transaction != transaction:  # squawk minds whether statements stand in one
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
