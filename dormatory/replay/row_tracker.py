"""Keeps the rows of a database between the legs of a round trip, and returns which of them the trip lost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_by_name
from dormatory.dataloss import contents
from dormatory.dataloss.affected_tables import altered_tables, differing_tables, related_tables, tables_by_id
from dormatory.dataloss.contents import DEFAULT_ROW_LIMIT, Contents
from dormatory.dataloss.detect import detect_losses
from dormatory.dataloss.model import DatabaseState, RoundTrip
from dormatory.recording.leg import Direction
from dormatory.schema.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sqlalchemy import Connection

    from dormatory.dataloss.contents import TableContents
    from dormatory.recording.leg import Statement
    from dormatory.recording.loss import Loss
    from dormatory.schema.snapshot import Table, TableId
    from dormatory.sql.dialect import Dialect


@dataclass(frozen=True, slots=True)
class _RecordedState:
    """A database between two legs; a table that no leg has touched is the same object in all states."""

    schema: Snapshot
    rows: dict[TableId, TableContents]


class RowTracker:
    """The rows of every state of a round trip; they are not passed on, only losses are returned.

    Call `begin_trip` before the first leg, `record_leg` after each, and `losses` at the end. Tables that are not read
    before the trip are read by `losses`, from a database of which the trip changed a copy. After the first reading,
    only tables whose rows may have changed are read. All reads happen in the transaction of the given connection.
    """

    def __init__(self, dialect: Dialect, *, row_limit: int = DEFAULT_ROW_LIMIT) -> None:
        self._dialect, self._row_limit = dialect, row_limit
        self.rows: dict[TableId, TableContents] = {}
        self.empty_tables: set[TableId] = set()
        self._schema = Snapshot()  # the one that was read last
        self._states: dict[Direction | None, _RecordedState] = {}  # None: before the first leg
        self._filled_state: _RecordedState | None = None  # with the rows that were added after the upgrade
        self._statements: dict[Direction, tuple[Statement, ...]] = {}
        self._affected: set[TableId] | None = set()  # on this trip; None: all

    def read_unknown(self, connection: Connection, schema: Snapshot) -> None:
        """Read the tables whose form in this schema differs from the one that was read last."""
        old, new = differing_tables(self._schema, schema)
        self.read(connection, schema, {table.id for table in (*old, *new)})

    def read(self, connection: Connection, schema: Snapshot, ids: Collection[TableId] | None) -> None:
        """Read some tables again, or all tables if `ids` is None."""
        tables: Iterable[Table]
        if ids is None:
            old, self.rows, self.empty_tables, self._affected = self.rows, {}, set(), None
            tables = schema.tables
        else:
            old = {id_: self.rows.pop(id_) for id_ in ids if id_ in self.rows}
            self.empty_tables -= set(ids)
            self._affected = None if self._affected is None else self._affected.union(ids)
            tables = tables_by_id(ids, schema, self._dialect).values()
        for found in self._read_tables(connection, schema, tables):
            id_ = found.id
            self.rows[id_] = old[id_] if old.get(id_) == found else found
            if not found.rows:
                self.empty_tables.add(id_)
        self._schema = schema

    def begin_trip(self, schema: Snapshot) -> None:
        """Remember the rows read so far as those before the upgrade."""
        self._schema = schema
        self._affected, self._filled_state, self._statements = set(), None, {}
        self._states = {None: self._current_state()}

    def record_leg(
        self,
        connection: Connection,
        schema: Snapshot,
        direction: Direction,
        statements: tuple[Statement, ...],
        written: Collection[TableId] | None,
    ) -> None:
        """Read and remember the rows after a leg.

        `written` are the tables whose rows the leg wrote, as the database reports them; None for any table.
        """
        if written is not None:
            written = {*written, *self._tables_with_set_counters(schema, statements)}
        self.read_after_leg(connection, schema, written)
        self._statements[direction] = statements
        self._states[direction] = self._current_state()

    def _tables_with_set_counters(self, schema: Snapshot, statements: Iterable[Statement]) -> Iterator[TableId]:
        """Yield the tables with counters if a statement sets one: no row tells that."""
        part = backend_by_name(self._dialect.name).counters
        if any(part.may_set_counters(it.sql) for it in statements):
            yield from (table.id for table in schema.tables if part.numbered_columns(table))

    def read_after_leg(self, connection: Connection, schema: Snapshot, written: Collection[TableId] | None) -> None:
        """Read the tables whose rows a leg may have changed; `written` as for `record_leg`."""
        ids = None if written is None else altered_tables(self._schema, schema, self._dialect).union(written)
        self.read(connection, schema, ids)

    def record_fill(self) -> None:
        """Remember the rows after more were added between the upgrade and the downgrade."""
        self._filled_state = self._current_state()

    def discard_leg(self, direction: Direction) -> None:
        """Forget the last leg, which was rolled back in the end."""
        self._states.pop(direction, None)
        self._statements.pop(direction, None)

    @property
    def schema_before(self) -> Snapshot:
        """The structure that the trip began with."""
        return self._states[None].schema

    @property
    def affected_tables(self) -> frozenset[TableId]:
        """The tables whose rows any leg may have changed."""
        if self._affected is not None:
            return frozenset(self._affected)
        tables = (table for state in self._states.values() for table in state.schema.tables)
        return frozenset(table.id for table in tables)

    def losses(self, source: Connection | None = None) -> tuple[Loss, ...]:
        """Return what the trip has lost so far; `source` still has the rows that were not read before it."""
        if Direction.UPGRADE not in self._states or self._affected == set():
            return ()
        ids = self._relevant_tables()
        unread = self._unread_rows(source, ids) if source else {}
        states = {at: self._database_state(state, ids, unread) for at, state in self._states.items()}
        filled = self._database_state(self._filled_state, ids, unread).contents if self._filled_state else None
        return detect_losses(
            RoundTrip(
                dialect=self._dialect,
                before=states[None],
                upgrade=self._statements[Direction.UPGRADE],
                upgraded=states[Direction.UPGRADE],
                filled=filled,
                downgrade=self._statements.get(Direction.DOWNGRADE, ()),
                downgraded=states.get(Direction.DOWNGRADE),
                second_upgrade=self._statements.get(Direction.SECOND_UPGRADE, ()),
                upgraded_again=states.get(Direction.SECOND_UPGRADE),
                affected_tables=None if self._affected is None else frozenset(self._affected),
            )
        )

    def _relevant_tables(self) -> list[TableId] | None:
        """Return the affected tables and those related to them by foreign keys, in a stable order; None for all."""
        if self._affected is None:
            return None
        schemas = [state.schema for state in self._states.values()]
        found = {id_ for schema in schemas for id_ in related_tables(self._affected, schema, self._dialect)}
        return sorted(found, key=lambda id_: (id_[0] or "", id_[1]))

    def _unread_rows(self, source: Connection, ids: list[TableId] | None) -> dict[TableId, TableContents]:
        tables = _tables(self.schema_before, ids, self._dialect)
        return {it.id: it for it in self._read_tables(source, self.schema_before, tables)}

    def _database_state(
        self, state: _RecordedState, ids: list[TableId] | None, unread: dict[TableId, TableContents]
    ) -> DatabaseState:
        """Return schema and rows of the given tables, or of all tables if `ids` is None."""
        rows = unread | state.rows if unread else state.rows
        tables = _tables(state.schema, ids, self._dialect)
        known = (rows.get(table.id) for table in tables)
        return DatabaseState(replace(state.schema, tables=tables), Contents(tuple(filter(None, known))))

    def _current_state(self) -> _RecordedState:
        return _RecordedState(self._schema, self.rows.copy())

    def _read_tables(
        self, connection: Connection, schema: Snapshot, tables: Iterable[Table]
    ) -> tuple[TableContents, ...]:
        return contents.read_rows(connection, schema, tables=tables, limit=self._row_limit).tables


def _tables(schema: Snapshot, ids: list[TableId] | None, dialect: Dialect) -> tuple[Table, ...]:
    return schema.tables if ids is None else tuple(tables_by_id(ids, schema, dialect).values())
