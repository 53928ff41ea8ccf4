"""Progress is lines on standard error; a step of a replay is shown only on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.recording.leg import Direction, Leg
from dormatory.recording.model import Step
from dormatory.report.progress import show_progress
from dormatory.runtime.progress import (
    Move,
    MoveFinished,
    MovesPlanned,
    MoveStarted,
    Notice,
    RehearsalPartStarted,
    StepReplayed,
)
from dormatory.schema.snapshot import Snapshot

if TYPE_CHECKING:
    import pytest

UPGRADES = (Move("001", "Create the tables.", is_upgrade=True), Move("002", "Add a [floor].", is_upgrade=True))
EMPTY = Snapshot()
STEP = Step("001", (Leg(Direction.UPGRADE, 0.25), Leg(Direction.DOWNGRADE, 0.5)), EMPTY, EMPTY)


def test_a_run_is_announced_and_each_move_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress() as progress:
        progress(MovesPlanned("sqlite:///shop.db", UPGRADES))
        for move in UPGRADES:
            progress(MoveStarted(move))
            progress(MoveFinished(move, 0.0123))

    assert capsys.readouterr().err == (
        "upgrade sqlite:///shop.db: 2 revisions, 001 to 002\n"
        "  + 001  Create the tables.  0.012 s\n"
        "  + 002  Add a [floor].  0.012 s\n"
    )


def test_a_downgrade_of_one_revision_names_it_once(capsys: pytest.CaptureFixture[str]) -> None:
    move = Move("002", "Add a floor.", is_upgrade=False)

    with show_progress() as progress:
        progress(MovesPlanned("shop", (move,)))
        progress(Notice("backup of shop: /backups/1"))
        progress(MoveFinished(move, 1))

    assert capsys.readouterr().err == (
        "downgrade shop: 1 revision, 002\nbackup of shop: /backups/1\n  - 002  Add a floor.  1.000 s\n"
    )


def test_a_run_with_nothing_to_do_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress() as progress:
        progress(MovesPlanned("shop", ()))

    assert capsys.readouterr() == ("", "")


def test_a_replayed_step_is_a_line_only_if_steps_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress() as progress:
        progress(StepReplayed("sqlite", 13, STEP))
        progress(RehearsalPartStarted("copying", 0, 3))
    assert capsys.readouterr() == ("", "")

    with show_progress(shows_steps=True) as progress:
        progress(StepReplayed("sqlite", 13, STEP))
    assert capsys.readouterr() == ("", "  sqlite 001  ok  0.750 s\n")
