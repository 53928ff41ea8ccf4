"""Inserts made rows: all at once if the database accepts them, else one by one, changed until it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.rows.store import RefusedRowError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dormatory.rows.row_factory import GeneratedRow, RowFactory
    from dormatory.rows.store import RowStore
    from dormatory.schema.snapshot import TableId

_MAX_ATTEMPTS = 60  # statements for a table that refuses rows
_MAX_ATTEMPTS_PER_ROW = 12


class RowInserter:
    """The number of rows that each table has got, and why a table has refused rows."""

    def __init__(self, store: RowStore) -> None:
        self._store = store
        self.inserted: dict[TableId, int] = {}
        self.reasons: dict[TableId, str] = {}

    def insert(self, factory: RowFactory, row_indexes: Iterable[int], total: int) -> None:
        """Make the rows with these indexes, out of `total` rows, and insert them."""
        made = [(index, row) for index in row_indexes if (row := factory.make_row(index, total)) is not None]
        if not made:
            return
        id_ = factory.plan.id
        try:
            kept = self._store.insert(factory.plan, [row for _, row in made])
        except RefusedRowError:
            kept = self._insert_one_by_one(factory, made)
        else:
            if not kept:
                self.reasons[id_] = "the database kept none of its rows: a trigger or a rule takes them away"
        self.inserted[id_] = self.inserted.get(id_, 0) + kept

    def _insert_one_by_one(self, factory: RowFactory, made: Sequence[tuple[int, GeneratedRow]]) -> int:
        """Insert rows one by one, changed as long as the database refuses them, and return how many it kept."""
        kept, left = 0, _MAX_ATTEMPTS
        for row_index, first in made:
            row: GeneratedRow | None = first
            for _ in range(_MAX_ATTEMPTS_PER_ROW):
                if row is None or not left:
                    break
                try:
                    kept += self._store.insert(factory.plan, [row])
                except RefusedRowError as error:
                    left -= 1
                    self.reasons[factory.plan.id] = error.reason
                    factory.release_keys(row)
                    row = factory.make_replacement(row, error.columns, row_index)
                else:
                    factory.accept(row)
                    break
            else:
                if row is not None:
                    factory.release_keys(row)
        return kept
