"""What checks are made of, backend by backend: the schema at head, the dump, the recording of a play."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.checks.engine_errors import unsupported_backend_finding
from dormatory.runtime.worker import call_in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from dormatory.checks.finding import Finding
    from dormatory.project.project import Project
    from dormatory.recording.model import Comparison, Recording, Step


@dataclass(frozen=True, slots=True)
class EvidenceRequest:
    """What to gather; `only` names the revisions to make a round trip of, None for all."""

    schema: bool
    dump: bool
    replay: bool
    revisions: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one backend gave; what could not be had is None, and `problems` say why.

    `dump` is the committed file, its text, and the text that the history gives.
    """

    backend: str
    comparison: Comparison | None = None
    dump: tuple[Path, str, str] | None = None
    recording: Recording | None = None
    problems: tuple[Finding, ...] = ()

    @property
    def server(self) -> str:
        """The server's name and version, "" where nothing could be had."""
        return self.comparison.server if self.comparison else self.recording.server if self.recording else ""


def collect_evidence(
    project: Project, backends: Sequence[str], request: EvidenceRequest, on_step: Callable[[str, Step], None]
) -> tuple[Evidence, ...]:
    """Gather on the backends that the project supports, side by side; `on_step` hears of each backend's steps.

    A backend that cannot run raises what keeps it from that.
    """
    supported = [backend for backend in backends if backend in project.settings.backends]
    evidence_by_backend = call_in_parallel(
        project, supported, lambda name: (request, project, name), _collect_in_worker, on_step
    )
    return tuple(
        evidence_by_backend.get(backend)
        or Evidence(backend, problems=(unsupported_backend_finding(backend, project.ini),))
        for backend in backends
    )


def _collect_in_worker(
    request: EvidenceRequest, project: Project, backend: str, on_step: Callable[[Step], None]
) -> Evidence:
    """Gather on one backend, in whatever process this is: only there SQLAlchemy loads."""
    from dormatory.commands.collect import collect_backend_evidence  # noqa: PLC0415

    return collect_backend_evidence(request, project, backend, on_step)
