"""What becomes of the real rows on a revision's round trip: those of tables that it touches are read and judged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.dataloss import contents
from dormatory.dataloss.contents import Contents
from dormatory.dataloss.detect import judge
from dormatory.dataloss.model import State, Trip
from dormatory.recording.model import Direction

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from typing import TypeAlias

    from sqlalchemy import Connection

    from dormatory.dataloss.contents import TableContents
    from dormatory.recording.model import Loss, Statement
    from dormatory.schema.snapshot import Snapshot, Table
    from dormatory.sql.lexer import Syntax

    Id: TypeAlias = "tuple[str | None, str]"

MOST_ROWS = 10_000  # of a table that are compared value by value; larger ones the database compares itself


class Keeper:
    """Remembers the rows of one round trip, leg by leg; they stay in here, only losses leave.

    The rows that a trip begins with are read when it is over, from the database that it was copied from, and only of
    tables that matter.
    """

    def __init__(self, before: Snapshot, syntax: Syntax) -> None:
        self._syntax = syntax
        self._schemas: dict[Direction | None, Snapshot] = {None: before}
        self._rows: dict[Direction, dict[Id, TableContents]] = {}
        self._statements: dict[Direction, tuple[Statement, ...]] = {}
        self._touched: set[Id] = set()
        self._last = before

    def after(
        self,
        connection: Connection,
        schema: Snapshot,
        direction: Direction,
        statements: tuple[Statement, ...],
        written: Collection[Id] | None,
    ) -> None:
        """Remember what a leg left; `written` are the tables whose rows it wrote, None for any."""
        self._touched |= _changed(self._last, schema)
        self._touched |= {_id(table) for table in schema.tables} if written is None else set(written)
        self._last = self._schemas[direction] = schema
        self._statements[direction] = statements
        tables = [table for table in schema.tables if _id(table) in self._touched]
        self._rows[direction] = _read(connection, schema, tables)

    def forget(self, direction: Direction) -> None:
        """Forget a leg that was taken back after all."""
        self._schemas.pop(direction, None)
        self._rows.pop(direction, None)
        self._statements.pop(direction, None)

    @property
    def touched(self) -> frozenset[Id]:
        """The tables that any leg may have done something to."""
        return frozenset(self._touched)

    def losses(self, source: Connection) -> tuple[Loss, ...]:
        """Return what was lost, told from the rows that the trip began with, which `source` still has."""
        if Direction.UPGRADE not in self._rows or not self._touched:
            return ()
        ids = self._touched | {id_ for schema in self._schemas.values() for id_ in _around(self._touched, schema)}
        before = self._schemas[None]
        first = _read(source, before, [table for table in before.tables if _id(table) in ids])

        def state(direction: Direction | None) -> State | None:
            schema = self._schemas.get(direction)
            if schema is None:
                return None
            known = first if direction is None else first | self._rows[direction]
            tables = tuple(table for table in schema.tables if _id(table) in ids)
            held = tuple(known[_id(table)] for table in tables if _id(table) in known)
            return State(replace(schema, tables=tables), Contents(held))

        return _judged(state, self._syntax, self._statements, frozenset(self._touched))


def _judged(
    state: Callable[[Direction | None], State | None],
    syntax: Syntax,
    statements: dict[Direction, tuple[Statement, ...]],
    touched: frozenset[Id],
) -> tuple[Loss, ...]:
    before, upgraded = state(None), state(Direction.UPGRADE)
    if before is None or upgraded is None:
        raise AssertionError
    return judge(
        Trip(
            syntax=syntax,
            before=before,
            upgrade=statements[Direction.UPGRADE],
            upgraded=upgraded,
            downgrade=statements.get(Direction.DOWNGRADE, ()),
            downgraded=state(Direction.DOWNGRADE),
            second_upgrade=statements.get(Direction.SECOND_UPGRADE, ()),
            upgraded_again=state(Direction.SECOND_UPGRADE),
            touched=touched,
        )
    )


def _read(connection: Connection, schema: Snapshot, tables: list[Table]) -> dict[Id, TableContents]:
    found = contents.read(connection, schema, tables=tables, limit=MOST_ROWS).tables
    return {(it.namespace, it.name): it for it in found}


def _changed(before: Snapshot, after: Snapshot) -> set[Id]:
    """Return the tables that came, went or changed their structure."""
    old, new = ({_id(table): table for table in schema.tables} for schema in (before, after))
    return {id_ for id_ in old.keys() | new.keys() if old.get(id_) != new.get(id_)}


def _around(ids: Collection[Id], schema: Snapshot) -> Iterable[Id]:
    """Yield the tables that foreign keys join to some, in either direction, and the parents of those."""
    near = {*ids, *(_id(child) for child in schema.tables if _parents(child) & set(ids))}
    yield from near
    for table in schema.tables:
        if _id(table) in near:
            yield from _parents(table)


def _parents(table: Table) -> set[Id]:
    return {(it.references.namespace, it.references.table) for it in table.constraints if it.references}


def _id(table: Table) -> Id:
    return table.namespace, table.name
