"""Findings for GitHub Actions: annotations through workflow commands, and a page for the summary of the job."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.report.grouping import problems
from dormatory.report.sanitize import shortened
from dormatory.report.text import verdict
from dormatory.system.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dormatory.checks.outcome import Outcome
    from dormatory.report.grouping import Problem

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
# GitHub drops, without a word, what a step sends beyond 10 of a level; the last notice is ours, to tell how many.
_PER_LEVEL = {Severity.ERROR: 10, Severity.WARNING: 10, Severity.NOTE: 9}
_MESSAGE, _CELL = 4000, 600  # characters
SUMMARY_LIMIT = 1024 * 1024  # bytes; a step whose summary is longer has none
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+.!~|@:-])")


def github(outcome: Outcome, base: Path) -> str:
    """Return a workflow command for each of the worst problems, one that counts the others, and the verdict."""
    found = problems(outcome, base)
    shown: list[Problem] = []
    for severity, limit in _PER_LEVEL.items():
        shown += islice((problem for problem in found if problem.severity is severity), limit)
    lines = [_command(problem) for problem in shown]
    if left := len(found) - len(shown):
        said = f"{counted(left, 'more finding')} not annotated here; the summary of the job lists them"
        lines.append(f"::notice title=dormatory::{_data(said)}")
    return "\n".join((*lines, verdict(outcome, found), ""))


def summary(outcome: Outcome, base: Path, limit: int = SUMMARY_LIMIT) -> str:
    """Return the verdict and a table of the problems in Markdown, in fewer than `limit` bytes of UTF-8, or nothing."""
    found = problems(outcome, base)
    page = f"### Migrations: {_markdown(verdict(outcome, found))}\n"
    if found:
        page += "\n| severity | rule | revision | place | what | fix |\n| --- | --- | --- | --- | --- | --- |\n"
        page += "".join(_rows(found, limit - len(page.encode())))
    return page if len(page.encode()) < limit else ""


def _command(problem: Problem) -> str:
    known = {"file": problem.file}
    if problem.file and problem.line:
        known |= {"line": _number(problem.line), "endLine": _number(problem.end_line), "col": _number(problem.column)}
    given = ",".join(f"{name}={_property(value)}" for name, value in (known | {"title": problem.rule}).items() if value)
    parts = [problem.message, f"on {' and '.join(problem.backends)}" if problem.backends else ""]
    if problem.hint:
        parts.append(f"fix: {problem.hint}")
    message = "\n".join(shortened(part, _MESSAGE) for part in parts if part)
    return f"::{_LEVELS[problem.severity]} {given}::{_data(message)}"


def _number(number: int) -> str:
    return str(number) if number else ""


def _data(text: str) -> str:
    """Escape what would end a message; the percent sign first, it begins the escapes."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape what would end a property, too."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _rows(found: Sequence[Problem], room: int) -> Iterator[str]:
    """Yield a row for each problem while there is room, else a last line that says how many are left out."""
    reserve = len(_left(len(found)).encode())
    for number, problem in enumerate(found):
        where = problem.place + (f" on {' and '.join(problem.backends)}" if problem.backends else "")
        cells = (problem.severity.value, problem.rule, problem.revision, where, problem.message, problem.hint)
        row = f"| {' | '.join(_markdown(shortened(cell, _CELL)) for cell in cells)} |\n"
        room -= len(row.encode())
        if room <= reserve:
            yield _left(len(found) - number)
            return
        yield row


def _left(number: int) -> str:
    return f"\n{counted(number, 'more finding')} left out, for a summary must be short.\n"


def _markdown(text: str) -> str:
    """Escape what Markdown or HTML would take for its own, line breaks included."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", plain).replace("\n", "<br>").replace("\t", " ")
