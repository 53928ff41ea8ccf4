"""Follows the values of one column through a round trip, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dormatory.dataloss.moved_values import MoveTargets
from dormatory.dataloss.values import canonical_form, example_of, is_same_json, is_same_value
from dormatory.recording.loss import Loss, LossKind
from dormatory.schema.describe import object_name
from dormatory.sql.types import portable_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.dataloss.timeline import TableTransition
    from dormatory.dataloss.values import CellValue
    from dormatory.recording.leg import Direction
    from dormatory.sql.dataflow import Origin


@dataclass(frozen=True, slots=True)
class Cell:
    """A value before the upgrade, after it and after the downgrade, in the row with this index before the upgrade."""

    row_index: int
    before: CellValue
    upgraded: CellValue
    after: CellValue

    @property
    def is_filled(self) -> bool:
        """Whether the upgrade has set a value where there was none, and it has stayed: nothing was lost."""
        return self.before is None and is_same_value(self.upgraded, self.after)

    @property
    def is_changed_by_upgrade(self) -> bool:
        """Whether the upgrade has set another value."""
        return canonical_form(self.before) != canonical_form(self.upgraded)

    @property
    def is_kept_by_downgrade(self) -> bool:
        """Whether the downgrade has left the value of the upgrade."""
        return canonical_form(self.upgraded) == canonical_form(self.after)


@dataclass(frozen=True)
class ColumnHistory:
    """A column that exists before the upgrade and after the downgrade, in the rows that were matched on both legs."""

    upgrade: TableTransition
    overall: TableTransition
    name: str

    @cached_property
    def name_after(self) -> str | None:
        """The column's name after the upgrade, None if the upgrade drops it."""
        return self.upgrade.column_names.get(self.name)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The values of the column."""
        return tuple(self._read_cells())

    @cached_property
    def changed_cells(self) -> list[Cell]:
        """The values that did not come back; if the type has changed, their form may be another one."""
        changed = [cell for cell in self.cells if not is_same_value(cell.before, cell.after)]
        if self._has_changed_type():  # which is a difference in structure
            changed = [it for it in changed if canonical_form(it.before) != canonical_form(it.after)]
        return [it for it in changed if not is_same_json(it.before, it.after)]

    @cached_property
    def targets(self) -> MoveTargets:
        """The places to which the upgrade has copied the values."""
        return MoveTargets(self.upgrade, self.name)

    @property
    def target_origin(self) -> Origin | None:
        """The first statement of the upgrade that reads the column into another one."""
        writes = self.upgrade.leg.dataflow.writes
        return next((it.origin for it in writes if self.name.lower() in it.reads), None)

    def is_rejoined(self, lost: Sequence[Cell]) -> bool:
        """Return whether the downgrade joins texts that the upgrade has split, except those of an unexpected form.

        It does if it reads all the places that the values were split into, and has restored some of the values.
        """
        writes = self.overall.leg.dataflow.writes_to(self.overall.table.name, self.name)
        reads = {name for write in writes for name in write.reads}
        if not self.targets.has_any or not reads.issuperset(it.lower() for it in self.targets.same_table_columns):
            return False
        restored = [it for it in self.cells if it.before == it.after and it.before and it.is_changed_by_upgrade]
        return bool(restored) and all(isinstance(it.before, str) for it in lost)

    def loss(
        self, kind: LossKind, direction: Direction, lost: Sequence[Cell], origin: Origin | None, evidence: str = ""
    ) -> Loss:
        """Return the loss of some values of this column; `evidence` is added to the statement that caused it."""
        example = next((it for it in lost if it.before not in {None, ""}), lost[0])
        texts = (evidence, str(origin or ""))
        return Loss(
            kind, direction, object_name(self.upgrade.table), self.name, len(lost), len(self.cells),
            "; ".join(filter(None, texts)), line=origin.line if origin else 0,
            example=example_of(example.before, example.after),
            remedy=self._declaration(kind, lost),
        )  # fmt: skip

    @cached_property
    def has_type_changed_by_upgrade(self) -> bool:
        """Whether the upgrade has given the column another type."""
        new = {it.name: it.type for it in self.upgrade.table_after.columns} if self.upgrade.table_after else {}
        return new.get(self.name_after or "") != {it.name: it.type for it in self.upgrade.table.columns}[self.name]

    def _declaration(self, kind: LossKind, lost: Sequence[Cell]) -> str:
        """Return the line that declares the loss, for the top of the revision."""
        name = f"{object_name(self.upgrade.table)}.{self.name}"
        lengths = {len(it.after) for it in lost if isinstance(it.after, str)}
        family = portable_type(next(it.type for it in self.upgrade.table.columns if it.name == self.name))
        if kind is LossKind.TRUNCATED and lengths and family.partition("(")[0] in _TEXT_FAMILIES:
            return f'lossy = "{name} is cut to {max(lengths)} characters"'
        return f'lossy = "{name} {_DECLARED_CHANGES.get(kind, "changes")}"'

    def _read_cells(self) -> Iterator[Cell]:
        rows, rows_after, upgraded_rows = self.overall.rows, self.overall.rows_after, self.upgrade.rows_after
        if rows_after is None:
            return
        old, new = rows.columns.index(self.name), rows_after.columns.index(self.name)
        upgraded_indexes = dict(self.upgrade.matching.pairs)
        for row_index, index_after in self.overall.matching.pairs:
            upgraded_index = upgraded_indexes.get(row_index)
            upgraded = None
            if self.name_after is not None:
                if upgraded_index is None:
                    continue  # the upgrade has lost the whole row
                if upgraded_rows is not None:
                    upgraded = upgraded_rows.rows[upgraded_index][upgraded_rows.columns.index(self.name_after)]
            yield Cell(row_index, rows.rows[row_index][old], upgraded, rows_after.rows[index_after][new])

    def _has_changed_type(self) -> bool:
        tables = self.overall.table, self.overall.table_after
        old, new = ({it.name: it.type for it in table.columns} if table else {} for table in tables)
        return old.get(self.name) != new.get(self.name)


_TEXT_FAMILIES = frozenset({"char", "citext", "text", "varchar"})
_DECLARED_CHANGES = {
    LossKind.VALUES_LOST: "loses its values",
    LossKind.TRUNCATED: "is rounded",
    LossKind.SHIFTED: "is shifted in time",
    LossKind.REENCODED: "is written in another form",
    LossKind.MAPPING_NOT_INVERTED: "takes several values for one",
    LossKind.SPLIT_NOT_JOINED: "is not put together again",
}
