"""Fills the tables of a database with rows, whatever its schema is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from dormatory.rows import fixtures as own
from dormatory.rows import store, unfillable
from dormatory.rows.insert_order import in_turn
from dormatory.rows.planner import plan as planned
from dormatory.rows.row_factory import Maker

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from dormatory.rows.plan import Link, TablePlan
    from dormatory.rows.row_factory import Row
    from dormatory.rows.unique_values import Value
    from dormatory.schema.snapshot import Snapshot, Table

    Id: TypeAlias = tuple[str | None, str]  # of a table: its namespace and name
    Promises: TypeAlias = dict[Id, tuple[Row, ...]]

_FURTHER = 7  # rows for a table that holds some already
_FURTHER_EDGES = 10  # to show six extremes of a column that has come
_FULL = 60  # rows; a table that holds so many gets fewer with each change of it, or a long history would drown in them
_LATER = 3  # rows that refer to tables filled after theirs
_ROOTS = 2  # rows before others of the same table can refer to them
_TRIALS = 60  # statements to spend on a table that refuses
_TRIALS_PER_ROW = 12
_PROMISED = 3


@dataclass(frozen=True, slots=True)
class Unfilled:
    """A table that is empty still, and why."""

    namespace: str | None
    table: str
    reason: str


@dataclass(frozen=True, slots=True)
class Filled:
    """A table, and how many rows were put in."""

    namespace: str | None
    table: str
    rows: int


@dataclass(frozen=True, slots=True)
class Filling:
    """What became of one filling."""

    inserted: tuple[Filled, ...]
    unfilled: tuple[Unfilled, ...]


def fill(
    connection: Connection,
    schema: Snapshot,
    *,
    tables: Collection[Table] | None = None,
    per_table: int = 12,
    edges: bool = True,
    own_rows: Path | None = None,
    empty: Collection[Id] = (),
    plain: Collection[tuple[Id, str]] = (),
) -> Filling:
    """Insert rows into the tables of a schema, all of them unless `tables` are named, and tell what was inserted.

    All happens in the caller's transaction, behind savepoints; nothing is committed.  Every table gets `per_table` rows
    or as many as its enumerations have values; one that holds rows already gets a few more.  Without `edges` they are
    rows as any application writes them: with NULLs, duplicates and orphans where these may be, but no extreme values.
    The statements in the file `own_rows`, if there is one, run first; OwnRowsError tells which of them failed.
    Tables known to be `empty` are not asked what they hold. Columns named as `plain` get no extreme values.
    """
    if own_rows is not None:
        own.run(connection, own_rows)
    filler = _Filler(connection, schema, per_table, frozenset(empty), frozenset(plain), edges=edges)
    try:
        return filler.fill(schema.tables if tables is None else tables)
    finally:
        filler.close()


class _Filler:
    def __init__(
        self,
        connection: Connection,
        schema: Snapshot,
        per_table: int,
        empty: frozenset[Id],
        plain: frozenset[tuple[Id, str]],
        *,
        edges: bool,
    ) -> None:
        self._store, self._plain = store.store(connection), plain
        self._schema, self._per_table, self._empty, self._edges = schema, per_table, empty, edges
        self._tables = {(table.namespace, table.name): table for table in schema.tables}
        self._plans: dict[Id, TablePlan] = {}
        self._known: dict[Link, list[tuple[Value, ...]]] = {}  # what foreign keys may name
        self._inserted: dict[Id, int] = {}
        self._reasons: dict[Id, str] = {}

    def close(self) -> None:
        """Give back what was opened."""
        self._store.close()

    def fill(self, tables: Collection[Table]) -> Filling:
        """Fill these tables, and the empty ones that they need."""
        deferred = self._deferred()
        if deferred:
            # What waits for the end of the transaction would stop the next ALTER TABLE, and its error come too late.
            self._store.check_now()
        for circle in in_turn(self._needed(tables)):
            if len(circle) == 1:
                self._fill(circle[0])
            else:
                self._fill_together(circle)
        for id_ in [id_ for id_, count in self._inserted.items() if count]:
            self._refer_later(self._plans[id_])
        if deferred:
            self._store.execute(f"SET CONSTRAINTS {', '.join(deferred)} DEFERRED")
        inserted = (Filled(*id_, count) for id_, count in self._inserted.items() if count)
        unfilled = (Unfilled(*id_, reason) for id_, reason in self._reasons.items() if not self._inserted.get(id_))
        return Filling(tuple(inserted), tuple(sorted(unfilled, key=lambda it: (it.namespace or "", it.table))))

    def _deferred(self) -> list[str]:
        """Return the constraints that wait until the transaction ends unless they are told otherwise."""
        return [
            store.named(table.namespace, part.name)
            for table in self._schema.tables
            for part in unfillable.parts(table)
            if table.namespace and part.name and "INITIALLY DEFERRED" in part.definition
        ]

    def _plan(self, table: Table) -> TablePlan:
        id_ = table.namespace, table.name
        if id_ not in self._plans:
            self._plans[id_] = planned(table, self._schema, self._store.syntax)
        return self._plans[id_]

    def _needed(self, tables: Collection[Table]) -> list[TablePlan]:
        """Return plans for the tables that can be filled, and for those that these cannot do without."""
        found: dict[Id, TablePlan] = {}
        waiting = list(tables)
        while waiting:
            table = waiting.pop()
            id_ = table.namespace, table.name
            if id_ in found or table.partition_bound is not None:  # a partition is filled through its parent
                continue
            hindrance = unfillable.hindrance(table)
            if hindrance:
                self._reasons[id_] = hindrance
                continue
            found[id_] = self._plan(table)
            for link in found[id_].links:
                parent = self._tables.get(link.parent)
                if parent is not None and link.is_required and link.parent not in found and not self._parents(link):
                    waiting.append(parent)
        return list(found.values())

    def _parents(self, link: Link) -> list[tuple[Value, ...]]:
        """Return keys that a foreign key may name; they are asked for again where more may have come."""
        if link.parent in self._inserted:
            return self._store.parents(link)
        if link not in self._known:
            self._known[link] = [] if link.parent in self._empty else self._store.parents(link)
        return self._known[link]

    def _fill_together(self, circle: Sequence[TablePlan]) -> None:
        """Fill tables that need one another, whose foreign keys can wait."""
        links = [link for plan in circle for link in plan.links if link.parent in {it.id for it in circle}]
        try:
            with self._store.all_or_none():
                self._store.defer(links)
                promises = _promised(circle, links)
                for plan in circle:
                    self._fill_needed(plan, promises)
                self._store.check_now()
        except (store.RefusedRowError, self._store.error) as error:
            reason = error.reason if isinstance(error, store.RefusedRowError) else store.said(error)
            for plan in circle:
                self._inserted.pop(plan.id, None)
                self._reasons[plan.id] = f"it and {_others(circle, plan)} need one another: {reason}"

    def _fill_needed(self, plan: TablePlan, promises: Promises) -> None:
        self._fill(plan, promises)
        if not self._inserted.get(plan.id):
            raise store.RefusedRowError(self._reasons.get(plan.id, ""), frozenset())

    def _fill(self, plan: TablePlan, promises: Promises | None = None) -> None:
        """Insert the rows of one table."""
        count, there = (0, []) if self._is_empty(plan.id) else self._store.held(plan)
        promised = (promises or {}).get(plan.id, ())
        maker = Maker(plan, there=there, count=count, edges=self._edges, promised=promised)
        maker.plain = frozenset(name.lower() for id_, name in self._plain if id_ == plan.id)
        for link in plan.links:
            if link.parent in self._tables:
                keys = [
                    tuple(row[name.lower()] for name in link.referred) for row in (promises or {}).get(link.parent, ())
                ]
                maker.parents[link] = keys or self._parents(link)
        further = _FURTHER_EDGES if self._edges else _FURTHER
        few = min(further if count < _FULL else max(1, _FURTHER * _FULL // (2 * count)), self._per_table)
        named = max((min(len(keys), self._per_table) + 1 for keys in maker.parents.values()), default=0)
        of = few if count else max(self._per_table, named)  # the last row repeats the first
        of = max(of, maker.wanted) if count < _FULL * 2 else of
        own = [link for link in plan.links if link.parent == plan.id]
        start = 0
        if own and not count:
            self._insert(maker, range(_ROOTS), of)
            start = _ROOTS
            for link in own:
                maker.parents[link] = self._store.parents(link)
        self._insert(maker, range(start, of), of)
        if not self._inserted.get(plan.id) and not count:
            self._reasons.setdefault(plan.id, unfillable.shortage(plan, maker))

    def _is_empty(self, id_: Id) -> bool:
        return id_ in self._empty and id_ not in self._inserted

    def _refer_later(self, plan: TablePlan) -> None:
        """Insert rows that refer to tables which were empty when theirs was filled."""
        order = list(self._inserted)
        later = [it for it in plan.links if it.parent in order and order.index(it.parent) > order.index(plan.id)]
        if not later:
            return
        count, there = self._store.held(plan)
        maker = Maker(plan, there=there, count=count, edges=False)
        maker.parents |= {link: self._store.parents(link) for link in plan.links if link.parent in self._tables}
        self._insert(maker, (0, *range(2, _LATER + 1)), _LATER + 2)

    def _insert(self, maker: Maker, turns: Iterable[int], of: int) -> None:
        """Insert the rows of some turns: at once if the database takes them, else one by one, by trial."""
        made = [(turn, row) for turn in turns if (row := maker.row(turn, of)) is not None]
        if not made:
            return
        id_ = maker.plan.id
        try:
            kept = self._store.insert(maker.plan, [row for _, row in made])
        except store.RefusedRowError:
            kept = self._try(maker, made)
        else:
            if not kept:
                self._reasons[id_] = "the database kept none of its rows: a trigger or a rule takes them away"
        self._inserted[id_] = self._inserted.get(id_, 0) + kept

    def _try(self, maker: Maker, made: Sequence[tuple[int, Row]]) -> int:
        """Insert rows one by one, changed as long as the database refuses them, and return how many it kept."""
        kept, left = 0, _TRIALS
        for turn, first in made:
            row: Row | None = first
            for _ in range(_TRIALS_PER_ROW):
                if row is None or not left:
                    break
                try:
                    kept += self._store.insert(maker.plan, [row])
                except store.RefusedRowError as error:
                    left -= 1
                    self._reasons[maker.plan.id] = error.reason
                    maker.forget(row)
                    row = maker.another(row, error.columns, turn)
                else:
                    maker.accept(row)
                    break
            else:
                if row is not None:
                    maker.forget(row)
        return kept


def _promised(circle: Sequence[TablePlan], links: Sequence[Link]) -> Promises:
    """Return, for each table of a circle, keys that others may name before they are there."""
    found: Promises = {}
    for plan in circle:
        names = {name.lower() for link in links if link.parent == plan.id for name in link.referred}
        columns = [column for column in plan.columns if column.word in names and not column.left_out]
        streams = [column.fresh(0) for column in columns]
        keys = [column.word for column in columns]
        rows = (dict(zip(keys, values, strict=True)) for values in zip(*streams, strict=False))
        found[plan.id] = tuple(islice(rows, _PROMISED)) if len(columns) == len(names) else ()
    return found


def _others(circle: Sequence[TablePlan], plan: TablePlan) -> str:
    return " and ".join(it.table.name for it in circle if it is not plan)
