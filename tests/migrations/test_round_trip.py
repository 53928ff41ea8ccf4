"""Each revision of DORMATORY's own history, played up, down and up again on each backend: one test for each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.database.backend import NAMES
from dormatory.migrations import scratch
from dormatory.migrations.history import History
from dormatory.migrations.project import Project
from dormatory.migrations.roundtrip import play
from dormatory.report.text import step_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.migrations.recording import Recording

PROJECT = Project.read(Path(__file__).resolve().parents[2] / "alembic.ini")
REVISIONS = [revision.id for revision in History.read(PROJECT).revisions]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Play on the backends that the command line chose; on all of them if it chose none."""
    chosen = metafunc.config.getoption("--backend") or NAMES
    metafunc.parametrize("recording", chosen, indirect=True, scope="module")


@pytest.fixture(scope="module")
def recording(request: pytest.FixtureRequest) -> Iterator[Recording]:
    """The whole history, played once per backend; a server that cannot run fails every test."""
    with scratch.databases(request.param) as maker:
        yield play(PROJECT, maker)


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_revision_is_restored_exactly(recording: Recording, revision: str) -> None:
    steps = {step.revision: step for step in recording.steps}
    assert revision in steps, f"not reached: the upgrade of {recording.steps[-1].revision} failed"
    if not all(leg.is_clean for leg in steps[revision].legs):
        pytest.fail("\n".join(step_lines(steps[revision])), pytrace=False)


def test_the_server_is_the_one_that_was_asked_for(recording: Recording, request: pytest.FixtureRequest) -> None:
    major = request.config.getoption("--server-major")
    name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[recording.backend]
    assert recording.server.startswith(f"{name} {major or ''}")
