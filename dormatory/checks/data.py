"""Checks that rows survive what could keep them: pure, over the losses of a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.registry import finding
from dormatory.checks.roundtrip import finding_on_extreme_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.project.history import History
    from dormatory.project.script import Revision
    from dormatory.recording.model import Loss, Recording

_HINT = 'carry it over, or declare it at the top of the module: lossy = "what is lost"'


def check_data_loss(recording: Recording, history: History) -> Iterator[Finding]:
    """Report rows and values that a revision lost and could have kept; what it declares as lossy is a note."""
    revision_by_id = history.by_id
    for step in recording.steps:
        for loss in step.losses:
            found = _loss_finding(loss, revision_by_id[step.revision], recording.backend)
            yield finding_on_extreme_rows(found) if step.is_extreme else found


def _loss_finding(loss: Loss, revision: Revision, backend: str) -> Finding:
    declared = revision.lossy or revision.irreversible
    return finding(
        loss.kind.value,
        f"{loss}, as it declares: {declared}" if declared else str(loss),
        "" if declared else _HINT,
        severity=Severity.NOTE if declared else Severity.WARNING if loss.is_stated else None,
        backend=backend,
        object=f"column {loss.table}.{loss.column}" if loss.column else f"table {loss.table}",
        revision=revision.id,
        file=str(revision.path),
        line=revision.downgrade_line or 1,
    )
