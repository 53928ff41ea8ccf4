"""How long `inv db.check` takes, from cold on the project itself, and how that grows with a history."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from dormatory.commands.check import Request, inspect
from dormatory.project.project import Project
from tests.benchmarks import synthetic
from tests.benchmarks.commands import seconds
from tests.benchmarks.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 5
EVERYTHING, STATIC, LINTERS, GROWTH = 6.0, 0.7, 2.0, 1.5
SHORT, WHOLE = 100, 1000
_STATIC = ("graph", "source", "integrity")


def figures() -> Iterator[Figure]:
    """Yield the seconds of the whole check, of its linters, of what reads files only, and the growth of that."""
    check = ("invoke", "db.check")
    static = median(seconds(*check, "--only", ",".join(_STATIC)) for _ in range(ROUNDS))
    linted = median(seconds(*check, "--only", ",".join((*_STATIC, "sql"))) for _ in range(ROUNDS))
    everything = median(seconds(*check, "--strict") for _ in range(ROUNDS))
    yield Figure("inv db.check, everything on both backends", everything, EVERYTHING, "s")
    yield Figure("sqlfluff alone", linted - static, LINTERS, "s")
    yield Figure(f"inv db.check --only {','.join(_STATIC)}", static, STATIC, "s")
    yield _growth()


def _growth() -> Figure:
    short, whole = (median(_each(revisions) for _ in range(3)) for revisions in (SHORT, WHOLE))
    name = f"static checks, time per revision at {WHOLE} against {SHORT}"
    return Figure(name, whole / short, GROWTH, "x", detail=f"{whole * 1000:.2g} ms, {short * 1000:.2g} ms")


def _each(revisions: int) -> float:
    """Return the seconds that a revision of a synthetic history takes to be judged by its files."""
    with tempfile.TemporaryDirectory() as home:
        project = Project.read(synthetic.write(Path(home), revisions))
        began = time.perf_counter()
        inspect(project, Request(("sqlite", "postgresql"), frozenset(_STATIC)))
        return (time.perf_counter() - began) / revisions
