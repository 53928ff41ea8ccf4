"""How long `inv db.check` takes: cold on the project itself, and with a growing history."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from dormatory.commands.check import CheckRequest, check_project
from dormatory.project.project import Project
from tests.benchmarks import synthetic
from tests.benchmarks.commands import command_seconds
from tests.benchmarks.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 5
EVERYTHING_LIMIT_SECONDS, STATIC_LIMIT_SECONDS, LINTERS_LIMIT_SECONDS, GROWTH_LIMIT = 6.0, 0.7, 2.0, 1.5
SHORT_REVISIONS, LONG_REVISIONS = 100, 1000
_STATIC_FAMILIES = ("graph", "source", "integrity")


def figures() -> Iterator[Figure]:
    """Yield the seconds of the whole check, of its linters, of what reads files only, and the growth of that."""
    check = ("invoke", "db.check")
    static = median(command_seconds(*check, "--only", ",".join(_STATIC_FAMILIES)) for _ in range(ROUNDS))
    linted = median(command_seconds(*check, "--only", ",".join((*_STATIC_FAMILIES, "sql"))) for _ in range(ROUNDS))
    everything = median(command_seconds(*check, "--strict") for _ in range(ROUNDS))
    yield Figure("inv db.check, everything on both backends", everything, EVERYTHING_LIMIT_SECONDS, "s")
    yield Figure("sqlfluff alone", linted - static, LINTERS_LIMIT_SECONDS, "s")
    yield Figure(f"inv db.check --only {','.join(_STATIC_FAMILIES)}", static, STATIC_LIMIT_SECONDS, "s")
    yield _growth()


def _growth() -> Figure:
    short, whole = (
        median(_seconds_per_revision(revisions) for _ in range(3)) for revisions in (SHORT_REVISIONS, LONG_REVISIONS)
    )
    name = f"static checks, time per revision at {LONG_REVISIONS} against {SHORT_REVISIONS}"
    return Figure(name, whole / short, GROWTH_LIMIT, "x", detail=f"{whole * 1000:.2g} ms, {short * 1000:.2g} ms")


def _seconds_per_revision(revisions: int) -> float:
    """Return the seconds that a revision of a synthetic history takes to be judged by its files."""
    with tempfile.TemporaryDirectory() as home:
        project = Project.read(synthetic.write_history(Path(home), revisions))
        began = time.perf_counter()
        check_project(project, CheckRequest(("sqlite", "postgresql"), frozenset(_STATIC_FAMILIES)))
        return (time.perf_counter() - began) / revisions
