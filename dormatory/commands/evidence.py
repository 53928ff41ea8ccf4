"""What one backend gives to the checks, as values: the schema at head, the dump, the recording of a replay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from dormatory.checks.finding import Finding
    from dormatory.project.history import History
    from dormatory.recording.model import Comparison, Recording


# The families of rules that need a replay, and those that need the schema at head.
REPLAY_FAMILIES = frozenset({"roundtrip", "data", "locks"})
SCHEMA_FAMILIES = frozenset({"drift", "parity"})


@dataclass(frozen=True, slots=True)
class EvidenceRequest:
    """What to collect; `revisions` are those that make a round trip, None for all; `history`, if it was read before."""

    schema: bool
    dump: bool
    replay: bool
    revisions: Collection[str] | None = None
    history: History | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one backend gave; a part that failed or was not requested is None, and `problems` say what failed.

    `dump` is the committed file, its text, and the text that the history gives.
    """

    backend: str
    comparison: Comparison | None = None
    dump: tuple[Path, str, str] | None = None
    recording: Recording | None = None
    problems: tuple[Finding, ...] = ()

    @property
    def server(self) -> str:
        """The server's name and version, "" if nothing could be collected."""
        return self.comparison.server if self.comparison else self.recording.server if self.recording else ""
