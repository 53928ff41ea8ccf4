"""Findings for GitHub Actions: annotations through workflow commands, and a page for the summary of the job."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.report.grouping import problems
from dormatory.report.text import verdict
from dormatory.system.text import quantity, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dormatory.checks.outcome import Outcome
    from dormatory.report.grouping import Problem

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
# GitHub silently drops the annotations of a step beyond 10 of a level; the last notice is our count of the others.
_MAX_ANNOTATIONS = {Severity.ERROR: 10, Severity.WARNING: 10, Severity.NOTE: 9}
_MAX_MESSAGE_LENGTH, _MAX_CELL_LENGTH = 4000, 600  # characters
MAX_SUMMARY_BYTES = 1024 * 1024  # GitHub drops a longer summary
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+.!~|@:-])")


def github_commands(outcome: Outcome, base: Path) -> str:
    """Return a workflow command for each of the worst problems, one that counts the others, and the verdict."""
    found = problems(outcome, base)
    shown: list[Problem] = []
    for severity, limit in _MAX_ANNOTATIONS.items():
        shown += islice((problem for problem in found if problem.finding.severity is severity), limit)
    lines = [_workflow_command(problem) for problem in shown]
    if left := len(found) - len(shown):
        message = f"{quantity(left, 'more finding')} not annotated here; the summary of the job lists them"
        lines.append(f"::notice title=dormatory::{_escaped_data(message)}")
    return "\n".join((*lines, verdict(outcome, found), ""))


def job_summary(outcome: Outcome, base: Path, limit: int = MAX_SUMMARY_BYTES) -> str:
    """Return the verdict and a table of the problems in Markdown, in fewer than `limit` bytes of UTF-8, or nothing."""
    found = problems(outcome, base)
    page = f"### Migrations: {_escaped_markdown(verdict(outcome, found))}\n"
    if found:
        page += "\n| severity | rule | revision | place | what | fix |\n| --- | --- | --- | --- | --- | --- |\n"
        page += "".join(_table_rows(found, limit - len(page.encode())))
    return page if len(page.encode()) < limit else ""


def _workflow_command(problem: Problem) -> str:
    known = {"file": problem.finding.location.path}
    if problem.finding.location.path and problem.finding.location.line:
        known |= {
            "line": _number(problem.finding.location.line),
            "endLine": _number(problem.finding.end_line),
            "col": _number(problem.finding.location.column),
        }
    properties = ",".join(
        f"{name}={_escaped_property(value)}"
        for name, value in (known | {"title": problem.finding.rule}).items()
        if value
    )
    parts = [problem.finding.message, f"on {' and '.join(problem.backends)}" if problem.backends else ""]
    if problem.finding.hint:
        parts.append(f"fix: {problem.finding.hint}")
    message = "\n".join(shorten(part, _MAX_MESSAGE_LENGTH) for part in parts if part)
    return f"::{_LEVELS[problem.finding.severity]} {properties}::{_escaped_data(message)}"


def _number(number: int) -> str:
    return str(number) if number else ""


def _escaped_data(text: str) -> str:
    """Escape the characters that end a message; the percent sign first, because it begins the escapes."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    """Escape the characters that end a property, too."""
    return _escaped_data(text).replace(":", "%3A").replace(",", "%2C")


def _table_rows(found: Sequence[Problem], bytes_left: int) -> Iterator[str]:
    """Yield a row for each problem while there is room, else a last line that says how many are left out."""
    reserve = len(_left_out_line(len(found)).encode())
    for number, problem in enumerate(found):
        where = str(problem.finding.location) + (f" on {' and '.join(problem.backends)}" if problem.backends else "")
        cells = (
            problem.finding.severity.value,
            problem.finding.rule,
            problem.finding.revision,
            where,
            problem.finding.message,
            problem.finding.hint,
        )
        row = f"| {' | '.join(_escaped_markdown(shorten(cell, _MAX_CELL_LENGTH)) for cell in cells)} |\n"
        bytes_left -= len(row.encode())
        if bytes_left <= reserve:
            yield _left_out_line(len(found) - number)
            return
        yield row


def _left_out_line(number: int) -> str:
    return f"\n{quantity(number, 'more finding')} left out because a summary must be short.\n"


def _escaped_markdown(text: str) -> str:
    """Escape the characters that have a meaning in Markdown or HTML, line breaks included."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN_SPECIAL.sub(r"\\\1", plain).replace("\n", "<br>").replace("\t", " ")
