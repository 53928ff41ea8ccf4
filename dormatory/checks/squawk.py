"""What squawk says of the SQL that a history executed, as findings: pure, squawk itself runs elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.locks.upgrade import Played, Scene
from dormatory.sql.operations import Verb

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dormatory.checks.finding import Complaint, Finding
    from dormatory.project.history import History
    from dormatory.recording.model import Recording

# Ours judge the same by what the server was seen to do; where they are silent, it did not block.
MEASURED: Mapping[str, str] = {
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
TASTE = frozenset(
    {
        *("prefer-bigint-over-int", "prefer-bigint-over-smallint", "prefer-identity", "prefer-text-field"),
        *("prefer-robust-stmts", "require-statement-timeout", "require-table-schema"),
        *("ban-drop-constraint", "ban-drop-default"),
        "syntax-error",  # of its own grammar: the server executed the statement
        "unused-ignore",
    }
)
# What blocks or loses something; the rest, and what a later squawk may add, is worth knowing and often meant so.
_WARNINGS = frozenset(
    {
        "ban-alter-domain-with-add-constraint",
        "ban-create-domain-with-constraint",
        "ban-drop-database",
        "ban-set-schema",
        "ban-truncate-cascade",
        "require-concurrent-partition-detach",
    }
)
_ROWS = ("select", "insert", "update", "delete", "with", "values", "merge", "copy", "set", "show", "reset")


@dataclass(frozen=True, slots=True)
class Script:
    """The DDL that the upgrade of one revision executed, as one text; `lines` are where each statement begins in it."""

    scene: Scene
    text: str
    lines: tuple[tuple[int, Played], ...]


def executed(recording: Recording, history: History) -> Mapping[str, Script]:
    """Return the DDL of each upgrade by revision; statements that write or read rows are left out."""
    known = {revision.id: revision for revision in history.revisions}
    found = {step.revision: _script(Scene.of(step, known[step.revision])) for step in recording.steps}
    is_ours = recording.backend == "postgresql"  # squawk knows no other
    return {name: script for name, script in found.items() if is_ours and script.lines}


def squawked(
    scripts: Mapping[str, Script], complaints: Sequence[Complaint], *, excluded: Collection[str] = TASTE
) -> Iterator[Finding]:
    """Report what squawk says, at the Python line, of what was there before the revision.

    What our own rules measure is theirs to say; `excluded` are further rules that nobody wants to hear of.
    """
    for it in complaints:
        script = scripts[it.text]
        played = next((played for line, played in reversed(script.lines) if line <= it.line), None)
        if played is None or it.rule in MEASURED or it.rule in excluded or not _is_about_old(played):
            continue
        table = next((act.table for act in played.acts if act.table), "")
        severity = None if it.rule in _WARNINGS else Severity.NOTE
        message = f"{it.message.rstrip('.')} (squawk: {it.rule})"
        hint = it.remedy or f"https://squawkhq.com/docs/{it.rule}"
        yield script.scene.finding("squawk", played, message, hint, f"{it.rule} {table}".strip(), severity=severity)


def _is_about_old(played: Played) -> bool:
    """Say whether a statement changes something that was there: a table made by the revision keeps nobody waiting."""
    return any(act.table or act.verb is Verb.OTHER for act in played.acts)


def _script(scene: Scene) -> Script:
    parts, lines, number, transaction = list[str](), list[tuple[int, Played]](), 1, 0
    for played in scene.played:
        statement = played.statement
        if statement.sql.lower().startswith(_ROWS):
            continue
        if statement.transaction != transaction:  # squawk minds whether statements stand in one
            marks = ["COMMIT;\n"] * bool(transaction) + ["BEGIN;\n"] * bool(statement.transaction)
            parts, number, transaction = [*parts, *marks], number + len(marks), statement.transaction
        lines.append((number, played))
        parts.append(f"{statement.sql.rstrip().rstrip(';')};\n")
        number += parts[-1].count("\n")
    parts += ["COMMIT;\n"] * bool(transaction)
    return Script(scene, "".join(parts), tuple(lines))
