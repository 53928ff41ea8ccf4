"""Interrupted commands leave an intact database; `nox -s torture` tries far more moments than these."""

from __future__ import annotations

from random import Random

import pytest

from dormatory.dataloss.contents import Contents
from dormatory.schema.snapshot import Snapshot
from tests.torture.__main__ import interruptions, main, open_sandbox, planned_interruptions
from tests.torture.interruption import Command, interruptible_commands, run_interrupted
from tests.torture.sandbox import State

# Command, kind of interruption, and the moment: in the middle of its work.
INTERRUPTIONS = {
    "sqlite": (
        ("upgrade", "kill", 420),
        ("downgrade", "interrupt", 279),
        ("reset", "kill", 300),
        ("restore", "kill", 40),
        ("undo", "kill", 80),
        ("create", "kill", 17),
        ("upgrade", "disk", 300),
        ("schema-dump", "kill", 430),
    ),
    "postgresql": (
        ("upgrade", "kill", 125),
        ("downgrade", "cut", 150),
        ("downgrade", "kill", 83),
        ("reset", "terminate", 147),
        ("restore", "kill", 53),
        ("undo", "kill", 80),
        ("create", "server", 16),
        ("upgrade", "server", 63),
    ),
}


@pytest.mark.once
@pytest.mark.parametrize("backend", INTERRUPTIONS)
def test_an_interrupted_command_leaves_an_intact_database_and_completes_when_run_again(backend: str) -> None:
    with open_sandbox(backend) as opened:
        found = {command.name: command for command in interruptible_commands(opened)}
        codes = [run_interrupted(opened, found[name], at=at, how=how).code for name, how, at in INTERRUPTIONS[backend]]
    assert 0 not in codes  # each was interrupted


def test_the_long_version_prints_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "--seed" in capsys.readouterr().out


@pytest.mark.parametrize("every", [True, False])
def test_the_long_version_kills_at_each_moment_once(*, every: bool) -> None:
    whole = [(command("upgrade"), 7), (command("reset"), 5)]
    found = list(planned_interruptions(whole, "sqlite", Random(1), every=every))  # noqa: S311  # no secret
    kills = [(what.name, at) for what, at, how in found if how == "kill"]
    assert sorted(kills) == [("reset", at) for at in range(1, 6)] + [("upgrade", at) for at in range(1, 8)]
    assert {how for _, _, how in found} <= set(interruptions("sqlite"))
    assert len(found) == (12 if every else 24)


def command(name: str) -> Command:
    """Return a command that is not run."""
    return Command(name, (), "", (), State("", Snapshot(), Contents(())))
