"""Findings as JUnit XML: a case for each revision on each backend, which fails if a finding blocks the change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from dormatory.report.grouping import accepted_problems, problems
from dormatory.report.sanitize import sanitize_line
from dormatory.report.text import severity_summary
from dormatory.system.text import shorten

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.checks.outcome import Outcome
    from dormatory.report.grouping import Problem

_SUITE_WITHOUT_DATABASE = "history"  # for what no database was needed
_MAX_MESSAGE_LENGTH = 300  # characters


@dataclass(slots=True)
class _Case:
    seconds: float = 0.0
    problems: list[Problem] = field(default_factory=list)


def junit_report(outcome: Outcome, base: Path) -> str:
    """Return a suite for each backend that ran, and one for what needs no database; in ASCII.

    A problem without a revision is in a case that is named after the family of its rule.
    """
    root = Element("testsuites", name="dormatory")
    for suite, cases in _suites(outcome, base).items():
        failed = sum(any(_is_failure(problem, outcome) for problem in case.problems) for case in cases.values())
        attributes = {"name": suite, "tests": str(len(cases)), "failures": str(failed), "errors": "0", "skipped": "0"}
        seconds = sum(case.seconds for case in cases.values())
        element = SubElement(root, "testsuite", attributes, time=f"{seconds:.3f}")
        for name, case in cases.items():
            _add_case(element, suite, name, case, outcome)
    indent(root)
    content: bytes = tostring(root, encoding="us-ascii", xml_declaration=True)
    return content.decode("ascii") + "\n"


def _suites(outcome: Outcome, base: Path) -> dict[str, dict[str, _Case]]:
    suites: dict[str, dict[str, _Case]] = {}
    for server in outcome.servers:
        seconds = dict(server.seconds)
        cases = {sanitize_line(revision): _Case(seconds.get(revision, 0.0)) for revision in outcome.revisions}
        suites[sanitize_line(server.backend)] = cases
    if not suites:  # a run without cases would count as not run
        suites[_SUITE_WITHOUT_DATABASE] = {sanitize_line(revision): _Case() for revision in outcome.revisions}
    for problem in (*problems(outcome, base), *accepted_problems(outcome, base)):
        family = outcome.rules[problem.finding.rule].family if problem.finding.rule in outcome.rules else "other"
        for suite in problem.backends or (_SUITE_WITHOUT_DATABASE,):
            suites.setdefault(suite, {}).setdefault(problem.finding.revision or family, _Case()).problems.append(
                problem
            )
    return suites


def _add_case(suite: Element, name: str, revision: str, case: _Case, outcome: Outcome) -> None:
    element = SubElement(suite, "testcase", classname=name, name=revision, time=f"{case.seconds:.3f}")
    failures = [problem for problem in case.problems if _is_failure(problem, outcome)]
    others = [problem for problem in case.problems if not _is_failure(problem, outcome)]
    if failures:
        message = shorten(f"{severity_summary(failures)}: {failures[0].finding.message}", _MAX_MESSAGE_LENGTH)
        failure = SubElement(element, "failure", message=message, type=failures[0].finding.rule)
        failure.text = "\n".join(map(_problem_text, failures))
    if others:
        SubElement(element, "system-out").text = "\n".join(map(_problem_text, others))


def _is_failure(problem: Problem, outcome: Outcome) -> bool:
    return problem.entry is None and outcome.is_blocking(problem.finding.severity)


def _problem_text(problem: Problem) -> str:
    accepted = f"accepted ({problem.entry.reason or 'without a reason'}): " if problem.entry else ""
    place = f"{problem.finding.location}: " if problem.finding.location.path else ""
    fix = f"\nfix: {problem.finding.hint}" if problem.finding.hint else ""
    return f"{accepted}{place}{problem.finding.severity.value}[{problem.finding.rule}] {problem.finding.message}{fix}"
