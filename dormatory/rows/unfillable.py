"""Why a table stays empty: what no row of it could change, and what no row was found for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.rows.plan import TablePlan
    from dormatory.rows.row_factory import Maker
    from dormatory.schema.snapshot import Constraint, Table, Trigger

_KINDS = {"table", "partitioned table"}


def hindrance(table: Table) -> str | None:
    """Tell why a table cannot be filled whatever the rows."""
    if table.kind not in _KINDS:
        return f"it is a {table.kind}"
    if not table.columns:
        return "it has no columns"
    texts = [part.definition.lower() for part in parts(table)]
    texts += [column.not_null_note.lower() for column in table.columns if column.not_null_note]
    if any(words in text for text in texts for words in ("on conflict rollback", "raise(rollback")):
        return "a row that it refuses would roll everything back"
    return None


def shortage(plan: TablePlan, maker: Maker) -> str:
    """Tell why no row could be made."""
    for link in plan.links:
        if link.is_required and not maker.parents.get(link):
            return f"its foreign key to {link.parent[1]} has no row to name"
    return "no row was found that its constraints allow"


def parts(table: Table) -> Iterator[Constraint | Trigger]:
    """Yield what may refuse a row when it has been put in."""
    yield from table.constraints
    yield from table.triggers
