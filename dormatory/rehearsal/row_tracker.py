"""What becomes of the real rows on a revision's round trip: those of tables that it touches are read and judged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.dataloss import contents
from dormatory.dataloss.contents import Contents
from dormatory.dataloss.detect import detect_losses
from dormatory.dataloss.model import DatabaseState, RoundTrip
from dormatory.recording.model import Direction

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from sqlalchemy import Connection

    from dormatory.dataloss.contents import TableContents
    from dormatory.recording.model import Loss, Statement
    from dormatory.schema.snapshot import Snapshot, Table, TableId
    from dormatory.sql.dialect import Dialect


MAX_COMPARED_ROWS = 10_000  # of a table that are compared value by value; larger ones the database compares itself


class ReplicaRowTracker:
    """Remembers the rows of one round trip, leg by leg; they stay in here, only losses leave.

    The rows that a trip begins with are read when it is over, from the database that it was copied from, and only of
    tables that matter.
    """

    def __init__(self, before: Snapshot, dialect: Dialect) -> None:
        self._dialect = dialect
        self._schemas: dict[Direction | None, Snapshot] = {None: before}
        self._rows_after: dict[Direction, dict[TableId, TableContents]] = {}
        self._statements: dict[Direction, tuple[Statement, ...]] = {}
        self._affected_tables: set[TableId] = set()
        self._last_schema = before

    def record_leg(
        self,
        connection: Connection,
        schema: Snapshot,
        direction: Direction,
        statements: tuple[Statement, ...],
        written: Collection[TableId] | None,
    ) -> None:
        """Remember what a leg left; `written` are the tables whose rows it wrote, None for any."""
        self._affected_tables |= _changed_tables(self._last_schema, schema)
        self._affected_tables |= {table.id for table in schema.tables} if written is None else set(written)
        self._last_schema = self._schemas[direction] = schema
        self._statements[direction] = statements
        tables = [table for table in schema.tables if table.id in self._affected_tables]
        self._rows_after[direction] = _read_rows(connection, schema, tables)

    def discard_leg(self, direction: Direction) -> None:
        """Forget a leg that was taken back after all."""
        self._schemas.pop(direction, None)
        self._rows_after.pop(direction, None)
        self._statements.pop(direction, None)

    @property
    def affected_tables(self) -> frozenset[TableId]:
        """The tables that any leg may have done something to."""
        return frozenset(self._affected_tables)

    def losses(self, source: Connection) -> tuple[Loss, ...]:
        """Return what was lost, told from the rows that the trip began with, which `source` still has."""
        if Direction.UPGRADE not in self._rows_after or not self._affected_tables:
            return ()
        ids = self._affected_tables | {
            id_ for schema in self._schemas.values() for id_ in _joined_tables(self._affected_tables, schema)
        }
        before = self._schemas[None]
        original_rows = _read_rows(source, before, [table for table in before.tables if table.id in ids])

        def state_after(direction: Direction | None) -> DatabaseState | None:
            schema = self._schemas.get(direction)
            if schema is None:
                return None
            known = original_rows if direction is None else original_rows | self._rows_after[direction]
            tables = tuple(table for table in schema.tables if table.id in ids)
            held = tuple(known[table.id] for table in tables if table.id in known)
            return DatabaseState(replace(schema, tables=tables), Contents(held))

        return _detect_losses(state_after, self._dialect, self._statements, frozenset(self._affected_tables))


def _detect_losses(
    state_after: Callable[[Direction | None], DatabaseState | None],
    dialect: Dialect,
    statements: dict[Direction, tuple[Statement, ...]],
    affected_tables: frozenset[TableId],
) -> tuple[Loss, ...]:
    before, upgraded = state_after(None), state_after(Direction.UPGRADE)
    if before is None or upgraded is None:
        raise AssertionError
    return detect_losses(
        RoundTrip(
            dialect=dialect,
            before=before,
            upgrade=statements[Direction.UPGRADE],
            upgraded=upgraded,
            downgrade=statements.get(Direction.DOWNGRADE, ()),
            downgraded=state_after(Direction.DOWNGRADE),
            second_upgrade=statements.get(Direction.SECOND_UPGRADE, ()),
            upgraded_again=state_after(Direction.SECOND_UPGRADE),
            affected_tables=affected_tables,
        )
    )


def _read_rows(connection: Connection, schema: Snapshot, tables: list[Table]) -> dict[TableId, TableContents]:
    found = contents.read_rows(connection, schema, tables=tables, limit=MAX_COMPARED_ROWS).tables
    return {it.id: it for it in found}


def _changed_tables(before: Snapshot, after: Snapshot) -> set[TableId]:
    """Return the tables that came, went or changed their structure."""
    old, new = ({table.id: table for table in schema.tables} for schema in (before, after))
    return {id_ for id_ in old.keys() | new.keys() if old.get(id_) != new.get(id_)}


def _joined_tables(ids: Collection[TableId], schema: Snapshot) -> Iterable[TableId]:
    """Yield the tables that foreign keys join to some, in either direction, and the parents of those."""
    near = {*ids, *(child.id for child in schema.tables if _parent_tables(child) & set(ids))}
    yield from near
    for table in schema.tables:
        if table.id in near:
            yield from _parent_tables(table)


def _parent_tables(table: Table) -> set[TableId]:
    return {it.references.table_id for it in table.constraints if it.references}
