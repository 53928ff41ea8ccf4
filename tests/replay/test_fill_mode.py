"""A step is replayed with plainer rows if its rows may be all that is wrong with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dormatory.errors import MissingDowngradeError, RevisionFailedError
from dormatory.recording.model import Direction, Failure, Leg, Loss, LossKind, Statement, Step
from dormatory.replay.fill_mode import FillMode, merge_steps, plainer_mode
from dormatory.schema.snapshot import Snapshot

FAILURE = Failure(RevisionFailedError.__name__, "it failed", "a row", "correct it")
CLEAN = Step("001", (Leg(Direction.UPGRADE, 0.0), Leg(Direction.DOWNGRADE, 0.0)), Snapshot(), Snapshot())
FAILED = replace(CLEAN, legs=(Leg(Direction.UPGRADE, 0.0, failure=FAILURE),), after=None)
LOSSY = replace(CLEAN, losses=(Loss(LossKind.ROWS_DELETED, Direction.DOWNGRADE, "a", "", 1, 2),))
VALIDATE = Statement("ALTER TABLE a VALIDATE CONSTRAINT c", (), "001.py", 1, 0.0, -1)
REFUSED = replace(CLEAN, legs=(Leg(Direction.UPGRADE, 0.0, (VALIDATE,), failure=FAILURE),), after=None)


@pytest.mark.parametrize(
    ("mode", "step", "next_mode"),
    [
        (FillMode.ALL, CLEAN, None),
        (FillMode.ALL, FAILED, FillMode.PLAUSIBLE),
        (FillMode.ALL, LOSSY, FillMode.PLAUSIBLE),
        (FillMode.PLAUSIBLE, FAILED, None),
        (FillMode.PLAUSIBLE, REFUSED, FillMode.NONE),
        (FillMode.NONE, REFUSED, None),
    ],
)
def test_a_failed_or_lossy_step_is_replayed_until_its_rows_are_ruled_out(
    mode: FillMode, step: Step, next_mode: FillMode | None
) -> None:
    assert plainer_mode(mode, step) is next_mode


@pytest.mark.parametrize(
    "failure", [replace(FAILURE, is_declared=True), replace(FAILURE, kind=MissingDowngradeError.__name__)]
)
def test_a_deliberate_failure_is_final(failure: Failure) -> None:
    step = replace(CLEAN, legs=(CLEAN.legs[0], Leg(Direction.DOWNGRADE, 0.0, failure=failure)))
    assert plainer_mode(FillMode.ALL, step) is None


def test_a_step_that_is_clean_with_plainer_rows_keeps_its_first_result() -> None:
    assert merge_steps(FAILED, CLEAN) == replace(FAILED, after=CLEAN.after, is_extreme=True)


def test_a_step_that_is_clean_without_rows_was_refused_by_them() -> None:
    assert merge_steps(REFUSED, CLEAN) == replace(CLEAN, refused=FAILURE)


def test_a_step_that_fails_again_has_its_second_result() -> None:
    assert merge_steps(LOSSY, FAILED) == FAILED
