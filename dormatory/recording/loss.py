"""What a leg of a round trip lost of rows and values, as a value and as a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from dormatory.recording.leg import Direction


class LossKind(Enum):
    """The ways in which rows or values are lost that could have been kept."""

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
    MISPLACED = "values-misplaced"
    COUNTER_BEHIND = "counter-behind"
    DROPPED = "values-dropped"


@dataclass(frozen=True, slots=True)
class Loss:
    """Rows or values that a leg should have kept.

    `column` is "" for whole rows. `is_stated` is true if the revision does it knowingly, such as by a DELETE on that
    table, although nothing declares the loss. `is_narrowed` is true if a narrower type or constraint did it, so that
    extreme values count as any others. `is_extreme` is true if only extreme values are lost. `line` is the line of the
    revision that did it, 0 where it is unknown. `example` shows one value before and after; it is "" unless the rows
    were generated. `remedy` is what to write, as code.
    """

    kind: LossKind
    direction: Direction
    table: str
    column: str
    count: int
    of: int
    evidence: str = ""
    is_stated: bool = False
    is_narrowed: bool = False
    line: int = 0
    example: str = ""
    remedy: str = ""
    is_extreme: bool = False

    @property
    def is_refused_by_new_key(self) -> bool:
        """Whether nothing happened to the rows: a foreign key is new, and refuses what was allowed before it."""
        return self.kind is LossKind.DANGLING and self.is_narrowed

    def __str__(self) -> str:
        """Return one sentence for messages."""
        details = "; ".join(filter(None, (self.example, self.evidence)))
        return self._sentence() + (f" ({details})" if details else "")

    def _sentence(self) -> str:
        when = _LEG_NAMES[self.direction]
        where = f"{self.table}.{self.column}" if self.column else self.table
        rows = f"{self.count} of {self.of} {'row' if self.of == 1 else 'rows'} of {where}"
        values = f"{self.count} of {self.of} {'value' if self.of == 1 else 'values'} of {where}"
        be = "is" if self.count == 1 else "are"
        match self.kind:
            case LossKind.MISPLACED:
                what = f"values of {where} are in the wrong columns"
            case LossKind.COUNTER_BEHIND:
                what = f"the counter of {where} is wrong"
            case LossKind.DANGLING:
                what = f"{values} {'names' if self.count == 1 else 'name'} no row"
            case _:
                is_merged = (self.kind, self.direction) == (LossKind.MAPPING_NOT_INVERTED, Direction.UPGRADE)
                words = "replaced by others" if is_merged else _CHANGE_WORDS[self.kind]
                what = f"{values if self.column else rows} {be} {words}"
        return f"{what} after the {when}"


_LEG_NAMES = {direction: direction.value for direction in Direction}
_CHANGE_WORDS = {
    LossKind.ROWS_DELETED: "gone",
    LossKind.ROWS_DUPLICATED: "there twice",
    LossKind.VALUES_CHANGED: "changed",
    LossKind.VALUES_LOST: "lost",
    LossKind.TRUNCATED: "cut off",
    LossKind.SHIFTED: "shifted in time",
    LossKind.REENCODED: "written in another form",
    LossKind.MAPPING_NOT_INVERTED: "still what the upgrade made of them",
    LossKind.SPLIT_NOT_JOINED: "not put together again from their parts",
    LossKind.DROPPED: "dropped with it",
}
