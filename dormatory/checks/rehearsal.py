"""Checks on what a rehearsal met with real rows: pure, over its recording."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.checks.data import rows_kept
from dormatory.checks.finding import Severity
from dormatory.checks.roundtrip import round_trip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.project.history import History
    from dormatory.recording.model import Recording


def rehearsal(recording: Recording, history: History) -> Iterator[Finding]:
    """Report what failed, what was left behind, and every row lost that no revision declares.

    On made-up rows it may do to say in a statement that rows are deleted; these are somebody's.
    """
    yield from round_trip(recording, history)
    for found in rows_kept(recording, history):
        yield replace(found, severity=Severity.ERROR) if found.severity is Severity.WARNING else found
