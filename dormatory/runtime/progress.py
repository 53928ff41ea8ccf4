"""The progress of a command, as values: each event is passed to one function, the command's `Progress`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from dormatory.recording.model import Step


@dataclass(frozen=True, slots=True)
class Move:
    """One revision to apply or to take back."""

    revision: str
    title: str
    is_upgrade: bool


@dataclass(frozen=True, slots=True)
class MovesPlanned:
    """All moves of a run are known, and none has begun; `target` hides secrets."""

    target: str
    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class MoveStarted:
    """A move begins."""

    move: Move


@dataclass(frozen=True, slots=True)
class MoveFinished:
    """A move has ended, after `seconds`."""

    move: Move
    seconds: float


@dataclass(frozen=True, slots=True)
class StepReplayed:
    """One of `total` steps of a replay on a backend has ended."""

    backend: str
    total: int
    step: Step


@dataclass(frozen=True, slots=True)
class RehearsalPartStarted:
    """A part of a rehearsal begins, after `done` of `total` parts."""

    name: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence that the user must see before the command goes on."""

    text: str


Event: TypeAlias = MovesPlanned | MoveStarted | MoveFinished | StepReplayed | RehearsalPartStarted | Notice
Progress: TypeAlias = Callable[[Event], None]


def ignore_progress(_event: Event) -> None:
    """Ignore an event: the progress of a command that shows none."""
