"""Each revision of DORMATORY's own history is replayed up, down and up again on each backend: a test for each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.backends.names import BACKEND_NAMES
from dormatory.checks.data import check_data_loss
from dormatory.checks.finding import Severity
from dormatory.checks.outcome import Outcome
from dormatory.checks.roundtrip import check_round_trip
from dormatory.project.history import History
from dormatory.project.project import Project
from dormatory.recording.model import RouteKind
from dormatory.replay.replay import replay_history
from dormatory.report.failed_step import step_lines
from dormatory.report.text import findings_text
from dormatory.runtime import scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dormatory.checks.finding import Finding
    from dormatory.recording.model import Recording

PROJECT = Project.read(Path(__file__).resolve().parents[2] / "alembic.ini")
HISTORY = History.read(PROJECT)
REVISIONS = [revision.id for revision in HISTORY.revisions]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Replay on the backends of the option --backend, or on all."""
    chosen = metafunc.config.getoption("--backend") or BACKEND_NAMES
    metafunc.parametrize("recording", chosen, indirect=True, scope="module")


@pytest.fixture(scope="module")
def recording(request: pytest.FixtureRequest) -> Iterator[Recording]:
    """The recording of the whole history, replayed once per backend; a server that cannot run fails every test."""
    with scratch.databases(request.param) as maker:
        yield replay_history(PROJECT, maker)


def all_findings(recording: Recording) -> list[Finding]:
    return [*check_round_trip(recording, HISTORY), *check_data_loss(recording, HISTORY)]


def report_text(found: list[Finding]) -> str:
    return findings_text(Outcome(tuple(found)), Path.cwd())


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_revision_makes_its_round_trip(
    recording: Recording, revision: str, record_property: Callable[[str, object], None]
) -> None:
    steps = {step.revision: step for step in recording.steps}
    assert revision in steps, f"not reached: the upgrade of {recording.steps[-1].revision} failed"
    record_property("seconds", sum(leg.seconds for leg in steps[revision].legs))
    found = [item for item in all_findings(recording) if item.revision == revision]
    for item in found:
        record_property(f"{item.severity.value} {item.rule}", item.message)
    if any(item.severity is Severity.ERROR for item in found):
        pytest.fail("\n".join((*step_lines(steps[revision], recording.backend), report_text(found))), pytrace=False)


def test_every_route_ends_where_it_should(recording: Recording) -> None:
    found = [item for item in all_findings(recording) if item.severity is Severity.ERROR]
    assert not found, report_text(found)
    assert {route.kind for route in recording.routes} == {RouteKind.DOWN, RouteKind.UP}


def test_the_server_has_the_required_major_version(recording: Recording, request: pytest.FixtureRequest) -> None:
    major = request.config.getoption("--server-major")
    name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[recording.backend]
    assert recording.server.startswith(f"{name} {major or ''}")
