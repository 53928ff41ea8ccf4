"""Proves a new revision: it is played on rows on each backend, and the models are compared with the history."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.locks import IN_USE_RULES
from dormatory.checks.locks.duration import is_second_table
from dormatory.checks.locks.names_in_use import REQUIRED_COLUMN
from dormatory.checks.locks.rewrites import TABLE_REWRITE
from dormatory.checks.roundtrip import UPGRADE_FAILS
from dormatory.checks.row_failures import DOWNGRADE_FAILS_ON_ROWS
from dormatory.commands.check import CheckRequest, check_project
from dormatory.project.history import History
from dormatory.recording.leg import Direction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.checks.finding import Finding
    from dormatory.checks.outcome import Outcome
    from dormatory.project.project import Project
    from dormatory.recording.leg import Statement
    from dormatory.recording.model import Recording
    from dormatory.runtime.progress import Progress

_FAMILIES = frozenset({"graph", "integrity", "source", "roundtrip", "data", "locks", "drift", "parity"})
# No single revision can do without them: the way in several releases is in their hints.
_UNAVOIDABLE_RULES = IN_USE_RULES | {REQUIRED_COLUMN.id, TABLE_REWRITE.id}
_RESTRICTION_RULES = frozenset({UPGRADE_FAILS.id, DOWNGRADE_FAILS_ON_ROWS.id})


@dataclass(frozen=True, slots=True)
class ExecutedSql:
    """The statements that the upgrade of a revision executed on one backend."""

    backend: str
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RevisionProof:
    """What was found of a revision, and the SQL that it executed on each backend."""

    outcome: Outcome
    executed: tuple[ExecutedSql, ...]


def prove_revision(project: Project, file: Path, backends: tuple[str, ...], progress: Progress) -> RevisionProof:
    """Play one revision up, down and up again on rows, with the rules for it, and compare the models at the head.

    Warnings count as errors, but for what no single revision can avoid. Raises what `check_project` raises.
    """
    revision = next(item.id for item in History.read(project).revisions if item.path == file)
    request = CheckRequest(backends, _FAMILIES, revision=revision, is_strict=True)
    outcome, recordings = check_project(project, request, progress)
    findings = tuple(replace(it, severity=Severity.NOTE) if _is_unavoidable(it) else it for it in outcome.findings)
    executed = (ExecutedSql(it.backend, tuple(_upgrade_statements(it, revision))) for it in recordings)
    return RevisionProof(replace(outcome, findings=findings), tuple(executed))


def _is_unavoidable(finding: Finding) -> bool:
    """Return whether no single revision can do without a finding.

    The target's rows decide about a new restriction, and about an old one that comes back: a value that only the new
    structure allows is refused by the downgrade, or lost.
    """
    is_restriction = finding.rule in _RESTRICTION_RULES and finding.severity is Severity.WARNING
    return is_restriction or is_second_table(finding) or finding.rule in _UNAVOIDABLE_RULES


def compare_models(project: Project, backends: tuple[str, ...], progress: Progress) -> Outcome:
    """Compare the models with the history, as `db.check --strict` does."""
    request = CheckRequest(backends, frozenset({"drift"}), is_strict=True)
    return check_project(project, request, progress)[0]


def _upgrade_statements(recording: Recording, revision: str) -> Iterator[str]:
    legs = (leg for step in recording.steps if step.revision == revision for leg in step.legs)
    upgrade = next((leg for leg in legs if leg.direction is Direction.UPGRADE), None)
    for statement in upgrade.statements if upgrade else ():
        if _is_shown(statement):
            yield statement.sql.strip()


def _is_shown(statement: Statement) -> bool:
    """Return whether a statement is one of the revision's own, and not one that only reads."""
    return bool(statement.line) and statement.sql.split(maxsplit=1)[0].upper() not in {"SELECT", "PRAGMA"}
