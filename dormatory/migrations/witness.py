"""Puts rows in the way of a round trip, and tells what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.migrations import contents
from dormatory.migrations.recording import Direction
from dormatory.migrations.rows import fill
from dormatory.migrations.survival import State, Trip, judge
from dormatory.schema.tokens import Syntax

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from sqlalchemy import Connection

    from dormatory.migrations.project import Project
    from dormatory.migrations.recording import Statement
    from dormatory.migrations.survival import Loss
    from dormatory.schema.snapshot import Snapshot, Table


class Witness:
    """Sees one revision after another make its round trip on populated tables; rows stay in here, only losses leave.

    Call before() with the structure that a revision finds, after() behind each of its legs, and settled() when it has
    made its trip. Each writes or reads in the transaction of the connection it is given, and commits nothing.
    """

    def __init__(self, project: Project) -> None:
        self._own = project.script_location / "rows"
        self._states: dict[Direction | None, State] = {}
        self._statements: dict[Direction, tuple[Statement, ...]] = {}
        self._filled: contents.Contents | None = None
        self._syntax = Syntax.SQLITE
        self.unfilled: dict[str, str] = {}  # table: why no rows could be put into it

    def before(self, connection: Connection, schema: Snapshot) -> None:
        """Fill the tables that are empty, and remember all rows."""
        self._syntax = Syntax(connection.dialect.name)
        self._states, self._statements, self._filled = {}, {}, None
        held = contents.read(connection, schema)
        empty = {(table.namespace, table.name) for table in held.tables if not table.rows}
        self._fill(connection, schema, [table for table in schema.tables if (table.namespace, table.name) in empty])
        self._states[None] = State(schema, contents.read(connection, schema) if empty else held)

    def after(
        self, connection: Connection, schema: Snapshot, direction: Direction, statements: tuple[Statement, ...]
    ) -> None:
        """Remember what a leg left; behind the upgrade, add rows to what it changed, as an application would."""
        self._statements[direction] = statements
        self._states[direction] = State(schema, contents.read(connection, schema))
        if direction is Direction.UPGRADE:
            known = set(self._states[None].schema.tables)
            if changed := [table for table in schema.tables if table not in known]:
                self._fill(connection, schema, changed)
                self._filled = contents.read(connection, schema)

    def losses(self) -> tuple[Loss, ...]:
        """Return what was lost on the trip so far."""
        if Direction.UPGRADE not in self._states:
            return ()
        before, upgraded = self._states[None], self._states[Direction.UPGRADE]
        return judge(
            Trip(
                syntax=self._syntax,
                before=before,
                upgrade=self._statements[Direction.UPGRADE],
                upgraded=upgraded,
                filled=self._filled,
                downgrade=self._statements.get(Direction.DOWNGRADE, ()),
                downgraded=self._states.get(Direction.DOWNGRADE),
                second_upgrade=self._statements.get(Direction.SECOND_UPGRADE, ()),
                upgraded_again=self._states.get(Direction.SECOND_UPGRADE),
            )
        )

    def settled(self, connection: Connection, schema: Snapshot, revision: str) -> None:
        """Add the rows that the project itself keeps for a revision, in `rows/REVISION.sql` beside its versions."""
        own = self._own / f"{revision}.sql"
        if own.exists():
            self._fill(connection, schema, (), own)

    def _fill(
        self, connection: Connection, schema: Snapshot, tables: Collection[Table], own: Path | None = None
    ) -> None:
        filling = fill(connection, schema, tables=tables, edges=False, own_rows=own)
        self.unfilled |= {f"{item.namespace or ''}.{item.table}".lstrip("."): item.reason for item in filling.unfilled}
