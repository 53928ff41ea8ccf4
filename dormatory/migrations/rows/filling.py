"""Fills the tables of a database with rows, whatever its schema is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy.exc import DBAPIError

from dormatory.migrations.rows import own, store
from dormatory.migrations.rows.making import Maker
from dormatory.migrations.rows.order import in_turn
from dormatory.migrations.rows.planning import plan as planned

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from dormatory.migrations.rows.making import Row
    from dormatory.migrations.rows.plan import Link, TablePlan
    from dormatory.schema.snapshot import Constraint, Snapshot, Table, Trigger

    Promises: TypeAlias = dict[tuple[str | None, str], tuple[Row, ...]]

_FURTHER = 7  # rows for a table that holds some already
_LATER = 3  # rows that refer to tables filled after theirs
_ROOTS = 2  # rows before others of the same table can refer to them
_TRIALS = 60  # statements to spend on a table that refuses
_TRIALS_PER_ROW = 12
_PROMISED = 3
_KINDS = {"table", "partitioned table"}


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
) -> Filling:
    """Insert rows into the tables of a schema, all of them unless `tables` are named, and tell what was inserted.

    All happens in the caller's transaction, behind savepoints; nothing is committed.  Every table gets `per_table` rows
    or as many as its enumerations have values; one that holds rows already gets a few more.  Without `edges` they are
    rows as any application writes them: with NULLs, duplicates and orphans where these may be, but no extreme values.
    The statements in the file `own_rows`, if there is one, run first; OwnRowsError tells which of them failed.
    """
    if own_rows is not None:
        own.run(connection, own_rows)
    return _Filler(connection, schema, per_table, edges=edges).fill(schema.tables if tables is None else tables)


class _Filler:
    def __init__(self, connection: Connection, schema: Snapshot, per_table: int, *, edges: bool) -> None:
        self._store = store.store(connection)
        self._schema, self._per_table, self._edges = schema, per_table, edges
        self._tables = {(table.namespace, table.name): table for table in schema.tables}
        self._plans: dict[tuple[str | None, str], TablePlan] = {}
        self._inserted: dict[tuple[str | None, str], int] = {}
        self._reasons: dict[tuple[str | None, str], str] = {}

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
            for part in _parts(table)
            if table.namespace and part.name and "INITIALLY DEFERRED" in part.definition
        ]

    def _plan(self, table: Table) -> TablePlan:
        id_ = table.namespace, table.name
        if id_ not in self._plans:
            self._plans[id_] = planned(table, self._schema, self._store.syntax)
        return self._plans[id_]

    def _needed(self, tables: Collection[Table]) -> list[TablePlan]:
        """Return plans for the tables that can be filled, and for those that these cannot do without."""
        found: dict[tuple[str | None, str], TablePlan] = {}
        waiting = list(tables)
        while waiting:
            table = waiting.pop()
            id_ = table.namespace, table.name
            if id_ in found or table.partition_bound is not None:  # a partition is filled through its parent
                continue
            hindrance = _hindrance(table)
            if hindrance:
                self._reasons[id_] = hindrance
                continue
            found[id_] = self._plan(table)
            for link in found[id_].links:
                parent = self._tables.get(link.parent)
                if parent is not None and link.is_required and link.parent not in found and self._is_empty(link.parent):
                    waiting.append(parent)
        return list(found.values())

    def _is_empty(self, id_: tuple[str | None, str]) -> bool:
        return self._store.execute(f"SELECT 1 FROM {store.named(*id_)} LIMIT 1").first() is None  # noqa: S608  # quoted

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
        except (store.RefusedRowError, DBAPIError) as error:
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
        count, there = self._store.held(plan)
        promised = (promises or {}).get(plan.id, ())
        maker = Maker(plan, there=there, count=count, edges=self._edges, promised=promised)
        for link in plan.links:
            if link.parent in self._tables:
                keys = [
                    tuple(row[name.lower()] for name in link.referred) for row in (promises or {}).get(link.parent, ())
                ]
                maker.parents[link] = keys or self._store.parents(link)
        few = min(_FURTHER, self._per_table)
        named = max((min(len(keys), self._per_table) + 1 for keys in maker.parents.values()), default=0)
        of = max(few if count else max(self._per_table, named), maker.wanted)  # the last row repeats the first
        own = [link for link in plan.links if link.parent == plan.id]
        start = 0
        if own and not count:
            self._insert(maker, range(_ROOTS), of)
            start = _ROOTS
            for link in own:
                maker.parents[link] = self._store.parents(link)
        self._insert(maker, range(start, of), of)
        if not self._inserted.get(plan.id) and not count:
            self._reasons.setdefault(plan.id, _shortage(plan, maker))

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


def _hindrance(table: Table) -> str | None:
    """Tell why a table cannot be filled whatever the rows."""
    if table.kind not in _KINDS:
        return f"it is a {table.kind}"
    if not table.columns:
        return "it has no columns"
    texts = [part.definition.lower() for part in _parts(table)]
    texts += [column.not_null_note.lower() for column in table.columns if column.not_null_note]
    if any(words in text for text in texts for words in ("on conflict rollback", "raise(rollback")):
        return "a row that it refuses would roll everything back"
    return None


def _shortage(plan: TablePlan, maker: Maker) -> str:
    """Tell why no row could be made."""
    for link in plan.links:
        if link.is_required and not maker.parents.get(link):
            return f"its foreign key to {link.parent[1]} has no row to name"
    return "no row was found that its constraints allow"


def _others(circle: Sequence[TablePlan], plan: TablePlan) -> str:
    return " and ".join(it.table.name for it in circle if it is not plan)


def _parts(table: Table) -> Iterator[Constraint | Trigger]:
    yield from table.constraints
    yield from table.triggers
