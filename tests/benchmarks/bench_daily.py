"""How long the everyday commands take: `inv db.upgrade` against `alembic upgrade head`, and `inv --list`.

Both start as a shell starts them, on the project itself, alternating, so that a busy machine is slow for both.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from dormatory.backends.names import BACKEND_NAMES
from dormatory.project.history import History
from dormatory.project.project import Project
from dormatory.runtime import scratch
from tests.benchmarks.commands import ROOT, command_seconds
from tests.benchmarks.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.parts import ScratchMaker

ROUNDS = 7
NOTHING_PENDING_LIMIT, ONE_PENDING_LIMIT, LIST_LIMIT_MS = 0.5, 1.3, 150.0
OUR_COMMAND, ALEMBIC_COMMAND = ("invoke", "db.upgrade"), ("alembic", "upgrade", "head")


def figures() -> Iterator[Figure]:
    """Yield the ratios on each backend, then the time that the tasks add to a list."""
    project = Project.read(ROOT / "alembic.ini")
    for backend in BACKEND_NAMES:
        with scratch.databases(backend) as maker:
            yield _nothing_pending(project, backend, maker)
            yield _one_pending(project, backend, maker)
    yield _listing()


def _nothing_pending(project: Project, backend: str, maker: ScratchMaker) -> Figure:
    ours, theirs = [], []
    with scratch.at_revision(project, maker) as target:
        for _ in range(ROUNDS):
            ours.append(command_seconds(*OUR_COMMAND, target=target))
            theirs.append(command_seconds(*ALEMBIC_COMMAND, target=target))
    return _ratio(
        f"inv db.upgrade with nothing pending against Alembic, {backend}", ours, theirs, NOTHING_PENDING_LIMIT
    )


def _one_pending(project: Project, backend: str, maker: ScratchMaker) -> Figure:
    before = History.read(project).revisions[-2].id
    ours, theirs = list[float](), list[float]()
    for _ in range(ROUNDS):
        for command, times in ((OUR_COMMAND, ours), (ALEMBIC_COMMAND, theirs)):
            with scratch.at_revision(project, maker, before) as target:
                times.append(command_seconds(*command, target=target))
    return _ratio(
        f"inv db.upgrade with one revision pending against Alembic, {backend}", ours, theirs, ONE_PENDING_LIMIT
    )


def _listing() -> Figure:
    ours, empty = [], []
    with tempfile.TemporaryDirectory() as home:
        Path(home, "tasks.py").touch()
        for _ in range(ROUNDS):
            ours.append(command_seconds("invoke", "--list"))
            empty.append(
                command_seconds("invoke", f"--search-root={home}", "--list", code=1)
            )  # there is nothing to list
    added = (median(ours) - median(empty)) * 1000
    return Figure(
        "inv --list beyond that of an empty tasks.py", added, LIST_LIMIT_MS, "ms", detail=_medians_text(ours, empty)
    )


def _ratio(name: str, ours: list[float], theirs: list[float], limit: float) -> Figure:
    ratio = median(us / them for us, them in zip(ours, theirs, strict=True))
    return Figure(name, ratio, limit, "x", detail=_medians_text(ours, theirs))


def _medians_text(ours: list[float], theirs: list[float]) -> str:
    return f"{median(ours):.3g} s, {median(theirs):.3g} s"
