"""Which rows a round trip has deleted, and which it has made twice."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dormatory.dataloss import values
from dormatory.dataloss.matching import canonical_column, complete_contents, key_columns, projection
from dormatory.recording.model import Direction, Loss, LossKind
from dormatory.schema.describe import object_name

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterator, Sequence

    from dormatory.dataloss.contents import TableContents
    from dormatory.dataloss.timeline import TableTransition, Timeline
    from dormatory.schema.snapshot import TableId


def detect_lost_rows(timeline: Timeline) -> Iterator[Loss]:
    """Yield the losses of whole rows."""
    for name, transition in timeline.upgrade_transitions.items():
        if transition.table_after is None:
            yield from _rows_not_moved_back(timeline, name, transition)
            continue
        yield from _lost_on_upgrade(timeline, name, transition)
        yield from _duplicated_rows(transition, Direction.UPGRADE)
        yield from _lost_on_downgrade(timeline, name, transition)
    for transition in timeline.downgrade_transitions.values():
        if transition.table_after is not None:
            lost = filled_rows(timeline, transition) & set(transition.matching.lost)
            yield from _avoidable_losses(transition, lost, Direction.DOWNGRADE)
            yield from _duplicated_rows(transition, Direction.DOWNGRADE)
    for name, transition in timeline.second_upgrade_transitions.items():
        if transition.table_after is not None:
            yield from _reinserted_rows(timeline.upgrade_transitions.get(name), transition)
            yield from _duplicated_rows(transition, Direction.SECOND_UPGRADE)


def _lost_on_upgrade(timeline: Timeline, name: TableId, transition: TableTransition) -> Iterator[Loss]:
    """Yield the rows that the upgrade deletes and that the downgrade does not bring back."""
    lost = set(transition.matching.lost)
    overall = timeline.overall_transitions.get(name)
    if overall is not None:
        lost &= set(overall.matching.lost)
    moved = _moved_rows(transition, lost) if overall is not None else []
    if len(moved) * 2 > len(lost):
        evidence = f"the upgrade has moved them to {' and '.join(_target_tables(transition))}"
        yield Loss(
            LossKind.ROWS_DELETED,
            Direction.DOWNGRADE,
            object_name(transition.table),
            "",
            len(lost),
            _row_count(transition),
            evidence,
        )
    else:
        yield from _avoidable_losses(transition, lost, Direction.UPGRADE)


def _lost_on_downgrade(timeline: Timeline, name: TableId, transition: TableTransition) -> Iterator[Loss]:
    """Yield the rows that were there before the upgrade and after it, and that the downgrade deletes."""
    overall = timeline.overall_transitions.get(name)
    if overall is None:
        return
    lost = set(overall.matching.lost) - set(transition.matching.lost)
    if overall.delete_statement:  # rows like those that the upgrade puts in cannot be told from them
        columns = _identifying_columns(transition)
        added_values = set(_projected_rows(transition.rows_after, columns.values(), transition.matching.added))
        old = projection(transition.rows, tuple(columns))
        lost = {place for place in lost if old[place] not in added_values}
    if lost:
        evidence = overall.delete_statement or _drop_statement(overall)
        yield Loss(
            LossKind.ROWS_DELETED,
            Direction.DOWNGRADE,
            object_name(transition.table),
            "",
            len(lost),
            _row_count(transition),
            evidence,
        )


def _avoidable_losses(transition: TableTransition, lost: Collection[int], direction: Direction) -> Iterator[Loss]:
    """Yield rows that are gone although the table, as it is now, has a place for them."""
    constraints = transition.new_constraints
    avoidable = [
        it for it in lost if constraints is None or not (constraints.is_violated_by(it) or constraints.is_duplicate(it))
    ]
    if not avoidable:
        return
    evidence, is_stated = _cause(transition, avoidable, direction)
    table = object_name(transition.table)
    yield Loss(
        LossKind.ROWS_DELETED,
        direction,
        table,
        "",
        len(avoidable),
        _row_count(transition),
        evidence,
        is_stated=is_stated,
    )


def _cause(transition: TableTransition, lost: Sequence[int], direction: Direction) -> tuple[str, bool]:
    """Return what has deleted rows, and whether it says so."""
    constraints = transition.new_constraints
    if (
        transition.delete_statement
        and constraints is not None
        and all(constraints.is_duplicate(it, even_if_none_kept=True) for it in lost)
    ):
        return f"{transition.delete_statement} has kept none of those that were alike", False
    if transition.delete_statement:
        return transition.delete_statement, True
    # What refers to rows that the upgrade itself put in has to go with them; what refers to older ones need not.
    if parent_deletion := _parent_deletion(transition, lost):
        return parent_deletion, direction is not Direction.UPGRADE
    return _drop_statement(transition), False


def _parent_deletion(transition: TableTransition, lost: Collection[int]) -> str:
    """Return the statement that deletes the rows which all these rows referred to, "" if there is none."""
    evidence = ""
    left = set(lost)
    for constraint in transition.table.constraints:
        reference = constraint.references
        if reference is None or not (deleted := transition.dataflow.delete_statement(reference.table)):
            continue
        parents = next((it for it in transition.state_after.contents.tables if it.name == reference.table), None)
        if parents is None or not set(reference.columns) <= set(parents.columns):
            continue
        parent_keys = set(projection(parents, reference.columns))
        foreign_keys = projection(transition.rows, constraint.columns)
        left = {it for it in left if foreign_keys[it] in parent_keys}
        evidence = f"follows {deleted}"
    return evidence if not left else ""


def _drop_statement(transition: TableTransition) -> str:
    """Return the DROP TABLE, of this table or one that it refers to, that has taken the rows along."""
    parents = [it.references.table for it in transition.table.constraints if it.references]
    for parent in parents:
        if parent != transition.table.name and (said := transition.dataflow.drops.get(parent.lower())):
            return f"{said} deletes what refers to {parent}"
    return transition.dataflow.drops.get(transition.table.name.lower(), "")


def _duplicated_rows(transition: TableTransition, direction: Direction) -> Iterator[Loss]:
    """Yield rows that came on a leg and are like those that there were, at least half as many as these."""
    columns = _identifying_columns(transition)
    if not columns or transition.rows_after is None or not transition.matching.added:
        return
    originals = set(projection(transition.rows, tuple(columns))) - {tuple(None for _ in columns)}
    added = _projected_rows(transition.rows_after, columns.values(), transition.matching.added)
    count = sum(content in originals for content in added)
    if count and count * 2 >= len(transition.rows.rows):
        yield Loss(
            LossKind.ROWS_DUPLICATED,
            direction,
            object_name(transition.table),
            "",
            count,
            len(transition.rows_after.rows),
        )


def _reinserted_rows(first: TableTransition | None, again: TableTransition) -> Iterator[Loss]:
    """Yield the rows that the upgrade puts in each time, while the downgrade leaves them."""
    if first is None or first.rows_after is None or again.rows_after is None:
        return
    key = key_columns(again.table)
    columns = [
        it for it in again.rows.columns if it not in key and again.column_names.get(it) in first.rows_after.columns
    ]
    put_in = {
        name: _column_values(first.rows_after, again.column_names[name], first.matching.added) for name in columns
    }
    put_in_again = {
        name: _column_values(again.rows_after, again.column_names[name], again.matching.added) for name in columns
    }
    stable = [name for name in columns if put_in[name] and Counter(put_in[name]) <= Counter(put_in_again[name])]
    if all(value is None for name in stable for value in put_in[name]):
        return
    own = set(zip(*(put_in[name] for name in stable), strict=True))
    left = own & set(projection(again.rows, tuple(stable)))
    count = sum(row in left for row in zip(*(put_in_again[name] for name in stable), strict=True))
    if count:
        evidence = "the upgrade puts them in, the downgrade leaves them"
        yield Loss(
            LossKind.ROWS_DUPLICATED,
            Direction.SECOND_UPGRADE,
            object_name(again.table),
            "",
            count,
            len(again.rows_after.rows),
            evidence,
        )


def _rows_not_moved_back(timeline: Timeline, name: TableId, transition: TableTransition) -> Iterator[Loss]:
    """Yield the rows of a table that the upgrade drops, if it has moved them before and they do not come back."""
    overall = timeline.overall_transitions.get(name)
    targets = _target_tables(transition)
    if overall is None or not targets:
        return
    moved = _moved_rows(transition, range(len(transition.rows.rows)))
    lost = set(moved) & set(overall.matching.lost)
    if len(lost) * 2 > len(moved):
        evidence = f"the upgrade has moved them to {' and '.join(targets)}"
        yield Loss(
            LossKind.ROWS_DELETED,
            Direction.DOWNGRADE,
            object_name(transition.table),
            "",
            len(lost),
            _row_count(transition),
            evidence,
        )


def _target_tables(transition: TableTransition) -> list[str]:
    """Return the tables that the leg fills from this one."""
    own = {transition.table.name.lower(), *([transition.table_after.name.lower()] if transition.table_after else [])}
    found = {write.table for write in transition.dataflow.writes if write.sources & own and write.verb == "INSERT"}
    return sorted(found - own)


def _moved_rows(transition: TableTransition, places: Collection[int]) -> list[int]:
    """Return the rows all of whose values that were read for other tables are in these."""
    targets = _target_tables(transition)
    writes = [write for write in transition.dataflow.writes if write.table in targets]
    reads = frozenset().union(*(write.reads for write in writes)) if writes else frozenset()
    read_columns = [at for at, column in enumerate(transition.rows.columns) if column.lower() in reads]
    target_values: set[Hashable] = set()
    for table in transition.state_after.contents.tables:
        if table.name.lower() in targets:
            target_values |= {values.canonical_form(value) for row in table.rows for value in row}
    return [
        place
        for place in places
        if any(transition.rows.rows[place][at] is not None for at in read_columns)
        and all(
            transition.rows.rows[place][at] is None
            or values.canonical_form(transition.rows.rows[place][at]) in target_values
            for at in read_columns
        )
    ]


def filled_rows(timeline: Timeline, transition: TableTransition) -> set[int]:
    """Return the rows that were put in after the upgrade."""
    before = complete_contents(timeline.round_trip.upgraded.contents, transition.table)
    if before is None or before == transition.rows:
        return set()
    known = set(projection(before, before.columns))
    columns = tuple(name for name in before.columns if name in transition.rows.columns)
    return {at for at, row in enumerate(projection(transition.rows, columns)) if row not in known}


def _identifying_columns(transition: TableTransition) -> dict[str, str]:
    """Return the columns, before and after, by which a row is like another but for its key."""
    key = key_columns(transition.table)
    return {
        old: new
        for old, new in transition.column_names.items()
        if old not in key or len(key) == len(transition.rows.columns)
    }


def _projected_rows(
    table: TableContents | None, columns: Collection[str], row_indexes: Collection[int]
) -> list[Hashable]:
    """Return what some rows of a table hold in some columns."""
    rows = projection(table, tuple(columns)) if table else ()
    return [rows[place] for place in row_indexes]


def _column_values(table: TableContents, name: str, row_indexes: Collection[int]) -> list[Hashable]:
    column = canonical_column(table, name)
    return [column[place] for place in row_indexes]


def _row_count(transition: TableTransition) -> int:
    return len(transition.rows.rows)
