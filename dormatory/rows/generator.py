"""Fills the tables of a database with rows, whatever its schema is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from dormatory.backends.row_io import driver_message
from dormatory.rows import fixtures as own
from dormatory.rows import unfillable
from dormatory.rows.insert_order import insert_order
from dormatory.rows.planner import plan_table as planned
from dormatory.rows.row_factory import RowFactory
from dormatory.rows.store import RefusedRowError, RowStore

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from dormatory.rows.plan import ForeignKeyPlan, TablePlan
    from dormatory.rows.row_factory import GeneratedRow
    from dormatory.rows.unique_values import GeneratedValue
    from dormatory.schema.snapshot import Snapshot, Table, TableId

    ReservedKeys: TypeAlias = dict[TableId, tuple[GeneratedRow, ...]]

_ADDITIONAL_ROWS = 7  # rows for a table that holds some already
_ADDITIONAL_ROWS_WITH_EXTREMES = 10  # to show six extremes of a column that has come
_FULL_TABLE_ROWS = (
    60  # rows; a table that holds so many gets fewer with each change of it, or a long history would drown in them
)
_LATE_REFERENCE_ROWS = 3  # rows that refer to tables filled after theirs
_ROOT_ROWS = 2  # rows before others of the same table can refer to them
_MAX_ATTEMPTS = 60  # statements to spend on a table that refuses
_MAX_ATTEMPTS_PER_ROW = 12
_RESERVED_KEYS = 3


@dataclass(frozen=True, slots=True)
class UnfilledTable:
    """A table that is empty still, and why."""

    namespace: str | None
    table: str
    reason: str


@dataclass(frozen=True, slots=True)
class FilledTable:
    """A table, and how many rows were put in."""

    namespace: str | None
    table: str
    row_count: int


@dataclass(frozen=True, slots=True)
class FillResult:
    """What became of one filling."""

    filled: tuple[FilledTable, ...]
    unfilled: tuple[UnfilledTable, ...]


def fill(
    connection: Connection,
    schema: Snapshot,
    *,
    tables: Collection[Table] | None = None,
    rows_per_table: int = 12,
    with_extremes: bool = True,
    fixture_file: Path | None = None,
    empty_tables: Collection[TableId] = (),
    plain_columns: Collection[tuple[TableId, str]] = (),
) -> FillResult:
    """Insert rows into the tables of a schema, all of them unless `tables` are named, and tell what was inserted.

    All happens in the caller's transaction, behind savepoints; nothing is committed.  Every table gets `per_table` rows
    or as many as its enumerations have values; one that holds rows already gets a few more.  Without `edges` they are
    rows as any application writes them: with NULLs, duplicates and orphans where these may be, but no extreme values.
    The statements in the file `own_rows`, if there is one, run first; OwnRowsError tells which of them failed.
    Tables known to be `empty` are not asked what they hold. Columns named as `plain` get no extreme values.
    """
    if fixture_file is not None:
        own.run_fixtures(connection, fixture_file)
    filler = _Filler(
        connection,
        schema,
        rows_per_table,
        frozenset(empty_tables),
        frozenset(plain_columns),
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
        with_extremes: bool,
    ) -> None:
        self._store, self._plain_columns = RowStore(connection), plain_columns
        self._schema, self._rows_per_table, self._empty_tables, self._with_extremes = (
            schema,
            rows_per_table,
            empty_tables,
            with_extremes,
        )
        self._tables = {table.id: table for table in schema.tables}
        self._plans: dict[TableId, TablePlan] = {}
        self._known_parent_keys: dict[
            ForeignKeyPlan, list[tuple[GeneratedValue, ...]]
        ] = {}  # what foreign keys may name
        self._inserted: dict[TableId, int] = {}
        self._reasons: dict[TableId, str] = {}

    def close(self) -> None:
        """Give back what was opened."""
        self._store.close()

    def fill(self, tables: Collection[Table]) -> FillResult:
        """Fill these tables, and the empty ones that they need."""
        deferred = self._deferred_constraints()
        if deferred:
            # What waits for the end of the transaction would stop the next ALTER TABLE, and its error come too late.
            self._store.check_deferred()
        for cycle in insert_order(self._needed_plans(tables)):
            if len(cycle) == 1:
                self._fill_table(cycle[0])
            else:
                self._fill_cycle(cycle)
        for id_ in [id_ for id_, count in self._inserted.items() if count]:
            self._insert_late_references(self._plans[id_])
        if deferred:
            self._store.defer_constraints(deferred)
        inserted = (FilledTable(*id_, count) for id_, count in self._inserted.items() if count)
        unfilled = (UnfilledTable(*id_, reason) for id_, reason in self._reasons.items() if not self._inserted.get(id_))
        return FillResult(tuple(inserted), tuple(sorted(unfilled, key=lambda it: (it.namespace or "", it.table))))

    def _deferred_constraints(self) -> list[TableId]:
        """Return the constraints that wait until the transaction ends unless they are told otherwise."""
        return [
            (table.namespace, part.name)
            for table in self._schema.tables
            for part in unfillable.constraints_and_triggers(table)
            if table.namespace and part.name and "INITIALLY DEFERRED" in part.definition
        ]

    def _plan(self, table: Table) -> TablePlan:
        id_ = table.namespace, table.name
        if id_ not in self._plans:
            self._plans[id_] = planned(table, self._schema, self._store.dialect)
        return self._plans[id_]

    def _needed_plans(self, tables: Collection[Table]) -> list[TablePlan]:
        """Return plans for the tables that can be filled, and for those that these cannot do without."""
        found: dict[TableId, TablePlan] = {}
        waiting = list(tables)
        while waiting:
            table = waiting.pop()
            id_ = table.namespace, table.name
            if id_ in found or table.partition_bound is not None:  # a partition is filled through its parent
                continue
            hindrance = unfillable.unfillable_reason(table)
            if hindrance:
                self._reasons[id_] = hindrance
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
        """Return keys that a foreign key may name; they are asked for again where more may have come."""
        if foreign_key.parent in self._inserted:
            return self._store.parent_keys(foreign_key)
        if foreign_key not in self._known_parent_keys:
            self._known_parent_keys[foreign_key] = (
                [] if foreign_key.parent in self._empty_tables else self._store.parent_keys(foreign_key)
            )
        return self._known_parent_keys[foreign_key]

    def _fill_cycle(self, cycle: Sequence[TablePlan]) -> None:
        """Fill tables that need one another, whose foreign keys can wait."""
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
                self._inserted.pop(plan.id, None)
                self._reasons[plan.id] = f"it and {_other_tables(cycle, plan)} need one another: {reason}"

    def _fill_or_raise(self, plan: TablePlan, reserved: ReservedKeys) -> None:
        self._fill_table(plan, reserved)
        if not self._inserted.get(plan.id):
            raise RefusedRowError(self._reasons.get(plan.id, ""), frozenset())

    def _fill_table(self, plan: TablePlan, reserved: ReservedKeys | None = None) -> None:
        """Insert the rows of one table."""
        count, existing_rows = (0, []) if self._is_empty(plan.id) else self._store.existing_rows(plan)
        reserved_keys = (reserved or {}).get(plan.id, ())
        factory = RowFactory(
            plan,
            existing_rows=existing_rows,
            existing_count=count,
            with_extremes=self._with_extremes,
            reserved_keys=reserved_keys,
        )
        factory.plain_columns = frozenset(name.lower() for id_, name in self._plain_columns if id_ == plan.id)
        for foreign_key in plan.foreign_keys:
            if foreign_key.parent in self._tables:
                keys = [
                    tuple(row[name.lower()] for name in foreign_key.parent_columns)
                    for row in (reserved or {}).get(foreign_key.parent, ())
                ]
                factory.parent_keys[foreign_key] = keys or self._parent_keys(foreign_key)
        more = _ADDITIONAL_ROWS_WITH_EXTREMES if self._with_extremes else _ADDITIONAL_ROWS
        few = min(
            more if count < _FULL_TABLE_ROWS else max(1, _ADDITIONAL_ROWS * _FULL_TABLE_ROWS // (2 * count)),
            self._rows_per_table,
        )
        named = max((min(len(keys), self._rows_per_table) + 1 for keys in factory.parent_keys.values()), default=0)
        total = few if count else max(self._rows_per_table, named)  # the last row repeats the first
        total = max(total, factory.enum_row_count) if count < _FULL_TABLE_ROWS * 2 else total
        self_references = [link for link in plan.foreign_keys if link.parent == plan.id]
        start = 0
        if self_references and not count:
            self._insert_rows(factory, range(_ROOT_ROWS), total)
            start = _ROOT_ROWS
            for foreign_key in self_references:
                factory.parent_keys[foreign_key] = self._store.parent_keys(foreign_key)
        self._insert_rows(factory, range(start, total), total)
        if not self._inserted.get(plan.id) and not count:
            self._reasons.setdefault(plan.id, unfillable.no_row_reason(plan, factory))

    def _is_empty(self, id_: TableId) -> bool:
        return id_ in self._empty_tables and id_ not in self._inserted

    def _insert_late_references(self, plan: TablePlan) -> None:
        """Insert rows that refer to tables which were empty when theirs was filled."""
        order = list(self._inserted)
        later = [it for it in plan.foreign_keys if it.parent in order and order.index(it.parent) > order.index(plan.id)]
        if not later:
            return
        count, existing_rows = self._store.existing_rows(plan)
        factory = RowFactory(plan, existing_rows=existing_rows, existing_count=count, with_extremes=False)
        factory.parent_keys |= {
            link: self._store.parent_keys(link) for link in plan.foreign_keys if link.parent in self._tables
        }
        self._insert_rows(factory, (0, *range(2, _LATE_REFERENCE_ROWS + 1)), _LATE_REFERENCE_ROWS + 2)

    def _insert_rows(self, factory: RowFactory, row_indexes: Iterable[int], total: int) -> None:
        """Insert the rows of some turns: at once if the database takes them, else one by one, by trial."""
        made = [(turn, row) for turn in row_indexes if (row := factory.make_row(turn, total)) is not None]
        if not made:
            return
        id_ = factory.plan.id
        try:
            kept = self._store.insert(factory.plan, [row for _, row in made])
        except RefusedRowError:
            kept = self._insert_one_by_one(factory, made)
        else:
            if not kept:
                self._reasons[id_] = "the database kept none of its rows: a trigger or a rule takes them away"
        self._inserted[id_] = self._inserted.get(id_, 0) + kept

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
                    self._reasons[factory.plan.id] = error.reason
                    factory.release_keys(row)
                    row = factory.make_replacement(row, error.columns, row_index)
                else:
                    factory.accept(row)
                    break
            else:
                if row is not None:
                    factory.release_keys(row)
        return kept


def _reserved_keys(cycle: Sequence[TablePlan], foreign_keys: Sequence[ForeignKeyPlan]) -> ReservedKeys:
    """Return, for each table of a circle, keys that others may name before they are there."""
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
