"""Gives the tables their rows before a revision is played, and adds some after its upgrade."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_by_name
from dormatory.dataloss.affected_tables import affected_by_inserts, altered_tables, differing_tables, related_tables
from dormatory.dataloss.contents import key_values
from dormatory.dataloss.table_groups import table_groups
from dormatory.rows.generator import fill
from dormatory.rows.hinted_plan import hints_for

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

    from dormatory.backends.counter import Counter
    from dormatory.backends.row_io import StoredRows
    from dormatory.dataloss.contents import TableContents
    from dormatory.dataloss.table_groups import TableGroup
    from dormatory.dataloss.values import CellValue
    from dormatory.replay.hints.revision import RevisionHints
    from dormatory.replay.row_tracker import RowTracker
    from dormatory.replay.seed_rows import SeedRows
    from dormatory.schema.snapshot import Reference, Snapshot, Table, TableId
    from dormatory.sql.dialect import Dialect
    from dormatory.sql.value_hints import ColumnHint

_EMPTIABLE_KINDS = frozenset({"table", "partitioned table"})


@dataclass(frozen=True, slots=True)
class _Filling:
    """What decides the rows of a group of tables: structure, seed rows, keys of parents, values that the code knows."""

    tables: tuple[Table, ...]
    routines: tuple[str, ...]
    seeds: tuple[tuple[StoredRows | None, tuple[Counter, ...] | None], ...] | None  # None: unknown
    parent_keys: tuple[tuple[tuple[CellValue, ...], ...] | None, ...]
    hints: tuple[tuple[ColumnHint, ...], ...]
    with_extremes: bool


class RowFiller:
    """Fills the tables of one database; the tracker reads the tables that this affects.

    `with_extremes` adds the extreme values of each type, and may change between two trips, as does the `revision` whose
    code knows some values. `unfilled` are the tables that never had rows, each with the reason.
    """

    def __init__(self, tracker: RowTracker, dialect: Dialect, hints: RevisionHints | None = None) -> None:
        self.with_extremes = True
        self.revision = ""
        self.unfilled: dict[str, str] = {}
        self._tracker, self._dialect, self._hints = tracker, dialect, hints
        self._schema: Snapshot | None = None  # of the last preparation
        self._fillings: dict[TableId, _Filling] = {}
        self._rows: dict[TableId, TableContents | None] = {}  # after the filling

    def prepare(self, connection: Connection, schema: Snapshot, seeds: SeedRows | None) -> None:
        """Give each table its seed rows and generated rows, the same ones whatever has happened to its rows before.

        The first call keeps the rows that are there as seed rows. Later, groups of tables that are still as they were
        filled are left alone; the others are emptied first. Without `seeds` only empty tables are filled.
        """
        before, self._schema = self._schema, schema
        retyped = altered_tables(before, schema, self._dialect) if before else frozenset()
        hints = self._hints.before_upgrade(self.revision) if self._hints else ()
        for group in table_groups(schema, self._dialect):
            filling = self._filling(group, seeds, tuple(hints_for(table, schema, hints) for table in group.tables))
            if retyped.isdisjoint(group.ids) and self._is_unchanged(group, filling):
                continue
            tables: Collection[Table] = group.tables
            if before and not (seeds and self._restore_seeds(connection, schema, group, seeds)):
                tables = [table for table in tables if table.id in self._tracker.empty_tables]
            if tables:
                self._fill(connection, schema, tables, hints)
            self._fillings |= dict.fromkeys(group.ids, filling)
            self._rows |= {id_: self._tracker.rows.get(id_) for id_ in group.ids}

    def remove_generated_rows(self, connection: Connection, schema: Snapshot, seeds: SeedRows) -> None:
        """Leave nothing but the seed rows in the tables, where that is possible."""
        for group in table_groups(schema, self._dialect):
            self._restore_seeds(connection, schema, group, seeds)

    def fill_changed_tables(self, connection: Connection, schema: Snapshot) -> None:
        """Add rows to the tables that the upgrade changed, as an application would between upgrade and downgrade.

        None is added if a trigger changes other rows with them: neither the upgrade nor the downgrade has done that.
        """
        before, changed = differing_tables(self._tracker.schema_before, schema)
        if not changed:
            return
        hints = self._hints.before_downgrade(self.revision) if self._hints else ()
        rows = self._tracker.rows.copy()
        with connection.begin_nested() as savepoint:
            is_filled = self._fill(connection, schema, changed, hints, _new_or_retyped_columns(before, changed))
            read_again = {id_ for id_, it in self._tracker.rows.items() if it is not rows.get(id_)}
            is_kept = not any(_has_lost_rows(rows[id_], self._tracker.rows[id_]) for id_ in read_again & rows.keys())
            if not is_kept:
                savepoint.rollback()
        if not is_kept:
            self._tracker.read(connection, schema, read_again)
        elif is_filled:
            self._tracker.record_fill()

    def _fill(
        self,
        connection: Connection,
        schema: Snapshot,
        tables: Collection[Table],
        hints: Sequence[ColumnHint],
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
            hints=hints,
        )
        self.unfilled |= {_table_name(it.namespace, it.table): it.reason for it in filling.unfilled}
        inserted = [(it.namespace, it.table) for it in filling.filled]
        for id_ in inserted:
            self.unfilled.pop(_table_name(*id_), None)
        if inserted:
            self._tracker.read(connection, schema, affected_by_inserts(inserted, schema, self._dialect))
        return bool(inserted)

    def _filling(
        self, group: TableGroup, seeds: SeedRows | None, hints: tuple[tuple[ColumnHint, ...], ...]
    ) -> _Filling:
        return _Filling(
            group.tables,
            group.routines,
            tuple((seeds.tables.get(id_), seeds.counters.get(id_)) for id_ in group.ids) if seeds else None,
            tuple(map(self._keys, group.references)),
            hints,
            self.with_extremes,
        )

    def _keys(self, reference: Reference) -> tuple[tuple[CellValue, ...], ...] | None:
        """Return the keys that a foreign key may refer to; None if its table's rows are not read."""
        rows = self._tracker.rows.get(reference.table_id)
        return key_values(rows, reference.columns) if rows else None

    def _is_unchanged(self, group: TableGroup, filling: _Filling) -> bool:
        """Return whether tables still have the rows with which they were filled, and would get the same ones now."""
        return all(
            id_ in self._rows and self._fillings[id_] == filling and self._tracker.rows.get(id_) == self._rows[id_]
            for id_ in group.ids
        )

    def _restore_seeds(self, connection: Connection, schema: Snapshot, group: TableGroup, seeds: SeedRows) -> bool:
        """Replace all rows of a group by its seed rows; return False if that is not possible."""
        if any(table.kind not in _EMPTIABLE_KINDS for table in group.tables):
            return False  # a trigger keeps the rows of a virtual table in step with those of another
        backend = backend_by_name(self._dialect.name)
        with closing(backend.row_io.row_writer(connection)) as writer:
            try:
                writer.replace_rows(group.ids, seeds.tables)
            except writer.error:
                return False
            counters = (counter for id_ in group.ids for counter in seeds.counters.get(id_, ()))
            backend.counters.restore_counters(connection, group.ids, counters)
            changed = set(group.ids)
            if writer.foreign_keys_act:
                changed.update(related_tables(group.ids, schema, self._dialect))
        self._tracker.read(connection, schema, changed)
        return True


def _has_lost_rows(before: TableContents, after: TableContents) -> bool:
    """Return whether a row is not there any more, or has other values."""
    return before.is_whole and after.is_whole and not {*map(repr, before.rows)} <= {*map(repr, after.rows)}


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
