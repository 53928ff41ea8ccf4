"""A revision is played with plainer rows until its structure can be judged, and what each attempt showed is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dormatory.errors import MissingDowngradeError, RevisionFailedError
from dormatory.errors.location import Location
from dormatory.recording.leg import Direction, Failure, Leg
from dormatory.recording.loss import Loss, LossKind
from dormatory.recording.model import RowFailure, RowKind, Step
from dormatory.recording.offending_rows import OffendingRows
from dormatory.replay.attempt import FIRST_ATTEMPT, Attempt, merge_attempts, next_attempt
from dormatory.schema.changes import ObjectAdded
from dormatory.schema.snapshot import Snapshot, Table

FAILURE = Failure(RevisionFailedError.__name__, "it failed", "a row", "correct it", Location("001.py", 5))
UP, DOWN, AGAIN = (Leg(direction, 0.0) for direction in Direction)
CLEAN = Step("001", (UP, DOWN, AGAIN), Snapshot(), Snapshot())
TWINS = OffendingRows("UNIQUE", "a", ("x",), 2, query="SELECT …", source="a", condition="c.x = 1")
FAILED_UP = replace(CLEAN, legs=(replace(UP, failure=FAILURE),), after=None)
FAILED_ON_TWINS = replace(CLEAN, legs=(replace(UP, failure=FAILURE, offending_rows=TWINS),), after=None)
FAILED_DOWN = replace(CLEAN, legs=(UP, replace(DOWN, failure=FAILURE)))
LOSSY = replace(CLEAN, losses=(Loss(LossKind.ROWS_DELETED, Direction.DOWNGRADE, "a", "", 1, 2),))
LEFTOVER = ObjectAdded(Table("public", "left"))
TRACE = replace(CLEAN, legs=(UP, replace(DOWN, trace=(LEFTOVER,)), AGAIN))
ALL, PLAUSIBLE = FIRST_ATTEMPT, Attempt(has_extremes=False)
NO_TWINS, NO_NEW_ROWS = replace(PLAUSIBLE, excluded=(TWINS,)), replace(PLAUSIBLE, adds_rows=False)
EMPTY = Attempt(has_extremes=False, adds_rows=False, is_empty=True)


@pytest.mark.parametrize(
    ("attempt", "step", "expected"),
    [
        (ALL, CLEAN, None),
        (ALL, TRACE, None),
        (ALL, FAILED_UP, PLAUSIBLE),
        (ALL, LOSSY, PLAUSIBLE),
        (PLAUSIBLE, LOSSY, None),
        (PLAUSIBLE, FAILED_ON_TWINS, NO_TWINS),
        (NO_TWINS, FAILED_ON_TWINS, EMPTY),
        (PLAUSIBLE, FAILED_UP, EMPTY),
        (PLAUSIBLE, FAILED_DOWN, NO_NEW_ROWS),
        (NO_TWINS, FAILED_DOWN, replace(NO_TWINS, adds_rows=False)),
        (NO_NEW_ROWS, FAILED_DOWN, EMPTY),
        (EMPTY, FAILED_UP, None),
    ],
)
def test_rows_get_plainer_until_nothing_is_hidden(attempt: Attempt, step: Step, expected: Attempt | None) -> None:
    assert next_attempt(attempt, step) == expected


@pytest.mark.parametrize(
    "failure", [replace(FAILURE, is_declared=True), replace(FAILURE, kind=MissingDowngradeError.__name__)]
)
def test_a_deliberate_failure_is_final(failure: Failure) -> None:
    assert next_attempt(ALL, replace(CLEAN, legs=(UP, replace(DOWN, failure=failure)))) is None


def test_a_failure_on_rows_does_not_hide_the_trace_of_a_plainer_attempt() -> None:
    merged = merge_attempts([(ALL, FAILED_ON_TWINS), (PLAUSIBLE, FAILED_ON_TWINS), (NO_TWINS, TRACE)])

    assert merged.legs == TRACE.legs
    assert merged.after == TRACE.after
    assert merged.row_failures == (RowFailure(Direction.UPGRADE, FAILURE, RowKind.OLD, TWINS),)


@pytest.mark.parametrize(
    ("results", "direction", "kind"),
    [
        ([(ALL, FAILED_UP), (PLAUSIBLE, CLEAN)], Direction.UPGRADE, RowKind.EXTREME),
        ([(ALL, FAILED_UP), (PLAUSIBLE, FAILED_UP), (EMPTY, CLEAN)], Direction.UPGRADE, RowKind.OLD),
        ([(ALL, FAILED_DOWN), (PLAUSIBLE, FAILED_DOWN), (NO_NEW_ROWS, CLEAN)], Direction.DOWNGRADE, RowKind.NEW),
        (
            [(ALL, FAILED_DOWN), (PLAUSIBLE, FAILED_DOWN), (NO_NEW_ROWS, FAILED_DOWN), (EMPTY, CLEAN)],
            Direction.DOWNGRADE,
            RowKind.OLD,
        ),
    ],
)
def test_the_first_attempt_that_passes_says_which_rows_failed(
    results: list[tuple[Attempt, Step]], direction: Direction, kind: RowKind
) -> None:
    merged = merge_attempts(results)

    assert [(it.direction, it.kind) for it in merged.row_failures] == [(direction, kind)]
    assert merged.legs == CLEAN.legs


def test_two_failures_at_different_places_are_two() -> None:
    other = replace(FAILED_UP, legs=(replace(UP, failure=replace(FAILURE, location=Location("001.py", 9))),))
    merged = merge_attempts([(ALL, FAILED_UP), (PLAUSIBLE, other), (EMPTY, CLEAN)])

    assert [it.kind for it in merged.row_failures] == [RowKind.EXTREME, RowKind.OLD]


def test_what_fails_on_empty_tables_fails_on_all() -> None:
    merged = merge_attempts([(ALL, FAILED_UP), (PLAUSIBLE, FAILED_UP), (EMPTY, FAILED_UP)])

    assert (merged.legs, merged.row_failures) == (FAILED_UP.legs, ())


def test_a_loss_of_extreme_values_only_is_marked() -> None:
    assert merge_attempts([(ALL, LOSSY), (PLAUSIBLE, CLEAN)]).losses == (replace(LOSSY.losses[0], is_extreme=True),)
    assert merge_attempts([(ALL, LOSSY), (PLAUSIBLE, LOSSY)]).losses == LOSSY.losses


def test_a_loss_before_a_failure_of_plainer_rows_counts() -> None:
    assert merge_attempts([(ALL, LOSSY), (PLAUSIBLE, FAILED_UP), (EMPTY, CLEAN)]).losses == LOSSY.losses
