"""Signals that wait for the end of a block."""

from __future__ import annotations

import signal

import pytest

from dormatory.system.signals import delay_first_signal


def interrupt(count: int, events: list[str]) -> None:
    """Send this process some signals in a block, and add what happens to `events`."""
    with delay_first_signal(lambda: events.append("noticed")):
        for _ in range(count):
            signal.raise_signal(signal.SIGINT)
        events.append("end of the block")


@pytest.mark.parametrize(
    ("count", "expected"), [(1, ["noticed", "end of the block"]), (2, ["noticed"])], ids=["first", "second"]
)
def test_the_first_signal_waits_for_the_end_of_the_block_and_a_second_one_does_not(
    count: int, expected: list[str]
) -> None:
    events: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        interrupt(count, events)
    assert events == expected
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_a_signal_the_block_ends_as_usual() -> None:
    events: list[str] = []
    interrupt(0, events)
    assert events == ["end of the block"]
