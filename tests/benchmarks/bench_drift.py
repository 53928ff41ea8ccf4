"""How often drift is reported for an unchanged project: never, in a hundred comparisons on each backend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.checks.drift import check_drift
from dormatory.project.project import Project
from dormatory.runtime import scratch
from dormatory.runtime.model_schema import compare_with_models
from tests.benchmarks.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.parts import ScratchMaker

PROJECT = Project.read(Path(__file__).resolve().parents[2] / "alembic.ini")
ROUNDS = 100


def figures() -> Iterator[Figure]:
    """Yield the number of false reports, once per backend."""
    for backend in ("sqlite", "postgresql"):
        with scratch.databases(backend) as maker:
            false = sum(_is_drift_reported(maker) for _ in range(ROUNDS))
        yield Figure(f"false drift reports in {ROUNDS} comparisons, {backend}", false, 0, "reports")


def _is_drift_reported(maker: ScratchMaker) -> bool:
    with scratch.at_revision(PROJECT, maker) as head:
        tables = scratch.version_tables(PROJECT, head)
        return bool(list(check_drift(compare_with_models(PROJECT, maker, head, tables))))
