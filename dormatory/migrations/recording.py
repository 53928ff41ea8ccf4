"""The values that a played history leaves: what each revision did, leg by leg."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dormatory.errors import DormatoryError
    from dormatory.schema.changes import Change


class Direction(Enum):
    """The three legs of a round trip, in the order in which they are played."""

    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    SECOND_UPGRADE = "second upgrade"


@dataclass(frozen=True, slots=True)
class Leg:
    """One revision played in one direction.

    `trace` is what differs afterwards from what should be there: after the downgrade from the structure before
    the upgrade, after the second upgrade from the structure after the first. `error` is why it did not end.
    """

    direction: Direction
    seconds: float
    trace: tuple[Change, ...] = ()
    error: DormatoryError | None = None

    @property
    def is_clean(self) -> bool:
        """Whether the leg ended and left what it should."""
        return self.error is None and not self.trace


@dataclass(frozen=True, slots=True)
class Step:
    """One revision's round trip, as far as it got."""

    revision: str
    legs: tuple[Leg, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole history, played on a scratch database of one backend.

    `unreached` are the revisions behind one whose upgrade failed.
    """

    backend: str
    server: str
    steps: tuple[Step, ...]
    unreached: tuple[str, ...] = ()
