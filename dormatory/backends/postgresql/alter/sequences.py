"""Sequences that are no part of an identity: of their own, or owned by a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.postgresql.alter.columns import counter_step
from dormatory.backends.postgresql.alter.step import AlterStep, Phase, quoted, short_name
from dormatory.schema.snapshot import Sequence
from dormatory.sql.literals import quote_literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.postgresql.alter.pairs import SnapshotPair
    from dormatory.schema.snapshot import Snapshot, TableId


def sequence_steps(snapshots: SnapshotPair) -> Iterator[AlterStep]:
    """Yield the statements for all sequences; one that a dropped column owns goes with it."""
    old = {(it.namespace, it.name): it for it in snapshots.before.sequences}
    new = {(it.namespace, it.name): it for it in snapshots.after.sequences}
    owners = _owners(snapshots.before) | _owners(snapshots.after)
    for id_, new_id in _renames(snapshots):
        yield AlterStep(Phase.CREATE_SEQUENCES, f"ALTER SEQUENCE {short_name(id_)} RENAME TO {quoted(new_id[1])}")
        old[new_id] = old.pop(id_)
    for id_, sequence in old.items():
        if id_ in new and sequence.owner and sequence.owner != new[id_].owner:
            yield AlterStep(Phase.RELEASE_SEQUENCES, f"ALTER SEQUENCE {short_name(id_)} OWNED BY NONE")
        if id_ not in new and not _is_owner_dropped(snapshots, owners, sequence):
            yield AlterStep(Phase.DROP_SEQUENCES, f"DROP SEQUENCE {short_name(id_)}")
    for id_, sequence in new.items():
        before = old.get(id_)
        if before is None:
            words = "UNLOGGED SEQUENCE" if sequence.persistence == "unlogged" else "SEQUENCE"
            facts = " ".join(
                [f"CREATE {words} {short_name(id_)} AS {sequence.type}", *_changes(_usual(sequence), sequence)]
            )
            yield AlterStep(Phase.CREATE_SEQUENCES, facts)
        elif changes := " ".join(_changes(before, sequence)):
            yield AlterStep(Phase.CREATE_SEQUENCES, f"ALTER SEQUENCE {short_name(id_)} {changes}")
        if sequence.owner and (before is None or before.owner != sequence.owner):
            yield from _own(snapshots, owners, sequence)


def _renames(snapshots: SnapshotPair) -> Iterator[tuple[TableId, TableId]]:
    """Yield the old and the new name of each sequence that stays with its column, in its namespace."""
    sides = [{(it.namespace, it.name): it for it in side.sequences} for side in (snapshots.before, snapshots.after)]
    old, new = ({id_: it.owner for id_, it in side.items() if it.owner} for side in sides)
    for id_, owner in old.items():
        names = [it for it in new if new[it] == owner and it[0] == id_[0] and it not in sides[0]]
        if id_ not in sides[1] and len(names) == 1 and list(old.values()).count(owner) == 1:
            yield id_, names[0]


def _own(snapshots: SnapshotPair, owners: dict[str, tuple[TableId, str]], sequence: Sequence) -> Iterator[AlterStep]:
    """Yield what gives a sequence its column, and counts behind the values that the column has already."""
    name = short_name((sequence.namespace, sequence.name))
    table, column = owners[sequence.owner or ""]
    yield AlterStep(Phase.OWN_SEQUENCES, f"ALTER SEQUENCE {name} OWNED BY {short_name(table)}.{quoted(column)}")
    pair = snapshots.pairs.get(table)
    if pair and any(new.name == column for _, new in pair.columns):
        yield counter_step(quote_literal(name), short_name(table), column, frozenset([table]))


def _owners(snapshot: Snapshot) -> dict[str, tuple[TableId, str]]:
    """Return the table and the column of each owner, as sequences name it."""
    columns = ((table, column.name) for table in snapshot.tables for column in table.columns)
    return {f"{table.namespace}.{table.name}.{column}": (table.id, column) for table, column in columns}


def _is_owner_dropped(snapshots: SnapshotPair, owners: dict[str, tuple[TableId, str]], sequence: Sequence) -> bool:
    if sequence.owner is None or sequence.owner not in owners:
        return False
    table, column = owners[sequence.owner]
    pair = snapshots.pairs.get(table)
    is_kept = any(it.id == table for it in snapshots.after.tables)
    return not is_kept or (pair is not None and any(it.name == column for it in pair.removed))


def _usual(sequence: Sequence) -> Sequence:
    """Return a sequence with the facts that CREATE SEQUENCE gives one of this type and direction."""
    limit = {"smallint": 2**15 - 1, "integer": 2**31 - 1}.get(sequence.type, 2**63 - 1)
    low, high = (1, limit) if sequence.increment > 0 else (-limit - 1, -1)
    start = sequence.minimum if sequence.increment > 0 else sequence.maximum
    return Sequence(sequence.namespace, sequence.name, sequence.type, start=start, minimum=low, maximum=high)


def _changes(before: Sequence, after: Sequence) -> Iterator[str]:
    """Yield what differs between two sequences, as CREATE and ALTER SEQUENCE have it."""
    if before.type != after.type:
        yield f"AS {after.type}"
    for word, one, other in (
        ("INCREMENT BY", before.increment, after.increment),
        ("MINVALUE", before.minimum, after.minimum),
        ("MAXVALUE", before.maximum, after.maximum),
        ("START WITH", before.start, after.start),
        ("CACHE", before.cache, after.cache),
    ):
        if one != other:
            yield f"{word} {other}"
    if before.cycle != after.cycle:
        yield "CYCLE" if after.cycle else "NO CYCLE"
