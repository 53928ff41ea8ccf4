"""A rehearsal on a copy of the target, and the verdict on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.outcome import Outcome, Server
from dormatory.checks.rehearsal import rehearsal
from dormatory.checks.severity import adjusted, refuse_unknown
from dormatory.project.history import History
from dormatory.rehearsal.rehearse import rehearse

if TYPE_CHECKING:
    from collections.abc import Callable

    from dormatory.project.project import Project
    from dormatory.rehearsal.model import Rehearsal
    from dormatory.rehearsal.rehearse import Request


def rehearsed(
    project: Project, request: Request, tell: Callable[[str, int, int], None] = lambda *_: None
) -> tuple[Rehearsal, Outcome]:
    """Rehearse what is pending on the project's target, and judge it; `tell` hears how far it is."""
    refuse_unknown(project.settings, project.ini)
    found = rehearse(project, project.target(), request, tell)
    recording = found.recording
    if recording is None:
        return found, Outcome((), configuration=project.ini)
    history = History.read(project)
    kept = tuple(adjusted(rehearsal(recording, history), project.settings, history))
    names = tuple(step.revision for step in recording.steps)
    server = Server(recording.backend, recording.server)
    return found, Outcome(kept, (server,), names, configuration=project.ini)
