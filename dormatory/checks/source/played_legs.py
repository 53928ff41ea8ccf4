"""What the replays of a revision show about a call in its text: whether it was played, and what was executed there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator, Sequence

    from dormatory.checks.source.call_sites import CallSite
    from dormatory.checks.source.revision import RevisionSource
    from dormatory.recording.leg import Leg, Statement
    from dormatory.recording.model import Recording


@dataclass(frozen=True, slots=True)
class PlayedLegs:
    """The legs of one revision, with the backend of each."""

    source: RevisionSource
    legs: tuple[tuple[str, Leg], ...]

    @classmethod
    def of(cls, source: RevisionSource, recordings: Sequence[Recording]) -> PlayedLegs:
        """Return the legs of a revision in recordings."""
        return cls(
            source,
            tuple(
                (recording.backend, leg)
                for recording in recordings
                for step in recording.steps
                if step.revision == source.revision.id
                for leg in step.legs
            ),
        )

    def has_passed(self, site: CallSite, *backends: str) -> bool:
        """Return whether the direction of a call was played to its end on these backends.

        Without backends: on all for which the revision is checked and to which the call belongs.
        """
        wanted = backends or site.dialects & self.source.backends
        legs = [(name, leg) for name, leg in self.legs if name in wanted and site.direction in leg.direction.value]
        return {name for name, _ in legs} == set(wanted) and all(leg.failure is None for _, leg in legs)

    def statements_at(self, site: CallSite) -> Iterator[Statement]:
        """Yield the statements that the lines of a call issued in its direction."""
        for _, leg in self.legs:
            if site.direction in leg.direction.value:
                yield from (it for it in leg.statements if self.is_at(it.file, it.line, site.call))

    def is_at(self, file: str, line: int, node: ast.expr | ast.stmt) -> bool:
        """Return whether a recorded place, relative to the project, lies within a node of the revision."""
        is_own = bool(file) and str(self.source.revision.path).endswith(file)
        return is_own and node.lineno <= line <= (node.end_lineno or node.lineno)
