"""Indexes of tables and materialised views, made and dropped while others write."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.alter.pairs import is_of_type
from dormatory.backends.postgresql.alter.parts import part_change
from dormatory.backends.postgresql.alter.step import AlterStep, Phase, mentions, part_target, quoted, short_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.postgresql.alter.pairs import SnapshotPair, TablePair
    from dormatory.schema.snapshot import Index, Table, TableId, View


def index_steps(snapshots: SnapshotPair) -> Iterator[AlterStep]:
    """Yield the statements for the indexes of all tables."""
    for table in snapshots.added_tables:
        for index in table.indexes:
            yield from create_index(table, index)
    for pair in snapshots.pairs.values():
        yield from _pair_steps(snapshots, pair)


def create_index(
    owner: Table | View, index: Index, phase: Phase = Phase.CREATE_INDEXES, *, has_rows: bool = False
) -> Iterator[AlterStep]:
    """Yield the statements that make an index with its settings; `has_rows`: of a table that existed before."""
    is_online = has_rows and owner.kind != "partitioned table"
    tables = frozenset([_id(owner)]) if has_rows else frozenset()
    head = f"CREATE {'UNIQUE ' * index.unique}INDEX {'CONCURRENTLY ' * is_online}{quoted(index.name)}"
    sql = f"{head} ON {short_name(_id(owner))} {index.definition.removeprefix('UNIQUE ')}"
    yield AlterStep(phase, sql, tables, is_online=is_online, makes=(part_target(_id(owner), index),))
    yield from _settings(owner, index, phase, tables)


def _pair_steps(snapshots: SnapshotPair, pair: TablePair) -> Iterator[AlterStep]:
    exchanged = {it.name for it in pair.after.columns if is_of_type(it, snapshots.exchanged_names)}
    change = part_change(
        pair.before.indexes,
        pair.after.indexes,
        lambda it: (
            mentions(it.definition, pair.remade_names) or ("::" in it.definition and mentions(it.definition, exchanged))
        ),
        lambda old, new: replace(old, options=new.options, comment=new.comment) == new,
    )
    own, is_partitioned = frozenset([pair.after.id]), pair.after.kind == "partitioned table"
    for index in change.dropped:
        if not {quoted(it.name) for it in pair.removed}.intersection(index.keys):  # the others go with their column
            sql = f"DROP INDEX {'' if is_partitioned else 'CONCURRENTLY '}{_name(pair.before, index)}"
            yield AlterStep(Phase.DROP_INDEXES, sql, own, is_online=not is_partitioned)
    for index in change.made:
        yield from create_index(pair.after, index, has_rows=True)
    for _, index in change.altered:
        yield from _settings(pair.after, index, Phase.SET_TABLES, own)
    for old, new in change.renamed:
        yield AlterStep(Phase.RENAME_PARTS, f"ALTER INDEX {_name(pair.before, old)} RENAME TO {quoted(new.name)}", own)


def _settings(owner: Table | View, index: Index, phase: Phase, tables: frozenset[TableId]) -> Iterator[AlterStep]:
    for option in index.options:
        action = "CLUSTER ON" if option == "CLUSTER" else "REPLICA IDENTITY USING INDEX"
        yield AlterStep(phase, f"ALTER TABLE {short_name(_id(owner))} {action} {quoted(index.name)}", tables)


def _name(owner: Table | View, index: Index) -> str:
    return short_name((owner.namespace, index.name))


def _id(owner: Table | View) -> TableId:
    return owner.namespace, owner.name
