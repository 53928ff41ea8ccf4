"""A round trip laid out for judging: for each table that there was, its rows in every state, found again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from dormatory.dataloss.matching import Correspondence, Pairing, contents_of, key_of, paired
from dormatory.dataloss.new_constraints import Restrictions
from dormatory.sql.dataflow import flows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.dataloss.contents import TableContents
    from dormatory.dataloss.model import State, Trip
    from dormatory.schema.snapshot import Table
    from dormatory.sql.dataflow import Flows

Id: TypeAlias = "tuple[str | None, str]"  # of a table: its namespace and name


@dataclass(frozen=True)
class Passage:
    """One table on one leg, or across several; `now` and `rows_after` are None where it was dropped."""

    table: Table
    rows: TableContents
    now: Table | None
    rows_after: TableContents | None
    names: dict[str, str]  # columns, before and after
    state: State  # after
    flows: Flows
    journey: Journey
    composed: Pairing | None = None  # from the legs that lie between

    @cached_property
    def pairing(self) -> Pairing:
        """The rows, found again."""
        if self.composed is not None:
            return self.composed
        if self.rows_after is None:
            return Pairing((), tuple(range(len(self.rows.rows))), ())
        return paired(self.rows, self.rows_after, self.names, key_of(self.table))

    @cached_property
    def restrictions(self) -> Restrictions | None:
        """What the table no longer lets in."""
        if self.now is None:
            return None
        syntax = self.journey.trip.syntax
        return Restrictions(self.table, self.now, self.rows, self.state, names=self.names, syntax=syntax)

    @cached_property
    def deleted(self) -> str:
        """Where rows of the table are deleted in so many words, under either of its names."""
        names = [self.table.name, self.now.name] if self.now else [self.table.name]
        return next((said for name in names if (said := self.flows.deleted(name))), "")


class Journey:
    """The round trip, with what its statements do."""

    def __init__(self, trip: Trip) -> None:
        self.trip = trip
        self.up, self.down = flows(trip.upgrade, trip.syntax), flows(trip.downgrade, trip.syntax)
        self.zones = self.up.zones | self.down.zones
        self.still = Still(trip)
        self._forth = Correspondence(trip.upgraded.schema, self.up)

    @cached_property
    def upgraded(self) -> dict[Id, Passage]:
        """The tables that there were on the first leg, by their names."""
        return dict(self._passages(self.trip.before, self.trip.upgraded, self._forth, self.up))

    @cached_property
    def returned(self) -> dict[Id, Passage]:
        """The tables that there were, from before the upgrade to after the downgrade: by the same names, if at all."""
        after = self.trip.downgraded
        if after is None:
            return {}
        there = {(table.namespace, table.name): table for table in after.schema.tables}
        found = {}
        for table in self.trip.before.schema.tables:
            rows = contents_of(self.trip.before.contents, table)
            now = there.get((table.namespace, table.name))
            if (
                _id(table) in self.still
                or rows is None
                or now is None
                or (rows_after := contents_of(after.contents, now)) is None
            ):
                continue
            names = {name: name for name in rows.columns if name in rows_after.columns}
            back = Passage(table, rows, now, rows_after, names, after, self.down, self)
            found[_id(table)] = replace(back, composed=self._composed(back))
        return found

    def _composed(self, back: Passage) -> Pairing | None:
        """Follow the rows leg by leg, so that none is taken for one that was put in meanwhile.

        Those that are lost on the way may be among what the downgrade has put in.
        """
        up = self.upgraded.get(_id(back.table))
        down = self.downgraded.get(_id(up.now)) if up and up.now else None
        if up is None or up.rows_after is None or down is None or down.now != back.now or back.rows_after is None:
            return None
        meanwhile = dict(paired(up.rows_after, down.rows, {name: name for name in up.rows_after.columns}, ()).pairs)
        forth, on = dict(up.pairing.pairs), dict(down.pairing.pairs)
        pairs = [(old, on[two]) for old, one in forth.items() if (two := meanwhile.get(one)) in on and two is not None]
        rekeyed = set(up.pairing.rekeyed)
        rekeyed |= {old for old, one in forth.items() if meanwhile.get(one) in down.pairing.rekeyed}
        left = [old for old in range(len(back.rows.rows)) if old not in dict(pairs)]
        come = list(down.pairing.come)
        rest = paired(
            replace(back.rows, rows=tuple(back.rows.rows[place] for place in left)),
            replace(back.rows_after, rows=tuple(back.rows_after.rows[place] for place in come)),
            back.names,
            key_of(back.table),
        )
        pairs += [(left[old], come[new]) for old, new in rest.pairs]
        rekeyed |= {left[old] for old in rest.rekeyed}
        gone, new = tuple(left[old] for old in rest.gone), tuple(come[place] for place in rest.come)
        return Pairing(tuple(sorted(pairs)), gone, new, frozenset(rekeyed))

    @cached_property
    def downgraded(self) -> dict[Id, Passage]:
        """The tables that there were after the upgrade and its further rows, on the second leg."""
        trip = self.trip
        if trip.downgraded is None:
            return {}
        before = self.filled
        back = Correspondence(trip.downgraded.schema, self.down)
        return dict(self._passages(before, trip.downgraded, back, self.down))

    @cached_property
    def repeated(self) -> dict[Id, Passage]:
        """The tables that there were after the downgrade, on the third leg."""
        trip = self.trip
        if trip.downgraded is None or trip.upgraded_again is None:
            return {}
        again = flows(trip.second_upgrade, trip.syntax)
        forth = Correspondence(trip.upgraded_again.schema, again)
        return dict(self._passages(trip.downgraded, trip.upgraded_again, forth, again))

    @cached_property
    def filled(self) -> State:
        """The state in which the downgrade begins."""
        upgraded, filled = self.trip.upgraded, self.trip.filled
        return upgraded if filled is None else type(upgraded)(upgraded.schema, filled)

    def _passages(
        self, before: State, after: State, names: Correspondence, flow: Flows
    ) -> Iterator[tuple[Id, Passage]]:
        for table in before.schema.tables:
            rows = contents_of(before.contents, table)
            if rows is None or _id(table) in self.still:
                continue
            now = names.table(table)
            rows_after = contents_of(after.contents, now)
            if now is not None and rows_after is None:  # too many rows to tell
                continue
            columns = {old: new for old, new in names.columns(table).items() if old in rows.columns}
            yield _id(table), Passage(table, rows, now, rows_after, columns, after, flow, self)


class Still:
    """The tables that are the same in every state, with all their rows: nothing has happened to them."""

    def __init__(self, trip: Trip) -> None:
        self._touched = trip.touched
        states = [it for it in (trip.before, trip.upgraded, trip.downgraded, trip.upgraded_again) if it is not None]
        states += [] if trip.filled is None else [type(trip.before)(trip.upgraded.schema, trip.filled)]
        first, *others = [_forms(state) for state in states]
        self._same = {name for name, form in first.items() if all(other.get(name) == form for other in others)}

    def __contains__(self, table: Id) -> bool:
        """Tell whether nothing has happened to a table."""
        return table in self._same or (self._touched is not None and table not in self._touched)


def _forms(state: State) -> dict[Id, tuple[Table, TableContents | None]]:
    rows = {_id(contents): contents for contents in state.contents.tables}
    return {_id(table): (table, rows.get(_id(table))) for table in state.schema.tables}


def _id(table: Table | TableContents) -> Id:
    return table.namespace, table.name
