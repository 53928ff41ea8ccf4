"""Collect the evidence of all backends at the same time, each in a process of its own.

SQLAlchemy is loaded only there: the parent process of db.check works without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.engine_errors import unsupported_backend_finding
from dormatory.commands.evidence import Evidence
from dormatory.runtime.worker import call_in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dormatory.commands.evidence import EvidenceRequest
    from dormatory.project.project import Project
    from dormatory.recording.model import Step


def collect_evidence(
    project: Project, backends: Sequence[str], request: EvidenceRequest, on_step: Callable[[str, Step], None]
) -> tuple[Evidence, ...]:
    """Return the evidence of each backend; `on_step` receives the backend and each step that it has replayed.

    Raises the error of a backend that cannot run.
    """
    supported = [backend for backend in backends if backend in project.settings.backends]
    collected = call_in_parallel(project, supported, lambda name: (request, project, name), _collect_in_worker, on_step)
    return tuple(
        collected.get(backend) or Evidence(backend, problems=(unsupported_backend_finding(backend, project.ini),))
        for backend in backends
    )


def _collect_in_worker(
    request: EvidenceRequest, project: Project, backend: str, on_step: Callable[[Step], None]
) -> Evidence:
    from dormatory.commands.collect_backend import collect_backend_evidence  # noqa: PLC0415  # loads SQLAlchemy

    return collect_backend_evidence(request, project, backend, on_step)
