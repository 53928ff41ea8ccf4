"""Which values a round trip has changed although they could have stayed, or come back."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.dataloss import classify, values
from dormatory.dataloss.lost_rows import fresh
from dormatory.dataloss.matching import key_of, projected
from dormatory.dataloss.moved_values import Carriers
from dormatory.recording.model import Direction, Kind, Loss
from dormatory.schema.describe import name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.dataloss.timeline import Journey, Passage
    from dormatory.dataloss.values import Value


@dataclass(frozen=True, slots=True)
class _Cell:
    """A value before the upgrade, after it and after the downgrade, in the row that stood at `place`."""

    place: int
    before: Value
    upgraded: Value
    after: Value

    @property
    def is_filled(self) -> bool:
        """Whether there was nothing before, and what the upgrade has put there has stayed: nothing was lost."""
        return self.before is None and values.same(self.upgraded, self.after)


def judged(journey: Journey) -> Iterator[Loss]:
    """Yield the losses of values, column by column."""
    for name, back in journey.returned.items():
        passage = journey.upgraded.get(name)
        if passage is None or back.rows == back.rows_after:
            continue
        for column in back.names:
            if not _is_unchanged(back, column) and not _follows_a_new_key(journey, back, column):
                yield from _Column(journey, passage, back, column).judged()
    for passage in journey.downgraded.values():
        yield from _touched(journey, passage)


def _is_unchanged(back: Passage, column: str) -> bool:
    """Tell whether all rows that were found again hold what they held; most columns do."""
    if back.rows_after is None:
        return True
    old, new = back.rows.columns.index(column), back.rows_after.columns.index(column)
    before, after = back.rows.rows, back.rows_after.rows
    return [before[one][old] for one, _ in back.pairing.pairs] == [after[two][new] for _, two in back.pairing.pairs]


class _Column:
    """A column that there was before the upgrade and is again after the downgrade."""

    def __init__(self, journey: Journey, passage: Passage, back: Passage, column: str) -> None:
        self._journey, self._passage, self._back, self._name = journey, passage, back, column
        self._now = passage.names.get(column)
        self._cells = list(self._read())

    def judged(self) -> Iterator[Loss]:
        """Yield what the column has lost, at most one loss."""
        changed = [cell for cell in self._cells if not values.same(cell.before, cell.after)]
        if self._has_type():  # what has come back in another type is for the structure to tell
            changed = [it for it in changed if values.loose(it.before) != values.loose(it.after)]
        if not changed:
            return
        if self._now is None:
            yield from self._dropped(changed)
        else:
            yield from self._kept(changed)

    def _read(self) -> Iterator[_Cell]:
        back, passage = self._back, self._passage
        if back.rows_after is None:
            return
        old, new = back.rows.columns.index(self._name), back.rows_after.columns.index(self._name)
        partners = dict(passage.pairing.pairs)
        after = passage.rows_after
        place_now = after.columns.index(self._now) if after is not None and self._now else -1
        for place, found in back.pairing.pairs:
            partner = partners.get(place)
            if self._now is not None and partner is None:
                continue  # the upgrade has lost the whole row
            upgraded = (
                after.rows[partner][place_now] if after is not None and partner is not None and self._now else None
            )
            yield _Cell(place, back.rows.rows[place][old], upgraded, back.rows_after.rows[found][new])

    def _dropped(self, changed: Sequence[_Cell]) -> Iterator[Loss]:
        """Yield a loss only where most of what lives on elsewhere does not come back: to drop is no loss by itself."""
        carriers = Carriers(self._passage, self._name)
        how = carriers.restorable() if carriers.exist else {}
        lost = [cell for cell in changed if cell.place in how]
        mapped = [cell for cell in lost if how[cell.place] == "map"]
        if not mapped and (len(lost) * 2 <= len(how) or self._is_inverted(carriers, lost)):
            return
        ways = {how[cell.place] for cell in lost}
        kind = Kind.MAPPING_NOT_INVERTED if ways == {"map"} else Kind.VALUES_LOST
        kind = Kind.SPLIT_NOT_JOINED if ways & {"part", "parts"} else kind
        own = classify.kind_of([(cell.before, cell.after) for cell in lost])
        kind = own if own in {Kind.SHIFTED, Kind.TRUNCATED} and ways == {"map"} else kind
        table = self._passage.now.name if self._passage.now else ""
        places = [f"{table}.{name}" for name in carriers.beside]
        places += [".".join(place) for place in carriers.elsewhere]
        yield self._loss(kind, Direction.DOWNGRADE, lost, f"the upgrade reads it into {' and '.join(sorted(places))}")

    def _kept(self, changed: Sequence[_Cell]) -> Iterator[Loss]:
        """Yield a loss where values do not come back, unless the new structure had no place for them."""
        place = self._passage.now.name if self._passage.now else "", self._now or ""
        said = self._passage.flows.updated(*place)
        left = [cell for cell in changed if not (self._is_forced(cell) or (said and cell.is_filled))]
        sources = self._sources()
        new = self._passage.restrictions
        if new is not None and self._now is not None:
            # One value for all that is refused says no more of them; several say which was which.
            refused = [it for it in self._cells if new.refuses(it.place, self._now)]
            one = len({values.loose(it.upgraded) for it in refused}) == 1
            left = [it for it in left if it not in refused or not (one or self._is_ambiguous(it, sources))]
        if not left:
            return
        sure = [it for it in left if not self._is_ambiguous(it, sources)]
        kind = classify.kind_of([(it.before, it.after) for it in sure or left])
        # What the downgrade makes of a value that the upgrade has left alone is its own doing.
        touched = [it for it in sure or left if values.loose(it.before) != values.loose(it.upgraded)]
        levelled = self._passage.flows.is_levelled(*place)
        if kind is Kind.VALUES_CHANGED and touched:
            kind = Kind.VALUES_LOST if levelled else Kind.MAPPING_NOT_INVERTED
        lasting = all(values.loose(it.upgraded) == values.loose(it.after) for it in left)
        by_upgrade = lasting and (not sure or kind in {Kind.TRUNCATED, Kind.REENCODED, Kind.VALUES_LOST})
        kind = self._reassembled(kind, sure)
        by_upgrade = by_upgrade and kind is not Kind.SPLIT_NOT_JOINED
        carriers = Carriers(self._passage, self._name)
        if touched and carriers.beside and self._is_inverted(carriers, left):
            return
        is_cut = kind is Kind.TRUNCATED or all(classify.is_normalised(it.before, it.after) for it in left)
        stated = bool(said) and (not sure or (by_upgrade and is_cut)) and not levelled
        direction = Direction.UPGRADE if by_upgrade and touched else Direction.DOWNGRADE
        yield self._loss(kind, direction, left, said if touched else "", is_stated=stated)

    def _is_forced(self, cell: _Cell) -> bool:
        new = self._passage.restrictions
        if new is None or self._now is None:
            return False
        if cell.before is None and new.requires(self._now):
            return True
        if classify.is_in_gap(cell.before, self._journey.zones):
            return True
        return new.crowds(cell.place, self._now)

    def _sources(self) -> dict[object, set[object]]:
        """Return the values that have become each value, seen together with what else was made of them."""
        beside = Carriers(self._passage, self._name).beside
        after = self._passage.rows_after
        found = defaultdict[object, set[object]](set)
        if after is None or self._now is None:
            return found
        self._ends = projected(after, (self._now, *beside))
        self._partners = dict(self._passage.pairing.pairs)
        at = self._passage.rows.columns.index(self._name)
        for old, new in self._partners.items():
            found[self._ends[new]].add(values.loose(self._passage.rows.rows[old][at]))
        return found

    def _is_ambiguous(self, cell: _Cell, sources: dict[object, set[object]]) -> bool:
        """Tell whether other values have become the same, so that nobody can tell them apart any more."""
        after = self._passage.rows_after
        if after is None or cell.place not in self._partners:
            return True
        return len(sources[self._ends[self._partners[cell.place]]]) > 1

    def _reassembled(self, kind: Kind, sure: Sequence[_Cell]) -> Kind:
        """Return SPLIT_NOT_JOINED where the value was cut and the rest of it stands in another column."""
        carriers = Carriers(self._passage, self._name)
        if kind is not Kind.TRUNCATED or not carriers.exist or self._now is None:
            return kind
        carriers.beside.append(self._now)
        how = carriers.restorable()
        joined = [it for it in sure if how.get(it.place) in {"whole", "part", "parts"}]
        return Kind.SPLIT_NOT_JOINED if len(joined) * 2 > len(sure) else kind

    def _is_inverted(self, carriers: Carriers, lost: Sequence[_Cell]) -> bool:
        """Tell whether the downgrade puts texts together again, but for some that do not have the form it expects.

        It does if it reads all the places they were taken apart into, and some are what they were.
        """
        writes = self._back.flows.into(self._back.table.name, self._name)
        reads = {name for write in writes for name in write.reads}
        if not carriers.exist or not reads.issuperset(name.lower() for name in carriers.beside):
            return False
        untouched = {cell.place for cell in self._cells if values.loose(cell.before) == values.loose(cell.upgraded)}
        restored = [it for it in self._cells if it.before == it.after and it.before and it.place not in untouched]
        return bool(restored) and all(isinstance(it.before, str) for it in lost)

    def _has_type(self) -> bool:
        old = {column.name: column.type for column in self._back.table.columns}
        new = {column.name: column.type for column in self._back.now.columns} if self._back.now else {}
        return old.get(self._name) != new.get(self._name)

    def _loss(
        self, kind: Kind, direction: Direction, lost: Sequence[_Cell], evidence: str, *, is_stated: bool = False
    ) -> Loss:
        table, of = name_of(self._passage.table), len(self._cells)
        return Loss(kind, direction, table, self._name, len(lost), of, evidence, is_stated=is_stated)


def _follows_a_new_key(journey: Journey, back: Passage, column: str) -> bool:
    """Tell whether a column holds keys that the upgrade has replaced: its own, or those of rows it refers to."""
    tables = [it.references.table for it in back.table.constraints if it.references and column in it.columns]
    tables += [back.table.name] if column in key_of(back.table) else []
    return any(
        passage.pairing.rekeyed or passage.now is None
        for passage in journey.upgraded.values()
        if passage.table.name in tables
    )


def _touched(journey: Journey, passage: Passage) -> Iterator[Loss]:
    """Yield values put in after the upgrade that the downgrade changes although no statement of it says so."""
    new_rows = fresh(journey, passage)
    if passage.now is None or passage.rows_after is None or not new_rows:
        return
    old = {column.name: column for column in passage.table.columns}
    new = {column.name: column for column in passage.now.columns}
    for before, after in passage.names.items():
        one, other = old[before], new[after]
        if (one.type, one.nullable) != (other.type, other.nullable) or passage.flows.into(passage.now.name, after):
            continue
        at, now = passage.rows.columns.index(before), passage.rows_after.columns.index(after)
        pairs = [
            (passage.rows.rows[place][at], passage.rows_after.rows[found][now])
            for place, found in passage.pairing.pairs
            if place in new_rows and place not in passage.pairing.rekeyed
        ]
        lost = [pair for pair in pairs if not values.same(*pair)]
        if lost:
            kind = classify.kind_of(lost)
            yield Loss(kind, Direction.DOWNGRADE, name_of(passage.now), after, len(lost), len(pairs))
