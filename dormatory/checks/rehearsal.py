"""Checks of what a rehearsal with real rows recorded: pure, over its recording."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.checks.data import check_data_loss
from dormatory.checks.finding import Severity
from dormatory.checks.roundtrip import check_round_trip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.project.history import History
    from dormatory.recording.model import Recording


def check_rehearsal(recording: Recording, history: History) -> Iterator[Finding]:
    """Report what failed, what was left behind, and every row lost that no revision declares.

    A loss that is a warning on generated rows is an error here: the rows are real.
    """
    yield from check_round_trip(recording, history)
    for found in check_data_loss(recording, history):
        yield replace(found, severity=Severity.ERROR) if found.severity is Severity.WARNING else found
