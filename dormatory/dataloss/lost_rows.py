"""Which rows a round trip has deleted, and which it has made twice."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dormatory.dataloss import values
from dormatory.dataloss.matching import contents_of, key_of, loosened, projected
from dormatory.recording.model import Direction, Kind, Loss
from dormatory.schema.describe import name_of

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterator, Sequence

    from dormatory.dataloss.contents import TableContents
    from dormatory.dataloss.timeline import Id, Journey, Passage


def judged(journey: Journey) -> Iterator[Loss]:
    """Yield the losses of whole rows."""
    for name, passage in journey.upgraded.items():
        if passage.now is None:
            yield from _not_moved_back(journey, name, passage)
            continue
        yield from _gone_on_upgrade(journey, name, passage)
        yield from _multiplied(passage, Direction.UPGRADE)
        yield from _gone_on_downgrade(journey, name, passage)
    for passage in journey.downgraded.values():
        if passage.now is not None:
            gone = fresh(journey, passage) & set(passage.pairing.gone)
            yield from _without_cause(passage, gone, Direction.DOWNGRADE)
            yield from _multiplied(passage, Direction.DOWNGRADE)
    for name, passage in journey.repeated.items():
        if passage.now is not None:
            yield from _repeated(journey.upgraded.get(name), passage)
            yield from _multiplied(passage, Direction.SECOND_UPGRADE)


def _gone_on_upgrade(journey: Journey, name: Id, passage: Passage) -> Iterator[Loss]:
    """Yield the rows that the upgrade deletes and that the downgrade does not bring back."""
    gone = set(passage.pairing.gone)
    back = journey.returned.get(name)
    if back is not None:
        gone &= set(back.pairing.gone)
    moved = _moved(passage, gone) if back is not None else []
    if len(moved) * 2 > len(gone):
        evidence = f"the upgrade has moved them to {' and '.join(_targets(passage))}"
        yield Loss(
            Kind.ROWS_DELETED, Direction.DOWNGRADE, name_of(passage.table), "", len(gone), _of(passage), evidence
        )
    else:
        yield from _without_cause(passage, gone, Direction.UPGRADE)


def _gone_on_downgrade(journey: Journey, name: Id, passage: Passage) -> Iterator[Loss]:
    """Yield the rows that were there before the upgrade and after it, and that the downgrade deletes."""
    back = journey.returned.get(name)
    if back is None:
        return
    gone = set(back.pairing.gone) - set(passage.pairing.gone)
    if back.deleted:  # rows like those that the upgrade puts in cannot be told from them
        columns = _telling(passage)
        own = set(_held(passage.rows_after, columns.values(), passage.pairing.come))
        old = projected(passage.rows, tuple(columns))
        gone = {place for place in gone if old[place] not in own}
    if gone:
        evidence = back.deleted or _dropped(back)
        yield Loss(
            Kind.ROWS_DELETED, Direction.DOWNGRADE, name_of(passage.table), "", len(gone), _of(passage), evidence
        )


def _without_cause(passage: Passage, gone: Collection[int], direction: Direction) -> Iterator[Loss]:
    """Yield rows that are gone although the table, as it is now, has a place for them."""
    new = passage.restrictions
    left = [it for it in gone if new is None or not (new.refuses(it) or new.crowds(it))]
    if not left:
        return
    evidence, is_stated = _cause(passage, left, direction)
    table = name_of(passage.table)
    yield Loss(Kind.ROWS_DELETED, direction, table, "", len(left), _of(passage), evidence, is_stated=is_stated)


def _cause(passage: Passage, gone: Sequence[int], direction: Direction) -> tuple[str, bool]:
    """Return what has deleted rows, and whether it says so."""
    new = passage.restrictions
    if passage.deleted and new is not None and all(new.crowds(it, alike=True) for it in gone):
        return f"{passage.deleted} has kept none of those that were alike", False
    if passage.deleted:
        return passage.deleted, True
    # What refers to rows that the upgrade itself put in has to go with them; what refers to older ones need not.
    if followed := _followed(passage, gone):
        return followed, direction is not Direction.UPGRADE
    return _dropped(passage), False


def _followed(passage: Passage, gone: Collection[int]) -> str:
    """Return the statement that deletes the rows which all these rows referred to, "" if there is none."""
    said = ""
    left = set(gone)
    for constraint in passage.table.constraints:
        reference = constraint.references
        if reference is None or not (deleted := passage.flows.deleted(reference.table)):
            continue
        parents = next((it for it in passage.state.contents.tables if it.name == reference.table), None)
        if parents is None or not set(reference.columns) <= set(parents.columns):
            continue
        there = set(projected(parents, reference.columns))
        named = projected(passage.rows, constraint.columns)
        left = {it for it in left if named[it] in there}
        said = f"follows {deleted}"
    return said if not left else ""


def _dropped(passage: Passage) -> str:
    """Return the DROP TABLE, of this table or one that it refers to, that has taken the rows along."""
    parents = [it.references.table for it in passage.table.constraints if it.references]
    for parent in parents:
        if parent != passage.table.name and (said := passage.flows.dropped.get(parent.lower())):
            return f"{said} deletes what refers to {parent}"
    return passage.flows.dropped.get(passage.table.name.lower(), "")


def _multiplied(passage: Passage, direction: Direction) -> Iterator[Loss]:
    """Yield rows that came on a leg and are like those that there were, at least half as many as these."""
    columns = _telling(passage)
    if not columns or passage.rows_after is None or not passage.pairing.come:
        return
    there = set(projected(passage.rows, tuple(columns))) - {tuple(None for _ in columns)}
    come = _held(passage.rows_after, columns.values(), passage.pairing.come)
    count = sum(content in there for content in come)
    if count and count * 2 >= len(passage.rows.rows):
        yield Loss(Kind.ROWS_DUPLICATED, direction, name_of(passage.table), "", count, len(passage.rows_after.rows))


def _repeated(first: Passage | None, again: Passage) -> Iterator[Loss]:
    """Yield the rows that the upgrade puts in each time, while the downgrade leaves them."""
    if first is None or first.rows_after is None or again.rows_after is None:
        return
    key = key_of(again.table)
    columns = [it for it in again.rows.columns if it not in key and again.names.get(it) in first.rows_after.columns]
    put_in = {name: _column(first.rows_after, again.names[name], first.pairing.come) for name in columns}
    anew = {name: _column(again.rows_after, again.names[name], again.pairing.come) for name in columns}
    steady = [name for name in columns if put_in[name] and Counter(put_in[name]) <= Counter(anew[name])]
    if all(value is None for name in steady for value in put_in[name]):
        return
    own = set(zip(*(put_in[name] for name in steady), strict=True))
    left = own & set(projected(again.rows, tuple(steady)))
    count = sum(row in left for row in zip(*(anew[name] for name in steady), strict=True))
    if count:
        said = "the upgrade puts them in, the downgrade leaves them"
        yield Loss(
            Kind.ROWS_DUPLICATED,
            Direction.SECOND_UPGRADE,
            name_of(again.table),
            "",
            count,
            len(again.rows_after.rows),
            said,
        )


def _not_moved_back(journey: Journey, name: Id, passage: Passage) -> Iterator[Loss]:
    """Yield the rows of a table that the upgrade drops, if it has moved them before and they do not come back."""
    back = journey.returned.get(name)
    targets = _targets(passage)
    if back is None or not targets:
        return
    moved = _moved(passage, range(len(passage.rows.rows)))
    gone = set(moved) & set(back.pairing.gone)
    if len(gone) * 2 > len(moved):
        evidence = f"the upgrade has moved them to {' and '.join(targets)}"
        yield Loss(
            Kind.ROWS_DELETED, Direction.DOWNGRADE, name_of(passage.table), "", len(gone), _of(passage), evidence
        )


def _targets(passage: Passage) -> list[str]:
    """Return the tables that the leg fills from this one."""
    own = {passage.table.name.lower(), *([passage.now.name.lower()] if passage.now else [])}
    found = {write.table for write in passage.flows.writes if write.sources & own and write.verb == "INSERT"}
    return sorted(found - own)


def _moved(passage: Passage, places: Collection[int]) -> list[int]:
    """Return the rows all of whose values that were read for other tables are in these."""
    targets = _targets(passage)
    writes = [write for write in passage.flows.writes if write.table in targets]
    reads = frozenset().union(*(write.reads for write in writes)) if writes else frozenset()
    read = [at for at, column in enumerate(passage.rows.columns) if column.lower() in reads]
    there: set[Hashable] = set()
    for table in passage.state.contents.tables:
        if table.name.lower() in targets:
            there |= {values.loose(value) for row in table.rows for value in row}
    return [
        place
        for place in places
        if any(passage.rows.rows[place][at] is not None for at in read)
        and all(
            passage.rows.rows[place][at] is None or values.loose(passage.rows.rows[place][at]) in there for at in read
        )
    ]


def fresh(journey: Journey, passage: Passage) -> set[int]:
    """Return the rows that were put in after the upgrade."""
    before = contents_of(journey.trip.upgraded.contents, passage.table)
    if before is None or before == passage.rows:
        return set()
    there = set(projected(before, before.columns))
    kept = tuple(name for name in before.columns if name in passage.rows.columns)
    return {at for at, row in enumerate(projected(passage.rows, kept)) if row not in there}


def _telling(passage: Passage) -> dict[str, str]:
    """Return the columns, before and after, by which a row is like another but for its key."""
    key = key_of(passage.table)
    return {old: new for old, new in passage.names.items() if old not in key or len(key) == len(passage.rows.columns)}


def _held(table: TableContents | None, columns: Collection[str], places: Collection[int]) -> list[Hashable]:
    """Return what some rows of a table hold in some columns."""
    rows = projected(table, tuple(columns)) if table else ()
    return [rows[place] for place in places]


def _column(table: TableContents, name: str, places: Collection[int]) -> list[Hashable]:
    column = loosened(table, name)
    return [column[place] for place in places]


def _of(passage: Passage) -> int:
    return len(passage.rows.rows)
