"""Findings as JUnit XML: a case for each revision on each backend, failed where a change should wait."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from dormatory.report.grouping import problems
from dormatory.report.sanitize import legible_line, shortened
from dormatory.report.text import tally

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.checks.outcome import Outcome
    from dormatory.report.grouping import Problem

_HISTORY = "history"  # what no database was asked about
_MESSAGE = 300  # characters


@dataclass(slots=True)
class _Case:
    seconds: float = 0.0
    problems: list[Problem] = field(default_factory=list)


def junit(outcome: Outcome, base: Path) -> str:
    """Return a suite for each backend that ran, and one for what needs no database; in ASCII.

    A problem of no revision stands in a case that is named after the family of its rule.
    """
    root = Element("testsuites", name="dormatory")
    for suite, cases in _suites(outcome, base).items():
        failed = sum(any(outcome.waits_for(item.severity) for item in case.problems) for case in cases.values())
        attributes = {"name": suite, "tests": str(len(cases)), "failures": str(failed), "errors": "0", "skipped": "0"}
        took = sum(case.seconds for case in cases.values())
        element = SubElement(root, "testsuite", attributes, time=f"{took:.3f}")
        for name, case in cases.items():
            _add(element, suite, name, case, outcome)
    indent(root)
    content: bytes = tostring(root, encoding="us-ascii", xml_declaration=True)
    return content.decode("ascii") + "\n"


def _suites(outcome: Outcome, base: Path) -> dict[str, dict[str, _Case]]:
    suites: dict[str, dict[str, _Case]] = {}
    for server in outcome.servers:
        took = dict(server.seconds)
        cases = {legible_line(revision): _Case(took.get(revision, 0.0)) for revision in outcome.revisions}
        suites[legible_line(server.backend)] = cases
    if not suites:  # a run without cases would count as one that never happened
        suites[_HISTORY] = {legible_line(revision): _Case() for revision in outcome.revisions}
    for problem in problems(outcome, base):
        family = outcome.rules[problem.rule].family if problem.rule in outcome.rules else "other"
        for suite in problem.backends or (_HISTORY,):
            suites.setdefault(suite, {}).setdefault(problem.revision or family, _Case()).problems.append(problem)
    return suites


def _add(suite: Element, name: str, revision: str, case: _Case, outcome: Outcome) -> None:
    element = SubElement(suite, "testcase", classname=name, name=revision, time=f"{case.seconds:.3f}")
    waited = [problem for problem in case.problems if outcome.waits_for(problem.severity)]
    others = [problem for problem in case.problems if not outcome.waits_for(problem.severity)]
    if waited:
        said = shortened(f"{tally(waited)}: {waited[0].message}", _MESSAGE)
        failure = SubElement(element, "failure", message=said, type=waited[0].rule)
        failure.text = "\n".join(map(_told, waited))
    if others:
        SubElement(element, "system-out").text = "\n".join(map(_told, others))


def _told(problem: Problem) -> str:
    place = f"{problem.place}: " if problem.place else ""
    fix = f"\nfix: {problem.hint}" if problem.hint else ""
    return f"{place}{problem.severity.value}[{problem.rule}] {problem.message}{fix}"
