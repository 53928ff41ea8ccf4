"""The values of a judgement: one round trip with its rows, and what was lost on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from dormatory.recording.model import Direction

if TYPE_CHECKING:
    from dormatory.dataloss.contents import Contents
    from dormatory.recording.model import Statement
    from dormatory.schema.snapshot import Snapshot
    from dormatory.sql.lexer import Syntax


class Kind(Enum):
    """What became of rows or values that could have survived."""

    ROWS_DELETED = "rows-deleted"
    ROWS_DUPLICATED = "rows-duplicated"
    VALUES_CHANGED = "values-changed"
    VALUES_LOST = "values-lost"
    TRUNCATED = "truncated"
    SHIFTED = "shifted"
    REENCODED = "reencoded"
    MAPPING_NOT_INVERTED = "mapping-not-inverted"
    SPLIT_NOT_JOINED = "split-not-joined"
    DANGLING = "dangling-foreign-keys"


@dataclass(frozen=True, slots=True)
class State:
    """A database at one moment of a round trip."""

    schema: Snapshot
    contents: Contents


@dataclass(frozen=True, slots=True)
class Trip:
    """One revision's round trip as far as it got: states between the legs, and the statements of each leg.

    `filled` are the contents after rows were put in behind the upgrade, None where none were. States that were not
    reached are None. `touched` names the tables that may be judged: nothing has happened to any other, of which the
    states need hold only what foreign keys join to these. None: any table may be.
    """

    syntax: Syntax
    before: State
    upgrade: tuple[Statement, ...]
    upgraded: State
    filled: Contents | None = None
    downgrade: tuple[Statement, ...] = ()
    downgraded: State | None = None
    second_upgrade: tuple[Statement, ...] = ()
    upgraded_again: State | None = None
    touched: frozenset[tuple[str | None, str]] | None = None


@dataclass(frozen=True, slots=True)
class Loss:
    """Rows or values that a leg should have kept; nothing in it repeats a value.

    `column` is "" where whole rows are meant. `is_stated` tells that a statement of the revision does it in so many
    words, such as a DELETE on that very table: whoever wrote it knew, though nothing declares it.
    """

    kind: Kind
    direction: Direction
    table: str
    column: str
    count: int
    of: int
    evidence: str = ""
    is_stated: bool = False

    def __str__(self) -> str:
        """Return one sentence for people."""
        return self._sentence() + (f" ({self.evidence})" if self.evidence else "")

    def _sentence(self) -> str:
        when = _WHEN[self.direction]
        where = f"{self.table}.{self.column}" if self.column else self.table
        rows = f"{self.count} of {self.of} {'row' if self.of == 1 else 'rows'} of {where}"
        values = f"{self.count} of {self.of} {'value' if self.of == 1 else 'values'} of {where}"
        be = "is" if self.count == 1 else "are"
        match self.kind:
            case Kind.ROWS_DELETED:
                return f"{rows} {be} gone after the {when}"
            case Kind.ROWS_DUPLICATED:
                return f"{rows} {be} there twice after the {when}"
            case Kind.DANGLING:
                return f"{values} {'names' if self.count == 1 else 'name'} no row after the {when}"
        return f"{values} {be} {_BECAME[self.kind]} after the {when}"


_WHEN = {direction: direction.value for direction in Direction}
_BECAME = {
    Kind.VALUES_CHANGED: "changed",
    Kind.VALUES_LOST: "lost",
    Kind.TRUNCATED: "cut off",
    Kind.SHIFTED: "shifted in time",
    Kind.REENCODED: "written in another form",
    Kind.MAPPING_NOT_INVERTED: "still what the upgrade made of them",
    Kind.SPLIT_NOT_JOINED: "not put together again from their parts",
}
