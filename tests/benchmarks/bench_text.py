"""How long reports and recordings take, and that masking a text takes time that grows with its length."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from dormatory.checks.finding import Finding, Severity
from dormatory.checks.outcome import Outcome
from dormatory.checks.registry import RULES
from dormatory.recording.model import Recording
from dormatory.report.github import github, summary
from dormatory.report.gitlab import gitlab
from dormatory.report.json_document import document
from dormatory.report.junit import junit
from dormatory.report.sarif import sarif
from dormatory.report.text import text
from dormatory.sql.lexer import Syntax
from dormatory.sql.masking import without_row, without_values
from tests.benchmarks.figure import Figure
from tests.recording.made_recordings import long_history

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = 5
REPORT, RECORDING, GROWTH = 0.5, 3.0, 2.0
FINDINGS, REVISIONS, TIMES = 5_000, 1_000, 4
FORMATS = (text, document, github, gitlab, sarif, junit, summary)
# What a pattern that looks back may stumble over, many times in a row.
PARTS = ("a", "password", "://a:", "://", " '", "'a ", '"', "\\", "(a)=(", "secret=''", "table 'a", "5", "/*", "$")
LENGTH = 5_000
ROOT = Path("/home/you/shop")


def figures() -> Iterator[Figure]:
    """Yield the seconds that a long report takes in each format, a long recording, and how masking grows."""
    outcome = Outcome(tuple(map(_finding, range(FINDINGS))), revisions=tuple(f"{it:04}" for it in range(1000)))
    for render in FORMATS:
        yield Figure(f"{render.__name__}, {FINDINGS} findings", _seconds(render, outcome, ROOT), REPORT, "s")
    name = f"writing and reading a recording of {REVISIONS} revisions and as many tables"
    yield Figure(name, _seconds(_again, long_history(REVISIONS)), RECORDING, "s")
    yield max(map(_masking, PARTS), key=lambda figure: figure.value)


def _masking(part: str) -> Figure:
    once, more = (_seconds(_masked, part * size) for size in (LENGTH, TIMES * LENGTH))
    name = f"masking a text {TIMES} times as long, for each time ({part} repeated: the worst of {len(PARTS)})"
    return Figure(name, more / once / TIMES, GROWTH, "x", detail=f"{more * 1000:.2g} ms, {once * 1000:.2g} ms")


def _masked(words: str) -> None:
    for masked in (words, f"SELECT '{words}"):
        without_values(f"ALTER ROLE a SET b = '{masked}", Syntax.POSTGRESQL)
        without_values(masked, Syntax.SQLITE)
        without_row(masked)


def _again(recording: Recording) -> None:
    Recording.from_json(recording.to_json())


def _finding(number: int) -> Finding:
    return Finding(
        list(RULES)[number % len(RULES)],
        list(Severity)[number % 3],
        f"message {number} of a table that is long enough",
        "do it in another way",
        "sqlite" if number % 2 else "postgresql",
        f"table_{number % 50}",
        f"{number % 1000:04}",
        f"{ROOT}/versions/{number % 1000:04}.py",
        number % 300,
        sql="ALTER TABLE room\n    ADD COLUMN floor INTEGER",
    )


def _seconds(work: Callable[..., object], *arguments: object) -> float:
    """Return the median seconds of this process that a call takes."""
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work(*arguments)
        taken.append(time.process_time() - began)
    return median(taken)
