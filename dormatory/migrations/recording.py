"""The values that a played history leaves: what each revision did, leg by leg."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dormatory.errors import DormatoryError
    from dormatory.migrations.survival import Loss
    from dormatory.schema.changes import Change


class Direction(Enum):
    """The three legs of a round trip, in the order in which they are played."""

    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    SECOND_UPGRADE = "second upgrade"


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement as it was executed, and the line of the revision that issued it.

    `parameters` are the types of its parameters, never their values. `line` is 0 where no line of a revision issued
    it, such as Alembic's own book-keeping. `rows` is what the driver counted, -1 where it did not.
    """

    sql: str
    parameters: tuple[str, ...]
    file: str
    line: int
    seconds: float
    rows: int


@dataclass(frozen=True, slots=True)
class Leg:
    """One revision played in one direction.

    `trace` is what differs afterwards from what should be there: after the downgrade from the structure before
    the upgrade, after the second upgrade from the structure after the first. `error` is why it did not end.
    """

    direction: Direction
    seconds: float
    statements: tuple[Statement, ...] = ()
    trace: tuple[Change, ...] = ()
    error: DormatoryError | None = None

    @property
    def is_clean(self) -> bool:
        """Whether the leg ended and left what it should."""
        return self.error is None and not self.trace


@dataclass(frozen=True, slots=True)
class Step:
    """One revision's round trip, as far as it got, and which rows it lost on the way."""

    revision: str
    legs: tuple[Leg, ...]
    losses: tuple[Loss, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether every leg ended and left what it should, rows included."""
        return not self.losses and all(leg.is_clean for leg in self.legs)


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole history, played on a scratch database of one backend.

    `unreached` are the revisions behind one whose upgrade failed; `unfilled` are tables that no rows could be put
    into, each with the reason.
    """

    backend: str
    server: str
    steps: tuple[Step, ...]
    unreached: tuple[str, ...] = ()
    unfilled: tuple[tuple[str, str], ...] = ()
