"""What a rehearsal leaves besides its recording: what was copied, who had to wait, and which rows refuse a revision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dormatory.backends.replica import ReplicaInfo
    from dormatory.project.script import Revision
    from dormatory.recording.model import Direction, Recording
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
    """How long somebody waited, at the longest, who tried a table again and again meanwhile.

    `table` is "" where the whole database is one file.
    """

    table: str
    user: str  # readers or writers
    direction: Direction
    seconds: float


@dataclass(frozen=True, slots=True)
class OffendingRows:
    """Rows that a revision cannot be applied to: what they violate, how many they are, and how to find them.

    `keys` are the first of them, as `id=7`, and empty where values are not to be shown. `query` lists them all, on the
    structure that the revision finds or makes; "" where only the first one is known.
    """

    rule: str  # UNIQUE, NOT NULL, FOREIGN KEY, CHECK, or the type that a value does not fit
    table: str
    columns: tuple[str, ...]
    count: int
    keys: tuple[str, ...] = ()
    key_names: tuple[str, ...] = ()
    query: str = ""


@dataclass(frozen=True, slots=True)
class RevisionObservations:
    """What was seen of one revision that no recording holds."""

    revision: str
    written_rows: tuple[WrittenRows, ...] = ()
    waits: tuple[Wait, ...] = ()
    offending_rows: tuple[OffendingRows, ...] = ()
    forecast: Forecast | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A rehearsal on a copy of the target; without pending revisions nothing was copied.

    `untouched` says how it is known that the target was not written to. `loose_ends` are what could not be found out.
    """

    target: str
    current: tuple[str, ...]
    pending: tuple[Revision, ...]
    target_check: str
    replica: ReplicaInfo | None = None
    recording: Recording | None = None
    observations: tuple[RevisionObservations, ...] = ()
    not_checked: tuple[str, ...] = ()
