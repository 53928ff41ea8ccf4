"""Adds rows before a revision is played and after its upgrade: generated ones, and those that the project brings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.dataloss.affected_tables import affected_by_inserts, differing_tables, tables_by_id
from dormatory.rows.fixtures import run_fixtures
from dormatory.rows.generator import fill

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from sqlalchemy import Connection

    from dormatory.project.project import Project
    from dormatory.replay.row_tracker import RowTracker
    from dormatory.schema.snapshot import Snapshot, Table, TableId
    from dormatory.sql.dialect import Dialect


class RowFiller:
    """Fills the tables of one database; the tracker reads the tables that this affects.

    `with_extremes` adds the extreme values of each type, and may change between two trips. `unfilled` are the tables
    that never had rows, each with the reason.
    """

    def __init__(self, project: Project, tracker: RowTracker, dialect: Dialect) -> None:
        self.with_extremes = True
        self.unfilled: dict[str, str] = {}
        self._project = project
        self._tracker, self._dialect = tracker, dialect
        self._failed_inputs: dict[TableId, tuple[object, ...]] = {}  # for each table that could not be filled

    def fill_empty_tables(self, connection: Connection, schema: Snapshot) -> None:
        """Fill the empty tables, except those that could not be filled and have not changed since."""
        empty = self._tracker.empty_tables
        waiting = tables_by_id(empty, schema, self._dialect).values() if empty else ()
        if tables := [table for table in waiting if not self._is_known_unfillable(table)]:
            self._fill(connection, schema, tables)

    def fill_changed_tables(self, connection: Connection, schema: Snapshot) -> None:
        """Add rows to the tables that the upgrade changed, as an application would between upgrade and downgrade."""
        before, changed = differing_tables(self._tracker.schema_before, schema)
        if changed and self._fill(connection, schema, changed, _new_or_retyped_columns(before, changed)):
            self._tracker.record_fill()

    def has_fixture_rows(self, revision: str) -> bool:
        """Return whether the project has rows for a revision, in `rows/REVISION.sql` next to its versions."""
        return fixture_file(self._project, revision).is_file()

    def add_fixture_rows(self, connection: Connection, revision: str, schema: Snapshot | None = None) -> None:
        """Add the project's own rows for a revision, and read all rows again if the schema is given."""
        run_fixtures(connection, fixture_file(self._project, revision))
        if schema:
            self._tracker.read(connection, schema, None)

    def _fill(
        self,
        connection: Connection,
        schema: Snapshot,
        tables: Collection[Table],
        plain_columns: Collection[tuple[TableId, str]] = (),
    ) -> bool:
        """Insert rows, and return whether there are new ones; `plain_columns` get no extreme values."""
        filling = fill(
            connection,
            schema,
            tables=tables,
            with_extremes=self.with_extremes,
            empty_tables=self._tracker.empty_tables,
            plain_columns=plain_columns,
        )
        self.unfilled |= {_table_name(it.namespace, it.table): it.reason for it in filling.unfilled}
        inserted = [(it.namespace, it.table) for it in filling.filled]
        for id_ in inserted:
            self.unfilled.pop(_table_name(*id_), None)
        if inserted:
            self._tracker.read(connection, schema, affected_by_inserts(inserted, schema, self._dialect))
        for table in tables:
            if (id_ := table.id) in self._tracker.empty_tables:
                self._failed_inputs[id_] = self._inputs(table)
        return bool(inserted)

    def _is_known_unfillable(self, table: Table) -> bool:
        """Return whether a table could not be filled, and nothing that decides this has changed since."""
        known, now = self._failed_inputs.get(table.id, ()), self._inputs(table)
        return len(known) == len(now) and all(one is other for one, other in zip(known, now, strict=True))

    def _inputs(self, table: Table) -> tuple[object, ...]:
        """Return what decides whether a table can be filled: its structure, and the rows that it may refer to."""
        parents = (it.references for it in table.constraints if it.references)
        return table, *(self._tracker.rows.get(parent.table_id) for parent in parents)


def fixture_file(project: Project, revision: str) -> Path:
    """Return where the project's own rows for a revision are, if it has any."""
    return project.script_location / "rows" / f"{revision}.sql"


def _new_or_retyped_columns(before: Collection[Table], after: Collection[Table]) -> list[tuple[TableId, str]]:
    """Return the columns of changed tables that are new, or of another type.

    Their extreme values would not fit into the former type, so a downgrade could not keep them.
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
