"""Detects values that a rebuild of a table has put into other columns: `INSERT INTO ... SELECT *` goes by the order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.recording.loss import Loss, LossKind
from dormatory.schema.describe import object_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.dataloss.timeline import TableTransition


def detect_misplaced_values(transition: TableTransition) -> Iterator[Loss]:
    """Yield the loss of a table of which columns hold the values of other ones since a leg; at most one."""
    moved, table = transition.misplaced_columns, transition.table_after
    if not moved or table is None:
        return
    origin = transition.leg.dataflow.inserts.get(table.name.lower())
    places = ", ".join(f"those of {old} are in {new}" for old, new in sorted(moved.items()))
    names = transition.column_names
    kept = [it.name for it in transition.table.columns if it.name in names]
    new_names = ", ".join(names[it] for it in kept)
    code = f"INSERT INTO ... ({new_names}) SELECT {', '.join(kept)} FROM {table.name}"  # noqa: S608  # shown
    yield Loss(
        LossKind.MISPLACED, transition.leg.direction, object_name(table), "", len(moved), len(transition.column_names),
        f"{places}; {origin}" if origin else places, line=origin.line if origin else 0,
        remedy=f'op.execute("{code}")',
    )  # fmt: skip
