"""Findings as a Code Quality report for GitLab: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.report.grouping import problems, relative_path

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.checks.outcome import Outcome
    from dormatory.report.grouping import Problem

_SEVERITIES = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.NOTE: "info"}


def gitlab_report(outcome: Outcome, base: Path) -> str:
    """Return a JSON list, the worst first; each entry has a file and a line, because GitLab skips others."""
    fallback_file = relative_path(str(outcome.configuration), base)
    entries = [
        {
            "description": _description(problem),
            "check_name": problem.finding.rule,
            "fingerprint": problem.fingerprint,
            "severity": _SEVERITIES[problem.finding.severity],
            "location": {"path": problem.finding.location.path or fallback_file, "lines": _lines(problem)},
        }
        for problem in problems(outcome, base)
    ]
    return json.dumps(entries) + "\n"


def _lines(problem: Problem) -> dict[str, int]:
    return {"begin": max(problem.finding.location.line, 1)} | (
        {"end": problem.finding.end_line} if problem.finding.end_line else {}
    )


def _description(problem: Problem) -> str:
    ran = f" (on {' and '.join(problem.backends)})" if problem.backends else ""
    return (
        f"{problem.finding.message}{ran}; {problem.finding.hint}"
        if problem.finding.hint
        else f"{problem.finding.message}{ran}"
    )
