"""Recordings made by hand, for tests and benchmarks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.recording.leg import Direction, Leg, Statement
from dormatory.recording.model import Recording, Step
from dormatory.schema.changes import ColumnAdded
from dormatory.schema.snapshot import Column, Constraint, Snapshot, Table

if TYPE_CHECKING:
    from dormatory.schema.changes import Change


def step(revision: str, before: Snapshot, after: Snapshot | None, *trace: Change) -> Step:
    """Return a step with one statement."""
    statement = Statement("ALTER TABLE room ADD x int", ("str",), "versions/1.py", 7, 0.25, -1)
    return Step(revision, (Leg(Direction.UPGRADE, 0.5, (statement,), trace),), before, after)


def table(name: str, *columns: str) -> Table:
    """Return a table of integers whose key is `id`."""
    definitions = tuple(Column(column, "INTEGER", nullable=False) for column in columns)
    return Table(None, name, columns=definitions, constraints=(Constraint("PRIMARY KEY", None, "(id)", ("id",)),))


def long_history(size: int) -> Recording:
    """Return a history that first makes tables, and then adds a column to one that refers to another."""
    tables = {f"t{number:05}": table(f"t{number:05}", "id", "name", "kind", "made") for number in range(size)}
    before, steps = Snapshot(tables=tuple(tables.values())), []
    for number in range(size):
        for name in (f"t{number:05}", f"t{(number * 7919) % size:05}"):
            column = Column(f"c{number}", "VARCHAR(40)")
            tables[name] = replace(tables[name], columns=(*tables[name].columns, column))
        after = Snapshot(tables=tuple(tables.values()))
        steps.append(step(str(number), before, after, ColumnAdded(name, column)))
        before = after
    return Recording("postgresql", "18", tuple(steps))
