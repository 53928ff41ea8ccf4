"""Puts rows in the way of a round trip, and tells what became of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dormatory.backends.registry import dialect_by_name
from dormatory.dataloss import affected_tables, contents
from dormatory.dataloss.detect import detect_losses
from dormatory.dataloss.model import DatabaseState, RoundTrip
from dormatory.recording.model import Direction
from dormatory.rows import fixtures
from dormatory.rows.generator import fill
from dormatory.schema.snapshot import Snapshot, TableId

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from sqlalchemy import Connection

    from dormatory.dataloss.contents import TableContents
    from dormatory.project.project import Project
    from dormatory.recording.model import Loss, Statement
    from dormatory.schema.snapshot import Table
    from dormatory.sql.dialect import Dialect


@dataclass(frozen=True, slots=True)
class _RecordedState:
    """A database between two legs; what no leg has touched is the same object in all moments."""

    schema: Snapshot
    rows: dict[TableId, TableContents]

    def database_state(self, ids: Collection[TableId] | None, dialect: Dialect) -> DatabaseState:
        """Return what is to be known of these tables, of all for None."""
        if ids is None:
            return DatabaseState(self.schema, contents.Contents(tuple(self.rows.values())))
        tables = affected_tables.tables_by_id(ids, self.schema, dialect)
        held = tuple(self.rows[id_] for id_ in tables if id_ in self.rows)
        return DatabaseState(replace(self.schema, tables=tuple(tables.values())), contents.Contents(held))


class RowTracker:
    """Sees one revision after another make its round trip on populated tables; rows stay in here, only losses leave.

    Call before() with the structure that a revision finds, after() behind each of its legs, and bring() when it has
    made its trip. Each writes or reads in the transaction of the connection it is given, and commits nothing. Rows
    that no statement since may have touched are not read again.

    With `edges` the rows hold the extremes of their types, too; it may be set anew before each trip.
    """

    def __init__(self, project: Project, *, with_extremes: bool = True) -> None:
        self.with_extremes = with_extremes
        self.unfilled: dict[str, str] = {}  # table: why no rows could ever be put into it
        self._fixture_directory = project.script_location / "rows"
        self._last_schema = Snapshot()  # as last seen
        self._rows: dict[TableId, TableContents] = {}
        self._empty_tables: set[TableId] = set()
        self._failed_fill_inputs: dict[TableId, tuple[object, ...]] = {}  # what decided that a table stayed empty
        self._states: dict[Direction | None, _RecordedState] = {}
        self._statements: dict[Direction, tuple[Statement, ...]] = {}
        self._state_after_fill: _RecordedState | None = None
        self._affected_tables: set[TableId] | None = set()  # on this trip; None: all

    def begin_trip(self, connection: Connection, schema: Snapshot, *, is_filled: bool = True) -> None:
        """Fill the tables that are empty, unless they are to stay so, and remember all rows."""
        self._dialect = dialect_by_name(connection.dialect.name)
        self._statements, self._state_after_fill = {}, None
        old, new = affected_tables.differing_tables(
            self._last_schema, schema
        )  # what nobody watched, such as all that a walk begins with
        self._read_rows(connection, schema, {table.id for table in (*old, *new)})
        waiting = (
            affected_tables.tables_by_id(self._empty_tables, schema, self._dialect)
            if self._empty_tables and is_filled
            else {}
        )
        if tables := [table for table in waiting.values() if not self._is_unfillable(table)]:
            self._fill(connection, schema, tables)
        self._affected_tables = set()
        self._states = {None: self._current_state()}

    def record_leg(
        self,
        connection: Connection,
        schema: Snapshot,
        direction: Direction,
        statements: tuple[Statement, ...],
        written: Collection[TableId] | None,
    ) -> None:
        """Remember what a leg left; behind the upgrade, add rows to what it changed, as an application would.

        `written` are the tables whose rows the leg has written, as the database tells; None for any table.
        """
        found = (
            None
            if written is None
            else affected_tables.altered_tables(self._last_schema, schema, self._dialect).union(written)
        )
        self._read_rows(connection, schema, found)
        self._statements[direction] = statements
        self._states[direction] = self._current_state()
        if direction is Direction.UPGRADE:
            before, changed = affected_tables.differing_tables(self._states[None].schema, schema)
            if changed and self._fill(connection, schema, changed, _new_or_retyped_columns(before, changed)):
                self._state_after_fill = self._current_state()

    def losses(self) -> tuple[Loss, ...]:
        """Return what was lost on the trip so far."""
        if Direction.UPGRADE not in self._states or self._affected_tables == set():
            return ()
        ids = self._relevant_tables()
        states = {at: moment.database_state(ids, self._dialect) for at, moment in self._states.items()}
        filled = self._state_after_fill.database_state(ids, self._dialect).contents if self._state_after_fill else None
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
                affected_tables=None if self._affected_tables is None else frozenset(self._affected_tables),
            )
        )

    def has_fixture_rows(self, revision: str) -> bool:
        """Say whether the project itself keeps rows for a revision, in `rows/REVISION.sql` beside its versions."""
        return self._fixture_file(revision).is_file()

    def add_fixture_rows(self, connection: Connection, revision: str, schema: Snapshot | None = None) -> None:
        """Add those rows, and see them unless nothing has been seen yet; `schema` is the structure then."""
        fixtures.run_fixtures(connection, self._fixture_file(revision))
        if schema:
            self._read_rows(connection, schema, None)

    def _fixture_file(self, revision: str) -> Path:
        return self._fixture_directory / f"{revision}.sql"

    def _relevant_tables(self) -> list[TableId] | None:
        """Return the tables that a judgement on those touched has to know, in a steady order; None for all."""
        if self._affected_tables is None:
            return None
        moments = self._states.values()
        found = {
            id_
            for it in moments
            for id_ in affected_tables.related_tables(self._affected_tables, it.schema, self._dialect)
        }
        return sorted(found, key=lambda id_: (id_[0] or "", id_[1]))

    def _current_state(self) -> _RecordedState:
        return _RecordedState(self._last_schema, self._rows.copy())

    def _read_rows(self, connection: Connection, schema: Snapshot, ids: Collection[TableId] | None) -> None:
        """Read the rows of some tables again, of all for None."""
        if ids is None:
            old, self._rows, self._empty_tables, self._affected_tables = self._rows, {}, set(), None
            tables: Iterable[Table] = schema.tables
        else:
            old = {id_: self._rows.pop(id_) for id_ in ids if id_ in self._rows}
            self._empty_tables -= set(ids)
            self._affected_tables = None if self._affected_tables is None else self._affected_tables.union(ids)
            tables = affected_tables.tables_by_id(ids, schema, self._dialect).values()
        for it in contents.read_rows(connection, schema, tables=tables).tables:
            id_ = it.namespace, it.name
            self._rows[id_] = old[id_] if old.get(id_) == it else it
            if not it.rows:
                self._empty_tables.add(id_)
        self._last_schema = schema

    def _fill(
        self,
        connection: Connection,
        schema: Snapshot,
        tables: Collection[Table],
        plain_columns: Collection[tuple[TableId, str]] = (),
    ) -> bool:
        """Put rows into tables, and tell whether there are new ones; columns that are `plain` get no extremes."""
        filling = fill(
            connection,
            schema,
            tables=tables,
            with_extremes=self.with_extremes,
            empty_tables=self._empty_tables,
            plain_columns=plain_columns,
        )
        self.unfilled |= {_table_name(it.namespace, it.table): it.reason for it in filling.unfilled}
        inserted = [(it.namespace, it.table) for it in filling.filled]
        for id_ in inserted:
            self.unfilled.pop(_table_name(*id_), None)
        if inserted:
            self._read_rows(connection, schema, affected_tables.affected_by_inserts(inserted, schema, self._dialect))
        for table in tables:
            if (id_ := table.id) in self._empty_tables:
                self._failed_fill_inputs[id_] = self._fill_inputs(table)
        return bool(inserted)

    def _is_unfillable(self, table: Table) -> bool:
        """Tell whether nothing has changed since no rows could be put into a table."""
        known, now = self._failed_fill_inputs.get(table.id, ()), self._fill_inputs(table)
        return len(known) == len(now) and all(one is other for one, other in zip(known, now, strict=True))

    def _fill_inputs(self, table: Table) -> tuple[object, ...]:
        """Return what decides whether a table can be filled: its structure, and the rows that it may refer to."""
        parents = (it.references for it in table.constraints if it.references)
        return table, *(self._rows.get((parent.namespace, parent.table)) for parent in parents)


def _new_or_retyped_columns(before: Collection[Table], after: Collection[Table]) -> list[tuple[TableId, str]]:
    """Return the columns of changed tables that are new, or of another type.

    Their extremes would not fit into what was there before, and no downgrade of a longer column could hold them.
    """
    known = {table.id: {(it.name, it.type) for it in table.columns} for table in before}
    return [
        (id_, column.name)
        for table in after
        if (id_ := table.id) in known
        for column in table.columns
        if (column.name, column.type) not in known[id_]
    ]


def _table_name(namespace: str | None, table: str) -> str:
    return f"{namespace}.{table}" if namespace else table
