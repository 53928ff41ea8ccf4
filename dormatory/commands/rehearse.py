"""A rehearsal on a copy of the target, and the verdict on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.outcome import CheckedServer, Outcome
from dormatory.checks.rehearsal import check_rehearsal
from dormatory.checks.severity import apply_settings, refuse_unknown_rules
from dormatory.project.history import History
from dormatory.rehearsal.rehearse import rehearse

if TYPE_CHECKING:
    from collections.abc import Callable

    from dormatory.project.project import Project
    from dormatory.rehearsal.model import Rehearsal
    from dormatory.rehearsal.rehearse import RehearsalRequest


def rehearse_and_check(
    project: Project, request: RehearsalRequest, on_progress: Callable[[str, int, int], None] = lambda *_: None
) -> tuple[Rehearsal, Outcome]:
    """Rehearse what is pending on the project's target, and judge it; `tell` hears how far it is."""
    refuse_unknown_rules(project.settings, project.ini)
    found = rehearse(project, project.target(), request, on_progress)
    recording = found.recording
    if recording is None:
        return found, Outcome((), configuration=project.ini)
    history = History.read(project)
    findings = tuple(apply_settings(check_rehearsal(recording, history), project.settings, history))
    names = tuple(step.revision for step in recording.steps)
    server = CheckedServer(recording.backend, recording.server)
    return found, Outcome(findings, (server,), names, configuration=project.ini)
