"""Detects counters that give keys again which rows have or had: the next INSERT fails, or takes a key twice.

A counter that was behind before the leg does not count: the leg has not done that. Neither does one that was set back
to the highest key that is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_by_name
from dormatory.recording.loss import Loss, LossKind
from dormatory.schema.describe import object_name
from dormatory.sql.meaning import condition_meaning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.counter import Counter
    from dormatory.backends.parts import Counters
    from dormatory.dataloss.contents import TableContents
    from dormatory.dataloss.timeline import TableTransition, Timeline, TimelineLeg
    from dormatory.schema.snapshot import Table
    from dormatory.sql.dialect import Dialect


@dataclass(frozen=True, slots=True)
class _NumberedColumn:
    """A column that takes its keys from a counter; `highest` is the key that the counter would reach last."""

    name: str
    counter: Counter
    highest: int | None

    def is_behind(self, key: int | None) -> bool:
        """Return whether the counter gives this key, or one before it, again."""
        if key is None:
            return False
        following = self.counter.next_value
        return following <= key if self.counter.increment > 0 else following >= key


def detect_counters_behind(timeline: Timeline) -> Iterator[Loss]:
    """Yield the counters that a leg has left behind the rows, has set back, or has dropped in a rebuild."""
    for direction, leg in timeline.legs.items():
        part = backend_by_name(leg.dialect.name).counters
        known = {it.table_after.id: it for it in timeline.transitions[direction].values() if it.table_after}
        contents = {it.id: it for it in leg.after.contents.tables}
        for table in leg.after.schema.tables:
            rows, transition = contents.get(table.id), known.get(table.id)
            if rows is None or not rows.is_whole or table.id in timeline.unchanged_tables:
                continue
            if transition is not None:
                yield from _dropped_counters(transition, part)
            former = _former_columns(transition, part) if transition else {}
            for column in _numbered_columns(table, rows, part):
                if not _has_constant_key(table, column.name, leg.dialect):
                    yield from _set_back_counter(leg, table, column, former.get(column.name))


def _has_constant_key(table: Table, column: str, dialect: Dialect) -> bool:
    """Return whether a CHECK allows one key only, such as id = 1: nobody lets the counter number a table of one row."""
    checks = (it.expression for it in table.constraints if it.kind == "CHECK" and it.expression)
    meanings = (condition_meaning(expression, dialect, frozenset()) for expression in checks)
    return any(it[0] == "=" and it[1] == ("name", column.lower()) and it[2][0] == "number" for it in meanings)


def _numbered_columns(table: Table, rows: TableContents, part: Counters) -> Iterator[_NumberedColumn]:
    for counter in rows.counters:
        name = counter.column or next(iter(part.numbered_columns(table)), "")
        at = rows.columns.index(name) if name in rows.columns else None
        keys = [key for row in rows.rows if at is not None and isinstance(key := row[at], int)]
        yield _NumberedColumn(name, counter, (max if counter.increment > 0 else min)(keys, default=None))


def _former_columns(transition: TableTransition, part: Counters) -> dict[str, _NumberedColumn]:
    """Return the numbered columns of a table before the leg, by their names after it; none if it kept no row."""
    if transition.rows.rows and not transition.matching.pairs:
        return {}
    found = _numbered_columns(transition.table, transition.rows, part)
    return {transition.column_names[it.name]: it for it in found if it.name in transition.column_names}


def _set_back_counter(
    leg: TimelineLeg, table: Table, column: _NumberedColumn, former: _NumberedColumn | None
) -> Iterator[Loss]:
    highest = column.highest
    if former is not None:
        if former.is_behind(former.highest):
            return
        if column.counter.never_repeats and column.is_behind(former.highest):
            highest = former.highest
    if not column.is_behind(highest):
        return
    part, name = backend_by_name(leg.dialect.name).counters, table.name.lower()
    origin = leg.dataflow.inserts.get(name) or leg.dataflow.drops.get(name)
    setting = next((it.line for it in leg.statements if name in it.sql.lower() and part.may_set_counters(it.sql)), 0)
    texts = (f"the next key is {column.counter.next_value}, and rows have had keys up to {highest}", str(origin or ""))
    counter = former.counter if former else column.counter
    yield Loss(
        LossKind.COUNTER_BEHIND, leg.direction, object_name(table), column.name, 1, 1, "; ".join(filter(None, texts)),
        line=origin.line if origin else setting,
        remedy=part.set_counter_code(counter, table, column.name),
    )  # fmt: skip


def _dropped_counters(transition: TableTransition, part: Counters) -> Iterator[Loss]:
    """Yield the columns of a rebuilt table that have lost their counter, though they are its key with the same type."""
    table, table_after, leg = transition.table, transition.table_after, transition.leg
    origin = leg.dataflow.drops.get(table.name.lower())
    if table_after is None or origin is None:
        return
    types = {it.name: it.type for it in table.columns}
    types_after = {it.name: it.type for it in table_after.columns}
    numbered = part.numbered_columns(table_after)
    for column in part.numbered_columns(table):
        name = transition.column_names.get(column, "")
        if name in numbered or name not in table_after.primary_key or types_after[name] != types[column]:
            continue
        yield Loss(
            LossKind.COUNTER_BEHIND, leg.direction, object_name(table_after), name, 1, 1,
            f"the rebuilt table has none; {origin}", line=origin.line, remedy=part.keep_counter_code(table_after, name),
        )  # fmt: skip
