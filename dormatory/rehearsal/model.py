"""The values that a rehearsal returns apart from its recording: waits, and rows that a revision fails on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dormatory.backends.replica import ReplicaInfo
    from dormatory.project.script import Revision
    from dormatory.recording.leg import Direction
    from dormatory.recording.model import Recording
    from dormatory.recording.offending_rows import OffendingRows
    from dormatory.rehearsal.forecast import Forecast


@dataclass(frozen=True, slots=True)
class WrittenRows:
    """Rows of one table that a revision wrote."""

    table: str
    inserted: int = 0
    updated: int = 0
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """The longest wait of a reader or a writer that used a table repeatedly during a leg.

    `table` is "" if the whole database is one file.
    """

    table: str
    user: str  # readers or writers
    direction: Direction
    seconds: float


@dataclass(frozen=True, slots=True)
class RevisionObservations:
    """What was observed of one revision that is not in the recording."""

    revision: str
    written_rows: tuple[WrittenRows, ...] = ()
    waits: tuple[Wait, ...] = ()
    offending_rows: tuple[OffendingRows, ...] = ()
    forecast: Forecast | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A rehearsal on a copy of the target; without pending revisions nothing was copied.

    `target_check` says how it is known that nothing was written to the target. `recordings` has one for each pass of
    env.py with pending revisions, `observations` one for each step of all. `not_checked` is what could not be found
    out.
    """

    target: str
    current: tuple[str, ...]
    pending: tuple[Revision, ...]
    target_check: str
    replica: ReplicaInfo | None = None
    recordings: tuple[Recording, ...] = ()
    observations: tuple[RevisionObservations, ...] = ()
    not_checked: tuple[str, ...] = ()
