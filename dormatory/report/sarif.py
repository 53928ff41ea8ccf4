"""Findings as SARIF 2.1.0: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dormatory.report.grouping import accepted_problems, problems, relative_path
from dormatory.report.sanitize import sanitize
from dormatory.system.text import quantity

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.checks.outcome import Outcome
    from dormatory.checks.rule import Rule
    from dormatory.report.grouping import Problem

_SCHEMA_URL = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT_ID = "SRCROOT"
MAX_RESULTS = 25_000  # GitHub refuses a run with more


def sarif_log(outcome: Outcome, base: Path) -> str:
    """Return a log of one run, the worst result first; a notification counts the results beyond GitHub's limit.

    Accepted findings come last, as results that are suppressed.
    """
    found = (*problems(outcome, base), *accepted_problems(outcome, base))
    shown = found[:MAX_RESULTS]
    rule_indexes = {
        name: number for number, name in enumerate(dict.fromkeys(problem.finding.rule for problem in shown))
    }
    fallback_file = relative_path(str(outcome.configuration), base)
    driver: dict[str, Any] = {"name": "DORMATORY", "rules": [_rule(name, outcome) for name in rule_indexes]}
    if outcome.manual:
        driver["informationUri"] = outcome.manual
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT_ID: {"uri": base.absolute().as_uri().rstrip("/") + "/"}},
        "invocations": [_invocation(outcome, len(found) - len(shown))],
        "results": [_result(problem, rule_indexes[problem.finding.rule], fallback_file) for problem in shown],
        "properties": {"servers": [server.name for server in outcome.servers], "suppressed": outcome.suppressed},
    }
    return json.dumps({"$schema": _SCHEMA_URL, "version": "2.1.0", "runs": [run]}) + "\n"


def _invocation(outcome: Outcome, left_out: int) -> dict[str, Any]:
    """Return the record of a run, with a notification if results are left out."""
    message = f"{quantity(left_out, 'more finding')} left out: GitHub takes {MAX_RESULTS} at most"
    notices = [{"level": "warning", "message": {"text": message}}] if left_out else []
    return {
        "executionSuccessful": outcome.is_complete,
        "exitCode": int(outcome.is_failed),
        **({"toolExecutionNotifications": notices} if notices else {}),
    }


def _rule(name: str, outcome: Outcome) -> dict[str, Any]:
    """Return the description of a rule, or only the id if the rule is unknown."""
    if name not in outcome.rules:
        return {"id": name}
    rule = outcome.rules[name]
    described: dict[str, Any] = {
        "id": name,
        "shortDescription": {"text": sanitize(rule.meaning)},
        "fullDescription": {"text": sanitize(rule.why)},
        "help": _help(rule),
        "defaultConfiguration": {"level": rule.severity.value},
        "properties": {"tags": [rule.family]},
    }
    # helpUri has to be absolute, so it is left out if the address of the manual is unknown
    return described | ({"helpUri": f"{outcome.manual}#{quote(name)}"} if outcome.manual else {})


def _help(rule: Rule) -> dict[str, str]:
    why, recipe = sanitize(rule.why), sanitize(rule.recipe)
    indented = "\n".join(f"    {line}".rstrip() for line in recipe.split("\n"))
    return {"text": f"{why}\n\n{recipe}", "markdown": f"{why}\n\n{indented}\n"}


def _result(problem: Problem, rule_index: int, fallback_file: str) -> dict[str, Any]:
    ran = f" (on {' and '.join(problem.backends)})" if problem.backends else ""
    fix = f"\nfix: {problem.finding.hint}" if problem.finding.hint else ""
    result: dict[str, Any] = {
        "ruleId": problem.finding.rule,
        "ruleIndex": rule_index,
        "level": problem.finding.severity.value,
        "message": {"text": f"{problem.finding.message}{ran}{fix}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": _artifact_location(problem.finding.location.path or fallback_file),
                    "region": _region(problem),
                }
            }
        ],
        # GitHub compares only the first
        "partialFingerprints": {
            "primaryLocationLineHash": f"{problem.fingerprint[:16]}:{problem.ordinal}",
            "revisionRuleObject/v1": problem.fingerprint,
        },
        "properties": {"backends": problem.backends},
    }
    if problem.finding.object:
        result["locations"][0]["logicalLocations"] = [{"fullyQualifiedName": problem.finding.object}]
    if problem.finding.revision:
        result["properties"]["revision"] = problem.finding.revision
    if problem.entry:  # kept in a file of its own, not in the source
        justification = {"justification": sanitize(problem.entry.reason)} if problem.entry.reason else {}
        result["suppressions"] = [{"kind": "external", "status": "accepted", **justification}]
    return result


def _region(problem: Problem) -> dict[str, int]:
    """Return the lines; GitHub shows no result without a line, so an unknown one becomes the first."""
    ends = (
        {"endLine": problem.finding.end_line}
        if problem.finding.location.line and problem.finding.end_line >= problem.finding.location.line
        else {}
    )
    return {
        "startLine": max(problem.finding.location.line, 1),
        **ends,
        **({"startColumn": problem.finding.location.column} if problem.finding.location.column else {}),
    }


def _artifact_location(file: str) -> dict[str, str]:
    """Return where a file is: relative to the root if it is below it, else as an absolute URI."""
    if file.startswith("/"):
        return {"uri": "file://" + quote(file)}
    return {"uri": quote(file), "uriBaseId": _ROOT_ID}
