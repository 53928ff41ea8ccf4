"""Rehearse the pending revisions on a copy of the target, and check what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.finding import with_version_table
from dormatory.checks.outcome import CheckedServer, Outcome
from dormatory.checks.rehearsal import check_rehearsal
from dormatory.checks.severity import apply_settings, refuse_unknown_rules
from dormatory.project.history import History
from dormatory.rehearsal.rehearse import rehearse
from dormatory.runtime.progress import ignore_progress

if TYPE_CHECKING:
    from dormatory.project.project import Project
    from dormatory.rehearsal.model import Rehearsal
    from dormatory.rehearsal.rehearse import RehearsalRequest
    from dormatory.runtime.progress import Progress


def rehearse_and_check(
    project: Project, request: RehearsalRequest, progress: Progress = ignore_progress
) -> tuple[Rehearsal, Outcome]:
    """Rehearse the pending revisions on a copy of the target, and check the recording."""
    refuse_unknown_rules(project.settings, project.ini)
    target, history = project.target(), History.read(project)
    rehearsal = rehearse(project, target, request, progress, history=history)
    recordings = rehearsal.recordings
    if not recordings:
        return rehearsal, Outcome((), configuration=project.ini)
    found = [
        with_version_table(it, recording.version_table)
        for recording in recordings
        for it in check_rehearsal(recording, history)
    ]
    findings = tuple(apply_settings(found, project.settings, history))
    names = tuple(dict.fromkeys(step.revision for it in recordings for step in it.steps))
    server = CheckedServer(recordings[0].backend, recordings[0].server)
    return rehearsal, Outcome(findings, (server,), names, configuration=project.ini)
