"""Puts rows in the way of a round trip, and tells what became of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dormatory.dataloss import affected_tables, contents
from dormatory.dataloss.detect import judge
from dormatory.dataloss.model import State, Trip
from dormatory.recording.model import Direction
from dormatory.rows import fixtures
from dormatory.rows.generator import fill
from dormatory.schema.snapshot import Snapshot
from dormatory.sql.lexer import Syntax

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from sqlalchemy import Connection

    from dormatory.dataloss.affected_tables import Id
    from dormatory.dataloss.contents import TableContents
    from dormatory.project.project import Project
    from dormatory.recording.model import Loss, Statement
    from dormatory.schema.snapshot import Table


@dataclass(frozen=True, slots=True)
class _Moment:
    """A database between two legs; what no leg has touched is the same object in all moments."""

    schema: Snapshot
    rows: dict[Id, TableContents]

    def state(self, ids: Collection[Id] | None, syntax: Syntax) -> State:
        """Return what is to be known of these tables, of all for None."""
        if ids is None:
            return State(self.schema, contents.Contents(tuple(self.rows.values())))
        tables = affected_tables.found(ids, self.schema, syntax)
        held = tuple(self.rows[id_] for id_ in tables if id_ in self.rows)
        return State(replace(self.schema, tables=tuple(tables.values())), contents.Contents(held))


class Witness:
    """Sees one revision after another make its round trip on populated tables; rows stay in here, only losses leave.

    Call before() with the structure that a revision finds, after() behind each of its legs, and bring() when it has
    made its trip. Each writes or reads in the transaction of the connection it is given, and commits nothing. Rows
    that no statement since may have touched are not read again.

    With `edges` the rows hold the extremes of their types, too; it may be set anew before each trip.
    """

    def __init__(self, project: Project, *, edges: bool = True) -> None:
        self.edges = edges
        self.unfilled: dict[str, str] = {}  # table: why no rows could ever be put into it
        self._own = project.script_location / "rows"
        self._syntax = Syntax.SQLITE
        self._schema = Snapshot()  # as last seen
        self._rows: dict[Id, TableContents] = {}
        self._empty: set[Id] = set()
        self._refused: dict[Id, tuple[object, ...]] = {}  # what decided that a table stayed empty
        self._moments: dict[Direction | None, _Moment] = {}
        self._statements: dict[Direction, tuple[Statement, ...]] = {}
        self._filled: _Moment | None = None
        self._touched: set[Id] | None = set()  # on this trip; None: all

    def before(self, connection: Connection, schema: Snapshot, *, is_filled: bool = True) -> None:
        """Fill the tables that are empty, unless they are to stay so, and remember all rows."""
        self._syntax = Syntax(connection.dialect.name)
        self._statements, self._filled = {}, None
        old, new = affected_tables.changes(
            self._schema, schema
        )  # what nobody watched, such as all that a walk begins with
        self._look(connection, schema, {(table.namespace, table.name) for table in (*old, *new)})
        waiting = affected_tables.found(self._empty, schema, self._syntax) if self._empty and is_filled else {}
        if tables := [table for table in waiting.values() if not self._is_hopeless(table)]:
            self._fill(connection, schema, tables)
        self._touched = set()
        self._moments = {None: self._moment()}

    def after(
        self,
        connection: Connection,
        schema: Snapshot,
        direction: Direction,
        statements: tuple[Statement, ...],
        written: Collection[Id] | None,
    ) -> None:
        """Remember what a leg left; behind the upgrade, add rows to what it changed, as an application would.

        `written` are the tables whose rows the leg has written, as the database tells; None for any table.
        """
        found = None if written is None else affected_tables.reshaped(self._schema, schema, self._syntax).union(written)
        self._look(connection, schema, found)
        self._statements[direction] = statements
        self._moments[direction] = self._moment()
        if direction is Direction.UPGRADE:
            before, changed = affected_tables.changes(self._moments[None].schema, schema)
            if changed and self._fill(connection, schema, changed, _widened(before, changed)):
                self._filled = self._moment()

    def losses(self) -> tuple[Loss, ...]:
        """Return what was lost on the trip so far."""
        if Direction.UPGRADE not in self._moments or self._touched == set():
            return ()
        ids = self._concerned()
        states = {at: moment.state(ids, self._syntax) for at, moment in self._moments.items()}
        filled = self._filled.state(ids, self._syntax).contents if self._filled else None
        return judge(
            Trip(
                syntax=self._syntax,
                before=states[None],
                upgrade=self._statements[Direction.UPGRADE],
                upgraded=states[Direction.UPGRADE],
                filled=filled,
                downgrade=self._statements.get(Direction.DOWNGRADE, ()),
                downgraded=states.get(Direction.DOWNGRADE),
                second_upgrade=self._statements.get(Direction.SECOND_UPGRADE, ()),
                upgraded_again=states.get(Direction.SECOND_UPGRADE),
                touched=None if self._touched is None else frozenset(self._touched),
            )
        )

    def brings(self, revision: str) -> bool:
        """Say whether the project itself keeps rows for a revision, in `rows/REVISION.sql` beside its versions."""
        return self._file(revision).is_file()

    def bring(self, connection: Connection, revision: str, schema: Snapshot | None = None) -> None:
        """Add those rows, and see them unless nothing has been seen yet; `schema` is the structure then."""
        fixtures.run(connection, self._file(revision))
        if schema:
            self._look(connection, schema, None)

    def _file(self, revision: str) -> Path:
        return self._own / f"{revision}.sql"

    def _concerned(self) -> list[Id] | None:
        """Return the tables that a judgement on those touched has to know, in a steady order; None for all."""
        if self._touched is None:
            return None
        moments = self._moments.values()
        found = {id_ for it in moments for id_ in affected_tables.around(self._touched, it.schema, self._syntax)}
        return sorted(found, key=lambda id_: (id_[0] or "", id_[1]))

    def _moment(self) -> _Moment:
        return _Moment(self._schema, self._rows.copy())

    def _look(self, connection: Connection, schema: Snapshot, ids: Collection[Id] | None) -> None:
        """Read the rows of some tables again, of all for None."""
        if ids is None:
            old, self._rows, self._empty, self._touched = self._rows, {}, set(), None
            tables: Iterable[Table] = schema.tables
        else:
            old = {id_: self._rows.pop(id_) for id_ in ids if id_ in self._rows}
            self._empty -= set(ids)
            self._touched = None if self._touched is None else self._touched.union(ids)
            tables = affected_tables.found(ids, schema, self._syntax).values()
        for it in contents.read(connection, schema, tables=tables).tables:
            id_ = it.namespace, it.name
            self._rows[id_] = old[id_] if old.get(id_) == it else it
            if not it.rows:
                self._empty.add(id_)
        self._schema = schema

    def _fill(
        self,
        connection: Connection,
        schema: Snapshot,
        tables: Collection[Table],
        plain: Collection[tuple[Id, str]] = (),
    ) -> bool:
        """Put rows into tables, and tell whether there are new ones; columns that are `plain` get no extremes."""
        filling = fill(connection, schema, tables=tables, edges=self.edges, empty=self._empty, plain=plain)
        self.unfilled |= {_name(it.namespace, it.table): it.reason for it in filling.unfilled}
        inserted = [(it.namespace, it.table) for it in filling.inserted]
        for id_ in inserted:
            self.unfilled.pop(_name(*id_), None)
        if inserted:
            self._look(connection, schema, affected_tables.written(inserted, schema, self._syntax))
        for table in tables:
            if (id_ := (table.namespace, table.name)) in self._empty:
                self._refused[id_] = self._decisive(table)
        return bool(inserted)

    def _is_hopeless(self, table: Table) -> bool:
        """Tell whether nothing has changed since no rows could be put into a table."""
        known, now = self._refused.get((table.namespace, table.name), ()), self._decisive(table)
        return len(known) == len(now) and all(one is other for one, other in zip(known, now, strict=True))

    def _decisive(self, table: Table) -> tuple[object, ...]:
        """Return what decides whether a table can be filled: its structure, and the rows that it may refer to."""
        parents = (it.references for it in table.constraints if it.references)
        return table, *(self._rows.get((parent.namespace, parent.table)) for parent in parents)


def _widened(before: Collection[Table], after: Collection[Table]) -> list[tuple[Id, str]]:
    """Return the columns of changed tables that are new, or of another type.

    Their extremes would not fit into what was there before, and no downgrade of a longer column could hold them.
    """
    known = {(table.namespace, table.name): {(it.name, it.type) for it in table.columns} for table in before}
    return [
        (id_, column.name)
        for table in after
        if (id_ := (table.namespace, table.name)) in known
        for column in table.columns
        if (column.name, column.type) not in known[id_]
    ]


def _name(namespace: str | None, table: str) -> str:
    return f"{namespace}.{table}" if namespace else table
