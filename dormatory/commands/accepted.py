"""Apply the project's file of accepted findings to a run, and write it where that is asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.backends.registry import dialect_by_name
from dormatory.checks.acceptance import CheckedScope, accepted_entries, check_acceptance, divide_findings
from dormatory.checks.registry import RULES
from dormatory.checks.rule import current_rule_id
from dormatory.commands.evidence import REPLAY_FAMILIES, SCHEMA_FAMILIES
from dormatory.project.accepted_file import accepted_path, read_accepted, write_accepted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from dormatory.checks.acceptance import AcceptedFinding
    from dormatory.checks.finding import Finding
    from dormatory.commands.evidence import Evidence
    from dormatory.project.accepted_file import AcceptedEntry
    from dormatory.project.project import Project

_FAMILIES_WITH_EVIDENCE = REPLAY_FAMILIES | SCHEMA_FAMILIES | {"dump"}


def apply_accepted_file(
    project: Project, findings: Sequence[Finding], scope: CheckedScope, reason: str | None = None
) -> tuple[tuple[Finding, ...], tuple[AcceptedFinding, ...]]:
    """Return the findings to show, with what is wrong in the file, and those that the file accepts.

    With a reason, which may be empty, the file is first written so that it accepts each error and warning. Raises
    UnreadableAcceptedFileError, UnwritableFileError.
    """
    path = accepted_path(project)
    acceptance = divide_findings(findings, _entries(path), project.root, RULES)
    if reason is not None:
        write_accepted(path, accepted_entries(acceptance, scope, project.root, RULES, reason))
        acceptance = divide_findings(findings, _entries(path), project.root, RULES)
    return (*acceptance.shown, *check_acceptance(acceptance, scope, path, RULES)), acceptance.accepted


def _entries(path: Path) -> tuple[AcceptedEntry, ...]:
    """Return the entries of the file; one that names a rule by a former id is about the rule all the same."""
    return tuple(replace(entry, rule=current_rule_id(entry.rule, RULES)) for entry in read_accepted(path))


def checked_scope(
    families: Collection[str],
    evidence: Sequence[Evidence],
    revisions: Collection[str] | None,
    skipped: Collection[str] = (),
) -> CheckedScope:
    """Return what a run has looked at, by the evidence that it got of each backend."""
    without_evidence = frozenset(families) - _FAMILIES_WITH_EVIDENCE
    compared = sum(item.comparison is not None for item in evidence)
    by_backend = {"": without_evidence | (frozenset({"parity"} if compared > 1 else ()) & frozenset(families))}
    for item in evidence:
        by_backend[item.backend] = without_evidence | (frozenset(_families_of(item)) & frozenset(families))
    return CheckedScope(by_backend, revisions, frozenset(_unplayed_revisions(evidence)), skipped)


def _families_of(evidence: Evidence) -> Iterator[str]:
    """Yield the families that the evidence of a backend is enough for."""
    if evidence.recording:
        yield from ("roundtrip", "data")
        yield from ["locks"] if dialect_by_name(evidence.backend).has_lock_rules else []
    yield from ["drift"] if evidence.comparison else []
    yield from ["dump"] if evidence.dump else []


def _unplayed_revisions(evidence: Sequence[Evidence]) -> Iterator[tuple[str, str]]:
    """Yield each backend with the revisions that it did not play to the end."""
    for recording in (item.recording for item in evidence if item.recording):
        stopped = (step.revision for step in recording.steps if any(leg.failure for leg in step.legs))
        yield from ((recording.backend, revision) for revision in (*recording.unreached, *stopped))
