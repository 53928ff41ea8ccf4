"""Which rows the tables hold for a revision, and when its trip is replayed with plainer rows before it is final."""

from __future__ import annotations

import re
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from dormatory.errors import MissingDowngradeError
from dormatory.recording.model import Direction

if TYPE_CHECKING:
    from dormatory.recording.model import Failure, Step

_VALIDATE_CONSTRAINT = re.compile(r"\bVALIDATE\s+CONSTRAINT\b", re.IGNORECASE)


class FillMode(Enum):
    """The rows that a revision finds in the tables."""

    ALL = "rows with the extremes of their types, too"
    PLAUSIBLE = "plausible rows only"
    NONE = "no rows"


def plainer_mode(mode: FillMode, step: Step) -> FillMode | None:
    """Return the rows with which a step must be replayed, None if its result is final."""
    if mode is FillMode.ALL and _may_depend_on_extremes(step):
        return FillMode.PLAUSIBLE
    if mode is FillMode.PLAUSIBLE and _validation_failure(step):
        return FillMode.NONE
    return None


def merge_steps(first: Step, again: Step) -> Step:
    """Return the final result of a step that was replayed with plainer rows."""
    if not again.is_clean:
        return again
    if refused := _validation_failure(first):
        return replace(again, refused=refused)
    return replace(first, after=again.after, is_extreme=True)


def _may_depend_on_extremes(step: Step) -> bool:
    """Return whether a step may be unclean only because of the extreme values in its rows."""
    return bool(step.losses) or any(leg.failure and not _is_deliberate(leg.failure) for leg in step.legs)


def _is_deliberate(failure: Failure) -> bool:
    return failure.is_declared or failure.kind == MissingDowngradeError.__name__


def _validation_failure(step: Step) -> Failure | None:
    """Return the failure of an upgrade that was validating a constraint: the rows are wrong, not the revision.

    Such a statement blocks nobody and can be repeated once the rows are corrected, which is why it is a step of its
    own.
    """
    leg = step.legs[-1]
    is_validation = (
        leg.direction is Direction.UPGRADE and leg.statements and _VALIDATE_CONSTRAINT.search(leg.statements[-1].sql)
    )
    return leg.failure if is_validation else None
