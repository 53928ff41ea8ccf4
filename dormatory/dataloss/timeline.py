"""A round trip laid out for judging: for each table that there was, its rows in every state, found again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from dormatory.dataloss.matching import RowMatching, SchemaMapping, complete_contents, key_columns, match_rows
from dormatory.dataloss.new_constraints import NewConstraints
from dormatory.sql.dataflow import read_dataflow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.dataloss.contents import TableContents
    from dormatory.dataloss.model import DatabaseState, RoundTrip
    from dormatory.schema.snapshot import Table, TableId
    from dormatory.sql.dataflow import Dataflow


@dataclass(frozen=True)
class TableTransition:
    """One table on one leg, or across several; `now` and `rows_after` are None where it was dropped."""

    table: Table
    rows: TableContents
    table_after: Table | None
    rows_after: TableContents | None
    column_names: dict[str, str]  # columns, before and after
    state_after: DatabaseState  # after
    dataflow: Dataflow
    timeline: Timeline
    composed: RowMatching | None = None  # from the legs that lie between

    @cached_property
    def matching(self) -> RowMatching:
        """The rows, found again."""
        if self.composed is not None:
            return self.composed
        if self.rows_after is None:
            return RowMatching((), tuple(range(len(self.rows.rows))), ())
        return match_rows(self.rows, self.rows_after, self.column_names, key_columns(self.table))

    @cached_property
    def new_constraints(self) -> NewConstraints | None:
        """What the table no longer lets in."""
        if self.table_after is None:
            return None
        dialect = self.timeline.round_trip.dialect
        return NewConstraints(
            self.table, self.table_after, self.rows, self.state_after, column_names=self.column_names, dialect=dialect
        )

    @cached_property
    def delete_statement(self) -> str:
        """Where rows of the table are deleted in so many words, under either of its names."""
        names = [self.table.name, self.table_after.name] if self.table_after else [self.table.name]
        return next((said for name in names if (said := self.dataflow.delete_statement(name))), "")


class Timeline:
    """The round trip, with what its statements do."""

    def __init__(self, round_trip: RoundTrip) -> None:
        self.round_trip = round_trip
        self.up, self.down = (
            read_dataflow(round_trip.upgrade, round_trip.dialect),
            read_dataflow(round_trip.downgrade, round_trip.dialect),
        )
        self.time_zones = self.up.time_zones | self.down.time_zones
        self.unchanged_tables = UnchangedTables(round_trip)
        self._upgrade_mapping = SchemaMapping(round_trip.upgraded.schema, self.up)

    @cached_property
    def upgrade_transitions(self) -> dict[TableId, TableTransition]:
        """The tables that there were on the first leg, by their names."""
        return dict(self._transitions(self.round_trip.before, self.round_trip.upgraded, self._upgrade_mapping, self.up))

    @cached_property
    def overall_transitions(self) -> dict[TableId, TableTransition]:
        """The tables that there were, from before the upgrade to after the downgrade: by the same names, if at all."""
        after = self.round_trip.downgraded
        if after is None:
            return {}
        tables_after = {table.id: table for table in after.schema.tables}
        found = {}
        for table in self.round_trip.before.schema.tables:
            rows = complete_contents(self.round_trip.before.contents, table)
            table_after = tables_after.get(table.id)
            if (
                table.id in self.unchanged_tables
                or rows is None
                or table_after is None
                or (rows_after := complete_contents(after.contents, table_after)) is None
            ):
                continue
            column_names = {name: name for name in rows.columns if name in rows_after.columns}
            overall = TableTransition(table, rows, table_after, rows_after, column_names, after, self.down, self)
            found[table.id] = replace(overall, composed=self._composed_matching(overall))
        return found

    def _composed_matching(self, overall: TableTransition) -> RowMatching | None:
        """Follow the rows leg by leg, so that none is taken for one that was put in meanwhile.

        Those that are lost on the way may be among what the downgrade has put in.
        """
        upgrade_dataflow = self.upgrade_transitions.get(overall.table.id)
        downgrade_dataflow = (
            self.downgrade_transitions.get(upgrade_dataflow.table_after.id)
            if upgrade_dataflow and upgrade_dataflow.table_after
            else None
        )
        if (
            upgrade_dataflow is None
            or upgrade_dataflow.rows_after is None
            or downgrade_dataflow is None
            or downgrade_dataflow.table_after != overall.table_after
            or overall.rows_after is None
        ):
            return None
        kept_by_fill = dict(
            match_rows(
                upgrade_dataflow.rows_after,
                downgrade_dataflow.rows,
                {name: name for name in upgrade_dataflow.rows_after.columns},
                (),
            ).pairs
        )
        upgrade_pairs, downgrade_pairs = dict(upgrade_dataflow.matching.pairs), dict(downgrade_dataflow.matching.pairs)
        pairs = [
            (old, downgrade_pairs[two])
            for old, one in upgrade_pairs.items()
            if (two := kept_by_fill.get(one)) in downgrade_pairs and two is not None
        ]
        rekeyed = set(upgrade_dataflow.matching.rekeyed)
        rekeyed |= {
            old for old, one in upgrade_pairs.items() if kept_by_fill.get(one) in downgrade_dataflow.matching.rekeyed
        }
        unmatched_before = [old for old in range(len(overall.rows.rows)) if old not in dict(pairs)]
        unmatched_after = list(downgrade_dataflow.matching.added)
        rest = match_rows(
            replace(overall.rows, rows=tuple(overall.rows.rows[place] for place in unmatched_before)),
            replace(overall.rows_after, rows=tuple(overall.rows_after.rows[place] for place in unmatched_after)),
            overall.column_names,
            key_columns(overall.table),
        )
        pairs += [(unmatched_before[old], unmatched_after[new]) for old, new in rest.pairs]
        rekeyed |= {unmatched_before[old] for old in rest.rekeyed}
        lost, added = (
            tuple(unmatched_before[old] for old in rest.lost),
            tuple(unmatched_after[place] for place in rest.added),
        )
        return RowMatching(tuple(sorted(pairs)), lost, added, frozenset(rekeyed))

    @cached_property
    def downgrade_transitions(self) -> dict[TableId, TableTransition]:
        """The tables that there were after the upgrade and its further rows, on the second leg."""
        round_trip = self.round_trip
        if round_trip.downgraded is None:
            return {}
        before = self.state_before_downgrade
        mapping = SchemaMapping(round_trip.downgraded.schema, self.down)
        return dict(self._transitions(before, round_trip.downgraded, mapping, self.down))

    @cached_property
    def second_upgrade_transitions(self) -> dict[TableId, TableTransition]:
        """The tables that there were after the downgrade, on the third leg."""
        round_trip = self.round_trip
        if round_trip.downgraded is None or round_trip.upgraded_again is None:
            return {}
        dataflow = read_dataflow(round_trip.second_upgrade, round_trip.dialect)
        mapping = SchemaMapping(round_trip.upgraded_again.schema, dataflow)
        return dict(self._transitions(round_trip.downgraded, round_trip.upgraded_again, mapping, dataflow))

    @cached_property
    def state_before_downgrade(self) -> DatabaseState:
        """The state in which the downgrade begins."""
        upgraded, filled = self.round_trip.upgraded, self.round_trip.filled
        return upgraded if filled is None else type(upgraded)(upgraded.schema, filled)

    def _transitions(
        self, before: DatabaseState, after: DatabaseState, mapping: SchemaMapping, dataflow: Dataflow
    ) -> Iterator[tuple[TableId, TableTransition]]:
        for table in before.schema.tables:
            rows = complete_contents(before.contents, table)
            if rows is None or table.id in self.unchanged_tables:
                continue
            table_after = mapping.table_after(table)
            rows_after = complete_contents(after.contents, table_after)
            if table_after is not None and rows_after is None:  # too many rows to tell
                continue
            column_names = {old: new for old, new in mapping.column_names(table).items() if old in rows.columns}
            yield (
                table.id,
                TableTransition(table, rows, table_after, rows_after, column_names, after, dataflow, self),
            )


class UnchangedTables:
    """The tables that are the same in every state, with all their rows: nothing has happened to them."""

    def __init__(self, round_trip: RoundTrip) -> None:
        self._affected = round_trip.affected_tables
        states = [
            it
            for it in (round_trip.before, round_trip.upgraded, round_trip.downgraded, round_trip.upgraded_again)
            if it is not None
        ]
        states += (
            []
            if round_trip.filled is None
            else [type(round_trip.before)(round_trip.upgraded.schema, round_trip.filled)]
        )
        first, *others = [_table_contents_by_id(state) for state in states]
        self._unchanged = {name for name, form in first.items() if all(other.get(name) == form for other in others)}

    def __contains__(self, table: TableId) -> bool:
        """Tell whether nothing has happened to a table."""
        return table in self._unchanged or (self._affected is not None and table not in self._affected)


def _table_contents_by_id(state: DatabaseState) -> dict[TableId, tuple[Table, TableContents | None]]:
    rows = {contents.id: contents for contents in state.contents.tables}
    return {table.id: (table, rows.get(table.id)) for table in state.schema.tables}
