"""Why a table stays empty: because of what it is, or because no row was found for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.rows.plan import TablePlan
    from dormatory.rows.row_factory import RowFactory
    from dormatory.schema.snapshot import Constraint, Table, Trigger

_FILLABLE_KINDS = {"table", "partitioned table"}


def unfillable_reason(table: Table) -> str | None:
    """Return why a table cannot be filled with any rows, None if it can."""
    if table.kind not in _FILLABLE_KINDS:
        return f"it is a {table.kind}"
    if not table.columns:
        return "it has no columns"
    texts = [part.definition.lower() for part in constraints_and_triggers(table)]
    texts += [column.not_null_note.lower() for column in table.columns if column.not_null_note]
    if any(words in text for text in texts for words in ("on conflict rollback", "raise(rollback")):
        return "a row that it refuses would roll everything back"
    return None


def no_row_reason(plan: TablePlan, factory: RowFactory) -> str:
    """Return why no row could be made."""
    for foreign_key in plan.foreign_keys:
        if foreign_key.is_required and not factory.parent_keys.get(foreign_key):
            return f"its foreign key to {foreign_key.parent[1]} has no row to name"
    return "no row was found that its constraints allow"


def constraints_and_triggers(table: Table) -> Iterator[Constraint | Trigger]:
    """Yield what may refuse a row when it is inserted."""
    yield from table.constraints
    yield from table.triggers
