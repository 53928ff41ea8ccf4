"""Fills the tables of a database with rows, whatever its schema is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from dormatory.backends.row_io import driver_message
from dormatory.rows.hinted_plan import hints_for, with_hints, without_shown_values
from dormatory.rows.insert_order import insert_order
from dormatory.rows.inserter import RowInserter
from dormatory.rows.planner import plan_table
from dormatory.rows.row_factory import RowFactory
from dormatory.rows.store import RefusedRowError, RowStore
from dormatory.rows.unfillable import constraints_and_triggers, no_row_reason, unfillable_reason

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

    from dormatory.rows.plan import ForeignKeyPlan, TablePlan
    from dormatory.rows.row_factory import GeneratedRow
    from dormatory.rows.unique_values import GeneratedValue
    from dormatory.schema.snapshot import Snapshot, Table, TableId
    from dormatory.sql.value_hints import ColumnHint

    ReservedKeys: TypeAlias = dict[TableId, tuple[GeneratedRow, ...]]

_ADDITIONAL_ROWS = 7  # for a table that has rows already
_ADDITIONAL_ROWS_WITH_EXTREMES = 10  # enough to show six extremes of a new column
_FULL_TABLE_ROWS = 60  # from here on, a table gets fewer rows with each change, or a long history would fill it up
_LATE_REFERENCE_ROWS = 3  # rows that refer to tables which are filled after theirs
_ROOT_ROWS = 2  # rows inserted first, to which other rows of the same table can refer
_RESERVED_KEYS = 3


@dataclass(frozen=True, slots=True)
class UnfilledTable:
    """A table that is still empty, and why."""

    namespace: str | None
    table: str
    reason: str


@dataclass(frozen=True, slots=True)
class FilledTable:
    """A table, and how many rows were inserted."""

    namespace: str | None
    table: str
    row_count: int


@dataclass(frozen=True, slots=True)
class FillResult:
    """What one call of `fill` has done."""

    filled: tuple[FilledTable, ...]
    unfilled: tuple[UnfilledTable, ...]


def fill(
    connection: Connection,
    schema: Snapshot,
    *,
    tables: Collection[Table] | None = None,
    rows_per_table: int = 12,
    with_extremes: bool = True,
    empty_tables: Collection[TableId] = (),
    plain_columns: Collection[tuple[TableId, str]] = (),
    hints: Sequence[ColumnHint] = (),
) -> FillResult:
    """Insert rows into the given tables of a schema, all of them if `tables` is None, and return what was inserted.

    Everything happens in the caller's transaction, inside savepoints; nothing is committed. Each table gets
    `rows_per_table` rows, or as many as its enumerations have values; a table that has rows already gets a few more.
    Without `with_extremes` they are rows as any application writes them: with NULLs, duplicates and dangling keys where
    these are allowed, but without extreme values. The `empty_tables` are known to have no rows and are not queried. The
    `plain_columns` get no extreme values. The `hints` are values that some columns hold as well, or only.
    """
    filler = _Filler(
        connection,
        schema,
        rows_per_table,
        frozenset(empty_tables),
        frozenset(plain_columns),
        hints=hints,
        with_extremes=with_extremes,
    )
    try:
        return filler.fill(schema.tables if tables is None else tables)
    finally:
        filler.close()


class _Filler:
    def __init__(
        self,
        connection: Connection,
        schema: Snapshot,
        rows_per_table: int,
        empty_tables: frozenset[TableId],
        plain_columns: frozenset[tuple[TableId, str]],
        *,
        hints: Sequence[ColumnHint],
        with_extremes: bool,
    ) -> None:
        self._schema, self._rows_per_table, self._with_extremes = schema, rows_per_table, with_extremes
        self._empty_tables, self._plain_columns, self._hints = empty_tables, plain_columns, hints
        self._store = RowStore(connection)
        self._inserter = RowInserter(self._store)
        self._tables = {table.id: table for table in schema.tables}
        self._plans: dict[TableId, TablePlan] = {}
        self._known_parent_keys: dict[ForeignKeyPlan, list[tuple[GeneratedValue, ...]]] = {}

    def close(self) -> None:
        """Close the cursor."""
        self._store.close()

    def fill(self, tables: Collection[Table]) -> FillResult:
        """Fill these tables, and the empty tables that they need."""
        deferred = self._deferred_constraints()
        if deferred:
            # A check that waits for the end of the transaction would block the next ALTER TABLE, and fail too late.
            self._store.check_deferred()
        for cycle in insert_order(self._needed_plans(tables)):
            if len(cycle) == 1:
                self._fill_table(cycle[0])
            else:
                self._fill_cycle(cycle)
        for id_ in [id_ for id_, count in self._inserter.inserted.items() if count]:
            self._insert_late_references(self._plans[id_])
            self._store.advance_counters(self._plans[id_])
        if deferred:
            self._store.defer_constraints(deferred)
        inserted, reasons = self._inserter.inserted, self._inserter.reasons
        filled = (FilledTable(*id_, count) for id_, count in inserted.items() if count)
        unfilled = (UnfilledTable(*id_, reason) for id_, reason in reasons.items() if not inserted.get(id_))
        return FillResult(tuple(filled), tuple(sorted(unfilled, key=lambda it: (it.namespace or "", it.table))))

    def _deferred_constraints(self) -> list[TableId]:
        """Return the constraints that are checked at the end of a transaction by default."""
        return [
            (table.namespace, part.name)
            for table in self._schema.tables
            for part in constraints_and_triggers(table)
            if table.namespace and part.name and "INITIALLY DEFERRED" in part.definition
        ]

    def _plan(self, table: Table) -> TablePlan:
        if table.id not in self._plans:
            plan = plan_table(table, self._schema, self._store.dialect)
            self._plans[table.id] = with_hints(plan, hints_for(table, self._schema, self._hints))
        return self._plans[table.id]

    def _needed_plans(self, tables: Collection[Table]) -> list[TablePlan]:
        """Return plans for the tables that can be filled, and for the empty tables that these require."""
        found: dict[TableId, TablePlan] = {}
        waiting = list(tables)
        while waiting:
            table = waiting.pop()
            if (
                id_ := table.id
            ) in found or table.partition_bound is not None:  # a partition is filled through its parent
                continue
            if reason := unfillable_reason(table):
                self._inserter.reasons[id_] = reason
                continue
            found[id_] = self._plan(table)
            for foreign_key in found[id_].foreign_keys:
                parent = self._tables.get(foreign_key.parent)
                if (
                    parent is not None
                    and foreign_key.is_required
                    and foreign_key.parent not in found
                    and not self._parent_keys(foreign_key)
                ):
                    waiting.append(parent)
        return list(found.values())

    def _parent_keys(self, foreign_key: ForeignKeyPlan) -> list[tuple[GeneratedValue, ...]]:
        """Return keys that a foreign key may refer to; they are queried again if the table has got new rows."""
        if foreign_key.parent in self._inserter.inserted:
            return self._store.parent_keys(foreign_key)
        if foreign_key not in self._known_parent_keys:
            self._known_parent_keys[foreign_key] = (
                [] if foreign_key.parent in self._empty_tables else self._store.parent_keys(foreign_key)
            )
        return self._known_parent_keys[foreign_key]

    def _fill_cycle(self, cycle: Sequence[TablePlan]) -> None:
        """Fill tables that refer to each other, with foreign keys whose check can be deferred."""
        foreign_keys = [link for plan in cycle for link in plan.foreign_keys if link.parent in {it.id for it in cycle}]
        try:
            with self._store.savepoint():
                self._store.defer(foreign_keys)
                reserved = _reserved_keys(cycle, foreign_keys)
                for plan in cycle:
                    self._fill_or_raise(plan, reserved)
                self._store.check_deferred()
        except (RefusedRowError, self._store.error) as error:
            reason = error.reason if isinstance(error, RefusedRowError) else driver_message(error)
            for plan in cycle:
                self._inserter.inserted.pop(plan.id, None)
                self._inserter.reasons[plan.id] = f"it and {_other_tables(cycle, plan)} need one another: {reason}"

    def _fill_or_raise(self, plan: TablePlan, reserved: ReservedKeys) -> None:
        self._fill_table(plan, reserved)
        if not self._inserter.inserted.get(plan.id):
            raise RefusedRowError(self._inserter.reasons.get(plan.id, ""), frozenset())

    def _fill_table(self, plan: TablePlan, reserved: ReservedKeys | None = None) -> None:
        """Insert the rows of one table."""
        count, existing_rows = (0, []) if self._is_empty(plan.id) else self._store.existing_rows(plan)
        plan = without_shown_values(plan, existing_rows)
        reserved_keys = (reserved or {}).get(plan.id, ())
        factory = RowFactory(
            plan,
            existing_rows=existing_rows,
            existing_count=count,
            with_extremes=self._with_extremes,
            reserved_keys=reserved_keys,
            plain_columns=frozenset(name.lower() for id_, name in self._plain_columns if id_ == plan.id),
        )
        for foreign_key in plan.foreign_keys:
            if foreign_key.parent in self._tables:
                keys = [
                    tuple(row[name.lower()] for name in foreign_key.parent_columns)
                    for row in (reserved or {}).get(foreign_key.parent, ())
                ]
                factory.parent_keys[foreign_key] = keys or self._parent_keys(foreign_key)
        total = self._row_total(factory, count)
        self_references = [link for link in plan.foreign_keys if link.parent == plan.id]
        start = 0
        if self_references and not count:
            self._inserter.insert(factory, range(_ROOT_ROWS), total)
            start = _ROOT_ROWS
            for foreign_key in self_references:
                factory.parent_keys[foreign_key] = self._store.parent_keys(foreign_key)
        self._inserter.insert(factory, range(start, total), total)
        if count:
            self._inserter.reasons.pop(plan.id, None)  # it may have room for no more
        elif not self._inserter.inserted.get(plan.id):
            self._inserter.reasons.setdefault(plan.id, no_row_reason(plan, factory))

    def _row_total(self, factory: RowFactory, existing_count: int) -> int:
        """Return how many rows a table gets: enough to name each parent and to show each value of an enumeration."""
        if existing_count:
            more = _ADDITIONAL_ROWS_WITH_EXTREMES if self._with_extremes else _ADDITIONAL_ROWS
            if existing_count >= _FULL_TABLE_ROWS:
                more = max(1, _ADDITIONAL_ROWS * _FULL_TABLE_ROWS // (2 * existing_count))
            total = min(more, self._rows_per_table)
        else:
            parents = factory.parent_keys.values()
            named = max((min(len(keys), self._rows_per_table) + 1 for keys in parents), default=0)
            total = max(self._rows_per_table, named)  # the last row repeats the first
        return max(total, factory.listed_row_count) if existing_count < _FULL_TABLE_ROWS * 2 else total

    def _is_empty(self, id_: TableId) -> bool:
        return id_ in self._empty_tables and id_ not in self._inserter.inserted

    def _insert_late_references(self, plan: TablePlan) -> None:
        """Insert rows that refer to tables which were filled after theirs."""
        order = list(self._inserter.inserted)
        later = [it for it in plan.foreign_keys if it.parent in order and order.index(it.parent) > order.index(plan.id)]
        if not later:
            return
        count, existing_rows = self._store.existing_rows(plan)
        factory = RowFactory(plan, existing_rows=existing_rows, existing_count=count, with_extremes=False)
        factory.parent_keys |= {
            link: self._store.parent_keys(link) for link in plan.foreign_keys if link.parent in self._tables
        }
        self._inserter.insert(factory, (0, *range(2, _LATE_REFERENCE_ROWS + 1)), _LATE_REFERENCE_ROWS + 2)


def _reserved_keys(cycle: Sequence[TablePlan], foreign_keys: Sequence[ForeignKeyPlan]) -> ReservedKeys:
    """Return, for each table of a cycle, keys that others may refer to before their rows are inserted."""
    found: ReservedKeys = {}
    for plan in cycle:
        names = {name.lower() for link in foreign_keys if link.parent == plan.id for name in link.parent_columns}
        columns = [column for column in plan.columns if column.lower_name in names and not column.is_generated]
        streams = [column.distinct_values(0) for column in columns]
        keys = [column.lower_name for column in columns]
        rows = (dict(zip(keys, values, strict=True)) for values in zip(*streams, strict=False))
        found[plan.id] = tuple(islice(rows, _RESERVED_KEYS)) if len(columns) == len(names) else ()
    return found


def _other_tables(cycle: Sequence[TablePlan], plan: TablePlan) -> str:
    return " and ".join(it.table.name for it in cycle if it is not plan)
