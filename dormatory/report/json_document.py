"""Findings as one JSON document for programs.

    {"version": 1,
     "verdict": {"failed": true, "complete": true, "strict": false, "errors": 1, "warnings": 0, "notes": 0,
                 "suppressed": 0, "accepted": 0},
     "servers": [{"backend": "sqlite", "name": "SQLite 3.40.1"}],
     "revisions": [{"revision": "001", "seconds": {"sqlite": 0.012}}],
     "rules": {"several-heads": {"family", "severity", "meaning", "why", "recipe"}},
     "findings": [{"rule", "severity", "message", "hint", "revision", "object", "file", "line", "end_line", "column",
                   "backends", "statements": [{"backends", "sql"}], "fingerprint"}],
     "accepted": [as in findings, and "reason"],
     "unchecked": [{"what": "revision", "name": "005", "backend": "sqlite", "reason"}]}

The worst finding comes first. `severity` is error, warning or note; `file` is relative to the root of the repository,
with slashes; an unknown number is 0, an unknown text empty; `rules` describes the rules of the findings, unknown ones
excepted. `complete` is false if an error has ended the check. `accepted` are the findings that the project has
accepted, which the verdict does not count; `unchecked` are revisions and tables that the run could not look at. Control
characters in texts are written as escapes (backslash, x, two digits). The version changes when a key is removed or
changes its meaning; keys may be added.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dormatory.checks.finding import Severity
from dormatory.report.grouping import accepted_problems, counts_by_severity, problems
from dormatory.report.sanitize import sanitize_line

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.checks.outcome import Outcome
    from dormatory.report.grouping import Problem

_FORMAT_VERSION = 1


def json_document(outcome: Outcome, base: Path) -> str:
    """Return the findings as JSON in ASCII, so that no encoding can damage it."""
    found, accepted = problems(outcome, base), accepted_problems(outcome, base)
    count_by_severity = counts_by_severity(found)
    content = {
        "version": _FORMAT_VERSION,
        "verdict": {
            "failed": outcome.is_failed,
            "complete": outcome.is_complete,
            "strict": outcome.is_strict,
            "errors": count_by_severity[Severity.ERROR],
            "warnings": count_by_severity[Severity.WARNING],
            "notes": count_by_severity[Severity.NOTE],
            "suppressed": outcome.suppressed,
            "accepted": len(accepted),
        },
        "servers": [{"backend": server.backend, "name": server.name} for server in outcome.servers],
        "revisions": _revisions(outcome),
        "rules": _rules(outcome, (*found, *accepted)),
        "findings": [_finding(problem) for problem in found],
        "accepted": [_finding(item) | {"reason": item.entry.reason if item.entry else ""} for item in accepted],
        "unchecked": [
            {
                "what": item.noun,
                "name": sanitize_line(item.name),
                "backend": item.backend,
                "reason": sanitize_line(item.reason),
            }
            for item in outcome.unchecked
        ],
    }
    return json.dumps(content) + "\n"


def _revisions(outcome: Outcome) -> list[dict[str, Any]]:
    seconds_by_backend = {server.backend: dict(server.seconds) for server in outcome.servers}
    return [
        {
            "revision": revision,
            "seconds": {
                backend: seconds[revision] for backend, seconds in seconds_by_backend.items() if revision in seconds
            },
        }
        for revision in outcome.revisions
    ]


def _rules(outcome: Outcome, found: tuple[Problem, ...]) -> dict[str, dict[str, str]]:
    known = (outcome.rules[name] for name in sorted({problem.finding.rule for problem in found} & outcome.rules.keys()))
    return {
        rule.id: {
            "family": rule.family,
            "severity": rule.severity.value,
            "meaning": rule.meaning,
            "why": rule.why,
            "recipe": rule.recipe,
        }
        for rule in known
    }


def _finding(problem: Problem) -> dict[str, Any]:
    return {
        "rule": problem.finding.rule,
        "severity": problem.finding.severity.value,
        "message": problem.finding.message,
        "hint": problem.finding.hint,
        "revision": problem.finding.revision,
        "object": problem.finding.object,
        "file": problem.finding.location.path,
        "line": problem.finding.location.line,
        "end_line": problem.finding.end_line,
        "column": problem.finding.location.column,
        "backends": problem.backends,
        "statements": [{"backends": backends, "sql": sql} for backends, sql in problem.statements],
        "fingerprint": problem.fingerprint,
    }
