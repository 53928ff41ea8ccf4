"""Lays a round trip out for comparison: its legs, and for each table its rows on both sides of a leg, matched."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from dormatory.dataloss.matching import (
    RowMatching,
    SchemaMapping,
    canonical_column,
    complete_contents,
    compose_matchings,
    key_columns,
    match_rows,
    projection,
)
from dormatory.dataloss.model import DatabaseState
from dormatory.dataloss.new_constraints import NewConstraints
from dormatory.recording.leg import Direction
from dormatory.sql.dataflow import read_dataflow

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from dormatory.dataloss.contents import TableContents
    from dormatory.dataloss.model import RoundTrip
    from dormatory.recording.leg import Statement
    from dormatory.schema.snapshot import Table, TableId
    from dormatory.sql.dataflow import Dataflow, Origin
    from dormatory.sql.dialect import Dialect

_MIN_TELLING_VALUES = 2  # different ones in a column, to find them in another


@dataclass(frozen=True, slots=True)
class TimelineLeg:
    """One leg, or the upgrade and the downgrade together: the states around it, and what its statements do to rows."""

    direction: Direction
    before: DatabaseState
    after: DatabaseState
    dataflow: Dataflow
    dialect: Dialect
    statements: tuple[Statement, ...]


@dataclass(frozen=True)
class TableTransition:
    """One table on a leg; `table_after` and `rows_after` are None if it was dropped."""

    leg: TimelineLeg
    table: Table
    rows: TableContents
    table_after: Table | None
    rows_after: TableContents | None
    column_names: dict[str, str]  # before the leg, and after it
    composed: RowMatching | None = None  # of the legs in between

    @cached_property
    def matching(self) -> RowMatching:
        """Which row before is which row after."""
        if self.composed is not None:
            return self.composed
        if self.rows_after is None:
            return RowMatching((), tuple(range(len(self.rows.rows))), ())
        return match_rows(self.rows, self.rows_after, self.column_names, key_columns(self.table))

    @cached_property
    def identifying_columns(self) -> dict[str, str]:
        """The columns, before and after, that tell whether two rows are equal apart from their keys."""
        key = key_columns(self.table)
        is_all_key = len(key) == len(self.rows.columns)
        return {old: new for old, new in self.column_names.items() if is_all_key or old not in key}

    @cached_property
    def misplaced_columns(self) -> dict[str, str]:
        """The columns whose values are in another column after a rebuild of the table, and which one that is.

        A statement that names both columns moves the values on purpose.
        """
        after = self.rows_after
        if after is None or self.table.name.lower() not in self.leg.dataflow.drops:
            return {}
        pairs = self.matching.pairs
        old = {name: self._values(self.rows, name, [it for it, _ in pairs]) for name in self.column_names}
        new = {name: self._values(after, name, [it for _, it in pairs]) for name in self.column_names.values()}
        kept = {self.column_names[name] for name, values in old.items() if new[self.column_names[name]] == values}
        found = {}
        for name, values in old.items():
            own = self.column_names[name]
            if own in kept or len(set(values) - {None}) < _MIN_TELLING_VALUES:
                continue
            places = [other for other in new if other != own and new[other] == values and other not in kept]
            if len(places) == 1 and not self._is_moved_on_purpose(name, places[0]):
                found[name] = places[0]
        return found

    def _is_moved_on_purpose(self, old: str, new: str) -> bool:
        table = self.table_after.name if self.table_after else ""
        return any(old.lower() in write.reads for write in self.leg.dataflow.writes_to(table, new))

    @staticmethod
    def _values(rows: TableContents, name: str, places: Sequence[int]) -> list[Hashable]:
        column = canonical_column(rows, name)
        return [column[place] for place in places]

    @cached_property
    def new_constraints(self) -> NewConstraints | None:
        """What the table accepted before and refuses now."""
        if self.table_after is None:
            return None
        return NewConstraints(
            self.table,
            self.table_after,
            self.rows,
            self.leg.after,
            column_names=self.column_names,
            dialect=self.leg.dialect,
        )

    @cached_property
    def delete_statement(self) -> Origin | None:
        """The DELETE or TRUNCATE that names the table, by its name before or after; None if none does."""
        names = [self.table.name, self.table_after.name] if self.table_after else [self.table.name]
        return next((found for name in names if (found := self.leg.dataflow.delete_statement(name))), None)


class Timeline:
    """A round trip, with the transitions of its tables on each leg; unchanged tables are left out."""

    def __init__(self, round_trip: RoundTrip) -> None:
        self._round_trip = round_trip
        self.legs = {leg.direction: leg for leg in _played_legs(round_trip)}
        self.unchanged_tables = UnchangedTables(round_trip)

    @cached_property
    def time_zones(self) -> set[str]:
        """The time zones that the upgrade or the downgrade names."""
        legs = (leg for leg in self.legs.values() if leg.direction is not Direction.SECOND_UPGRADE)
        return set().union(*(leg.dataflow.time_zones for leg in legs))

    @cached_property
    def transitions(self) -> dict[Direction, dict[TableId, TableTransition]]:
        """For each leg the tables before it, by their names."""
        return {direction: dict(self._transitions(direction)) for direction in Direction}

    @property
    def upgrade_transitions(self) -> dict[TableId, TableTransition]:
        """The tables before the upgrade."""
        return self.transitions[Direction.UPGRADE]

    @property
    def downgrade_transitions(self) -> dict[TableId, TableTransition]:
        """The tables after the upgrade and its additional rows."""
        return self.transitions[Direction.DOWNGRADE]

    @property
    def second_upgrade_transitions(self) -> dict[TableId, TableTransition]:
        """The tables after the downgrade."""
        return self.transitions[Direction.SECOND_UPGRADE]

    @cached_property
    def overall_transitions(self) -> dict[TableId, TableTransition]:
        """The tables before the upgrade that exist after the downgrade, under the same names."""
        downgrade = self.legs.get(Direction.DOWNGRADE)
        if downgrade is None:
            return {}
        leg = replace(downgrade, before=self.legs[Direction.UPGRADE].before)
        tables_after = {table.id: table for table in leg.after.schema.tables}
        found = {}
        for table in leg.before.schema.tables:
            id_ = table.id
            rows = complete_contents(leg.before.contents, table)
            table_after = tables_after.get(id_)
            rows_after = complete_contents(leg.after.contents, table_after)
            if rows is None or rows_after is None or id_ in self.unchanged_tables:
                continue
            column_names = {name: name for name in rows.columns if name in rows_after.columns}
            overall = TableTransition(leg, table, rows, table_after, rows_after, column_names)
            found[id_] = replace(overall, composed=self._composed_matching(overall))
        return found

    def filled_rows(self, transition: TableTransition) -> set[int]:
        """Return the rows before the downgrade that were added after the upgrade."""
        before = complete_contents(self._round_trip.upgraded.contents, transition.table)
        if before is None or before.has_rows_of(transition.rows):
            return set()
        known = set(projection(before, before.columns))
        columns = tuple(name for name in before.columns if name in transition.rows.columns)
        return {at for at, row in enumerate(projection(transition.rows, columns)) if row not in known}

    def _transitions(self, direction: Direction) -> Iterator[tuple[TableId, TableTransition]]:
        leg = self.legs.get(direction)
        if leg is None:
            return
        mapping = SchemaMapping(leg.before.schema, leg.after.schema, leg.dataflow)
        for table in leg.before.schema.tables:
            rows = complete_contents(leg.before.contents, table)
            if rows is None or table.id in self.unchanged_tables:
                continue
            table_after = mapping.table_after(table)
            rows_after = complete_contents(leg.after.contents, table_after)
            if table_after is not None and rows_after is None:  # too many rows to compare
                continue
            names_after = rows_after.columns if rows_after else ()  # without columns that are generated now
            column_names = {
                old: new
                for old, new in mapping.column_names(table).items()
                if old in rows.columns and new in names_after
            }
            yield table.id, TableTransition(leg, table, rows, table_after, rows_after, column_names)

    def _composed_matching(self, overall: TableTransition) -> RowMatching | None:
        """Return the rows followed leg by leg, None if the table was not the same one on both legs."""
        upgrade = self.upgrade_transitions.get(overall.table.id)
        if upgrade is None or upgrade.table_after is None or upgrade.rows_after is None or overall.rows_after is None:
            return None
        downgrade = self.downgrade_transitions.get(upgrade.table_after.id)
        if downgrade is None or downgrade.table_after != overall.table_after:
            return None
        same_names = {name: name for name in upgrade.rows_after.columns}
        kept_by_fill = match_rows(upgrade.rows_after, downgrade.rows, same_names, ())
        return compose_matchings(
            (upgrade.matching, kept_by_fill, downgrade.matching),
            overall.rows,
            overall.rows_after,
            overall.column_names,
            key_columns(overall.table),
        )


class UnchangedTables:
    """The tables that are the same in every state, with all their rows."""

    def __init__(self, round_trip: RoundTrip) -> None:
        self._affected = round_trip.affected_tables
        states = [round_trip.before, round_trip.upgraded, round_trip.downgraded, round_trip.upgraded_again]
        if round_trip.filled is not None:
            states.append(_state_before_downgrade(round_trip))
        first, *others = [_table_contents_by_id(state) for state in states if state is not None]
        self._unchanged = {name for name, form in first.items() if all(other.get(name) == form for other in others)}

    def __contains__(self, table: TableId) -> bool:
        """Return whether nothing has happened to a table."""
        return table in self._unchanged or (self._affected is not None and table not in self._affected)


def _played_legs(trip: RoundTrip) -> Iterator[TimelineLeg]:
    legs = (
        (Direction.UPGRADE, trip.before, trip.upgraded, trip.upgrade),
        (Direction.DOWNGRADE, _state_before_downgrade(trip), trip.downgraded, trip.downgrade),
        (Direction.SECOND_UPGRADE, trip.downgraded, trip.upgraded_again, trip.second_upgrade),
    )
    for direction, before, after, statements in legs:
        if before is not None and after is not None:
            # Statements without a line are Alembic's own.
            own = tuple(it for it in statements if it.line)
            dataflow = read_dataflow(tuple((it.sql, it.file, it.line) for it in own), trip.dialect)
            yield TimelineLeg(direction, before, after, dataflow, trip.dialect, own)


def _state_before_downgrade(round_trip: RoundTrip) -> DatabaseState:
    """Return the state after the upgrade, with the rows that were added then."""
    upgraded, filled = round_trip.upgraded, round_trip.filled
    return upgraded if filled is None else DatabaseState(upgraded.schema, filled)


def _table_contents_by_id(state: DatabaseState) -> dict[TableId, tuple[Table, TableContents | None]]:
    rows = {contents.id: contents for contents in state.contents.tables}
    return {table.id: (table, rows.get(table.id)) for table in state.schema.tables}
