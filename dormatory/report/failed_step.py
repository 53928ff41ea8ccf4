"""A leg that failed or left something behind, in full: its SQL, the lines that issued it, and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.recording.leg import Leg
    from dormatory.recording.model import Recording, Step


def failed_step_lines(findings: Sequence[Finding], recordings: Sequence[Recording]) -> Iterator[str]:
    """Yield the first leg with a problem, of the first revision that has an error; nothing if none has."""
    failed = {(item.backend, item.revision) for item in findings if item.severity is Severity.ERROR and item.revision}
    for recording in recordings:
        for step in recording.steps:
            if (recording.backend, step.revision) in failed and not step.is_clean:
                yield from step_lines(step, recording.backend)
                return


def step_lines(step: Step, backend: str) -> Iterator[str]:
    """Yield the first leg of a step with a problem, statement by statement, and the problem."""
    lossy = {loss.direction for loss in step.losses}
    for leg in step.legs:
        if not leg.is_clean or leg.direction in lossy:
            yield f"{step.revision} on {backend}, {leg.direction.value}:"
            yield from _statement_lines(leg)
            if leg.failure:
                yield f"  failed: {leg.failure}"
            yield from (f"  left: {change}" for change in leg.trace)
            yield from (f"  lost: {loss}" for loss in step.losses if loss.direction is leg.direction)
            return


def _statement_lines(leg: Leg) -> Iterator[str]:
    for statement in leg.statements:
        if statement.line:
            first, *more = statement.sql.splitlines()
            yield f"  {statement.file}:{statement.line}  {first}"
            yield from (f"      {line}" for line in more)
