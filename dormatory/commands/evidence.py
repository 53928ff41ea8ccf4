"""What one backend gives to the checks, as values: the schema at head, the dump, the recording of a replay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
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

    `dump` is the committed file, its text, and the text that the history gives. `recordings` are those of the passes of
    env.py, if it runs the migrations more than once; `version_table` is that of a later pass, "" of the first.
    """

    backend: str
    comparison: Comparison | None = None
    dump: tuple[Path, str, str] | None = None
    recordings: tuple[Recording, ...] = ()
    problems: tuple[Finding, ...] = ()
    version_table: str = ""

    @property
    def recording(self) -> Recording | None:
        """The recording of the only pass, or of the first one."""
        return next(iter(self.recordings), None)

    def by_pass(self) -> Iterator[Evidence]:
        """Yield the evidence of each pass of env.py, whose recording is the only one; the first has all the rest."""
        yield replace(self, recordings=self.recordings[:1])
        for recording in self.recordings[1:]:
            yield Evidence(self.backend, recordings=(recording,), version_table=recording.version_table)

    @property
    def server(self) -> str:
        """The server's name and version, "" if nothing could be collected."""
        return self.comparison.server if self.comparison else self.recording.server if self.recording else ""
