"""The statements that turn one structure into another, in an order that works."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.alter.annotations import annotation_steps
from dormatory.backends.postgresql.alter.attached import attached_steps
from dormatory.backends.postgresql.alter.constraints import constraint_steps
from dormatory.backends.postgresql.alter.indexes import index_steps
from dormatory.backends.postgresql.alter.pairs import SnapshotPair
from dormatory.backends.postgresql.alter.sequences import sequence_steps
from dormatory.backends.postgresql.alter.step import AlterStep, Phase, short_name
from dormatory.backends.postgresql.alter.tables import table_steps
from dormatory.backends.postgresql.alter.types import type_steps
from dormatory.backends.postgresql.alter.views import view_steps
from dormatory.schema.alteration import AlterStatement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection

    from dormatory.schema.alteration import Conversions
    from dormatory.schema.snapshot import Snapshot, Table, TableId

_NO_CONVERSIONS: Conversions = MappingProxyType({})


def alter_statements(
    before: Snapshot, after: Snapshot, conversions: Conversions = _NO_CONVERSIONS
) -> tuple[AlterStatement, ...]:
    """Return statements that give a database with the structure `before` the structure `after` (see parts.Alter)."""
    snapshots = SnapshotPair(before, after)
    steps = [
        *_namespace_steps(snapshots),
        *type_steps(snapshots),
        *sequence_steps(snapshots),
        *table_steps(snapshots, conversions),
        *constraint_steps(snapshots),
        *index_steps(snapshots),
        *attached_steps(snapshots),
        *view_steps(snapshots),
    ]
    made = {target for step in steps for target in step.makes}
    steps += annotation_steps(before, after, made)
    steps.sort(key=lambda step: step.phase)
    return tuple(AlterStatement(step.sql, step.is_online) for step in _without_held_locks(steps))


def occupy_tables(connection: Connection, tables: Iterable[Table]) -> None:
    """Do nothing: PostgreSQL takes the same statements with rows and without, apart from what the rows violate."""


def _namespace_steps(snapshots: SnapshotPair) -> Iterator[AlterStep]:
    old, new = ({it.name for it in side.namespaces} for side in (snapshots.before, snapshots.after))
    for name in sorted(new - old):
        yield AlterStep(Phase.CREATE_NAMESPACES, f"CREATE SCHEMA {short_name((None, name))}")
    for name in sorted(old - new):
        yield AlterStep(Phase.DROP_NAMESPACES, f"DROP SCHEMA {short_name((None, name))}")


def _without_held_locks(steps: Iterable[AlterStep]) -> list[AlterStep]:
    """Return the steps so that no transaction waits for one table while it keeps others from a second one.

    Where several tables are altered, each statement on one of them is a transaction of its own.
    """
    every = list(steps)
    locked: set[TableId] = {table for step in every for table in step.tables}
    if len(locked) <= 1:
        return every
    return [replace(step, is_online=step.is_online or bool(step.tables)) for step in every]
