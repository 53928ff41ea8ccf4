"""How long reports and recordings take, and that masking a text takes time that grows with its length."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.dialect import DIALECT as POSTGRESQL
from dormatory.backends.sqlite.dialect import DIALECT as SQLITE
from dormatory.checks.finding import Finding, Severity
from dormatory.checks.outcome import Outcome
from dormatory.checks.registry import RULES
from dormatory.errors.location import Location
from dormatory.recording import json_codec
from dormatory.report.github import github_commands, job_summary
from dormatory.report.gitlab import gitlab_report
from dormatory.report.json_document import json_document
from dormatory.report.junit import junit_report
from dormatory.report.sarif import sarif_log
from dormatory.report.text import findings_text
from dormatory.sql.masking import without_row_values, without_values
from tests.benchmarks.figure import Figure
from tests.recording.made_recordings import long_history

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dormatory.recording.model import Recording

ROUNDS = 5
REPORT_LIMIT_SECONDS, RECORDING_LIMIT_SECONDS, GROWTH_LIMIT = 0.5, 3.0, 2.0
FINDING_COUNT, REVISION_COUNT, LENGTH_FACTOR = 5_000, 1_000, 4
FORMATS = (findings_text, json_document, github_commands, gitlab_report, sarif_log, junit_report, job_summary)
# Texts that may slow down a pattern with backtracking, when they are repeated many times.
PARTS = ("a", "password", "://a:", "://", " '", "'a ", '"', "\\", "(a)=(", "secret=''", "table 'a", "5", "/*", "$")
REPETITIONS = 5_000
ROOT = Path("/home/you/shop")


def figures() -> Iterator[Figure]:
    """Yield the seconds that a long report takes in each format, a long recording, and how masking grows."""
    outcome = Outcome(tuple(map(_finding, range(FINDING_COUNT))), revisions=tuple(f"{it:04}" for it in range(1000)))
    for render in FORMATS:
        yield Figure(
            f"{render.__name__}, {FINDING_COUNT} findings", _seconds(render, outcome, ROOT), REPORT_LIMIT_SECONDS, "s"
        )
    name = f"writing and reading a recording of {REVISION_COUNT} revisions and as many tables"
    yield Figure(name, _seconds(_write_and_read, long_history(REVISION_COUNT)), RECORDING_LIMIT_SECONDS, "s")
    yield max(map(_masking_growth, PARTS), key=lambda figure: figure.value)


def _masking_growth(part: str) -> Figure:
    once, more = (_seconds(_mask, part * size) for size in (REPETITIONS, LENGTH_FACTOR * REPETITIONS))
    name = f"masking a text {LENGTH_FACTOR} times as long, for each time ({part} repeated: the worst of {len(PARTS)})"
    return Figure(
        name, more / once / LENGTH_FACTOR, GROWTH_LIMIT, "x", detail=f"{more * 1000:.2g} ms, {once * 1000:.2g} ms"
    )


def _mask(words: str) -> None:
    for masked in (words, f"SELECT '{words}"):
        without_values(f"ALTER ROLE a SET b = '{masked}", POSTGRESQL)
        without_values(masked, SQLITE)
        without_row_values(masked)


def _write_and_read(recording: Recording) -> None:
    json_codec.from_json(json_codec.to_json(recording))


def _finding(number: int) -> Finding:
    return Finding(
        list(RULES)[number % len(RULES)],
        list(Severity)[number % 3],
        f"message {number} of a table that is long enough",
        "do it in another way",
        "sqlite" if number % 2 else "postgresql",
        f"table_{number % 50}",
        f"{number % 1000:04}",
        Location(f"{ROOT}/versions/{number % 1000:04}.py", number % 300),
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
