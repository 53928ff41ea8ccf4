"""The rows of each attempt at a revision, plainer every time until its structure can be judged, and their results."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from dormatory.errors import MissingDowngradeError
from dormatory.recording.leg import Direction
from dormatory.recording.model import RowFailure, RowKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.recording.leg import Failure, Leg
    from dormatory.recording.loss import Loss
    from dormatory.recording.model import Step
    from dormatory.recording.offending_rows import OffendingRows

_MAX_EXCLUSIONS = 3  # a revision that fails on more kinds of rows is played on empty tables


@dataclass(frozen=True, slots=True)
class Attempt:
    """The rows with which a revision is played.

    Without `has_extremes` they are plausible. `excluded` rows are deleted before the upgrade. With `adds_rows`, more
    rows are added after the upgrade, as an application would. `is_empty` means no rows but those that revisions and
    the project itself insert.
    """

    has_extremes: bool = True
    excluded: tuple[OffendingRows, ...] = ()
    adds_rows: bool = True
    is_empty: bool = False


FIRST_ATTEMPT = Attempt()
_EMPTY_TABLES = Attempt(has_extremes=False, adds_rows=False, is_empty=True)


def next_attempt(attempt: Attempt, step: Step) -> Attempt | None:
    """Return the attempt that follows on this result, None if nothing plainer would show more."""
    failed = next((leg for leg in step.legs if leg.failure and not _is_deliberate(leg.failure)), None)
    if attempt.is_empty or not (failed or (step.losses and attempt.has_extremes)):
        return None
    if attempt.has_extremes:
        return replace(attempt, has_extremes=False)
    if failed and failed.direction is not Direction.UPGRADE:
        return replace(attempt, adds_rows=False) if attempt.adds_rows else _EMPTY_TABLES
    rows = failed.offending_rows if failed else None
    if rows and rows.query and rows not in attempt.excluded and len(attempt.excluded) < _MAX_EXCLUSIONS:
        return replace(attempt, excluded=(*attempt.excluded, rows))
    return _EMPTY_TABLES


def merge_attempts(results: Sequence[tuple[Attempt, Step]]) -> Step:
    """Return what all attempts at one revision showed, each thing once."""
    if len(results) == 1:
        return results[0][1]
    steps = [step for _, step in results]
    legs = tuple(_leg_of_all(steps))
    after = next((step.after for step in steps if step.after), None)
    failures = tuple(found for direction in Direction for found in _row_failures(results, direction))
    drops = next((step.drops for step in steps if step.drops), ())
    losses = tuple(_losses(results))
    return replace(steps[-1], legs=legs, after=after, losses=losses, row_failures=failures, drops=drops)


def _is_deliberate(failure: Failure) -> bool:
    return failure.is_declared or failure.kind == MissingDowngradeError.__name__


def _leg_of_all(steps: Sequence[Step]) -> Iterator[Leg]:
    """Yield each leg from the first attempt in which it passed; last, if there is one, a leg that always failed."""
    for direction in Direction:
        found = [leg for step in steps if (leg := _leg(step, direction))]
        passed = next((leg for leg in found if leg.failure is None), None)
        if found:
            yield passed or found[-1]
        if not passed:
            return


def _row_failures(results: Sequence[tuple[Attempt, Step]], direction: Direction) -> Iterator[RowFailure]:
    """Yield each failure of a leg that a later attempt did not have, with the rows that made the difference."""
    played = [(attempt, leg) for attempt, step in results if (leg := _leg(step, direction))]
    for (attempt, leg), (plainer, again) in pairwise(played):
        if leg.failure and not _is_deliberate(leg.failure) and not _is_same_failure(leg.failure, again.failure):
            last = leg.statements[-1].sql if leg.statements else ""
            yield RowFailure(direction, leg.failure, _difference(attempt, plainer), leg.offending_rows, last)


def _is_same_failure(failure: Failure, other: Failure | None) -> bool:
    return other is not None and other.location == failure.location


def _difference(attempt: Attempt, plainer: Attempt) -> RowKind:
    if attempt.has_extremes and not plainer.has_extremes:
        return RowKind.EXTREME
    return RowKind.NEW if attempt.adds_rows and not plainer.adds_rows and not plainer.is_empty else RowKind.OLD


def _losses(results: Sequence[tuple[Attempt, Step]]) -> Iterator[Loss]:
    """Yield the losses of all attempts; one that only extreme values had is marked."""
    plain = {_loss_key(loss): loss for attempt, step in results if not attempt.has_extremes for loss in step.losses}
    for attempt, step in results:
        for loss in step.losses if attempt.has_extremes else ():
            if _loss_key(loss) not in plain:
                filled = (it for other, it in results if not other.has_extremes and not other.is_empty)
                passed = (_leg(it, loss.direction) for it in filled)
                is_extreme = any(leg is not None and leg.failure is None for leg in passed)
                yield replace(loss, is_extreme=is_extreme)
    yield from plain.values()


def _loss_key(loss: Loss) -> tuple[object, ...]:
    """Return what two attempts name alike; what happened to most values of a column depends on the rows."""
    return loss.table, loss.column or (loss.kind, loss.direction)


def _leg(step: Step, direction: Direction) -> Leg | None:
    return next((leg for leg in step.legs if leg.direction is direction), None)
