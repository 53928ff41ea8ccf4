"""Checks what a downgrade leaves behind, and what a second upgrade makes different: one finding for each leg."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.drift import COLUMN_ORDER
from dormatory.checks.finding import Severity
from dormatory.checks.locks.recipes import index_statement
from dormatory.checks.revision_finding import revision_finding
from dormatory.checks.rule import Rule
from dormatory.recording.leg import Direction
from dormatory.schema.changes import (
    ColumnAdded,
    ColumnRemoved,
    ColumnsReordered,
    ObjectAdded,
    ObjectRemoved,
    PartAdded,
    PartRemoved,
)
from dormatory.schema.diff import diff
from dormatory.schema.snapshot import Enum, Extension, Index, Sequence, Table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from dormatory.checks.finding import Finding
    from dormatory.project.script import Revision
    from dormatory.recording.leg import Leg
    from dormatory.recording.model import Step
    from dormatory.schema.changes import Change

TRACE = Rule(
    "trace",
    "roundtrip",
    Severity.ERROR,
    meaning="a downgrade leaves something behind, or takes too much",
    why="The schema after it is not the one before the upgrade.",
    recipe="# the downgrade undoes what the upgrade did, in the opposite order",
)

SECOND_UPGRADE_DIFFERS = Rule(
    "second-upgrade-differs",
    "roundtrip",
    Severity.ERROR,
    meaning="a second upgrade gives another schema than the first",
    why="Two databases at the same revision are not the same.",
    recipe="# the downgrade undoes what the upgrade did, in the opposite order",
)

_MAX_LISTED = 10
_MAX_FIXES = 3


def trace_findings(step: Step, leg: Leg, revision: Revision, backend: str) -> Iterator[Finding]:
    """Yield a finding for all that a leg left, and one for each table whose columns only changed their order."""
    for change in (it for it in leg.trace if isinstance(it, ColumnsReordered)):
        message, hint = f"{change} after the {leg.direction.value}", "harmless unless something relies on positions"
        yield revision_finding(COLUMN_ORDER, revision, backend, message, hint, object_name=change.object)
    changes = [it for it in leg.trace if not isinstance(it, ColumnsReordered)]
    if shared := [it for it in changes if leg.direction is Direction.DOWNGRADE and _is_shared_extension(it, step)]:
        changes = [it for it in changes if it not in shared]
        message = f"the downgrade drops what was there before the upgrade: {_change_list(shared)}"
        hint = "the upgrade creates it again; leave the extension where other programs use it"
        yield revision_finding(TRACE, revision, backend, message, hint, severity=Severity.NOTE)
    if causes := [it for it in changes if not _is_consequence(it, changes)] or changes:
        rule = TRACE if leg.direction is Direction.DOWNGRADE else SECOND_UPGRADE_DIFFERS
        message = f"{_verdict(step, leg)}: {_change_list(causes)}{_second_upgrade_failure(step, leg)}"
        name = causes[0].object if len(causes) == 1 else ""
        yield revision_finding(rule, revision, backend, message, _fixes(causes), object_name=name)


def _is_shared_extension(change: Change, step: Step) -> bool:
    """Return whether an extension that the downgrade dropped is there again after a clean second upgrade.

    A revision that says CREATE EXTENSION IF NOT EXISTS cannot know whether it was there before.
    """
    is_restored = any(it.direction is Direction.SECOND_UPGRADE and it.is_clean for it in step.legs)
    return is_restored and isinstance(change, ObjectRemoved) and isinstance(change.value, Extension)


def is_explained_by_trace(step: Step, leg: Leg) -> bool:
    """Return whether a second upgrade failed on what the downgrade had left, whose finding says so."""
    downgrade = next((it for it in step.legs if it.direction is Direction.DOWNGRADE), None)
    is_left = downgrade is not None and any(not isinstance(it, ColumnsReordered) for it in downgrade.trace)
    return leg.direction is Direction.SECOND_UPGRADE and is_left


def _is_consequence(change: Change, others: Collection[Change]) -> bool:
    """Return whether a change follows from another one: the sequence of a column comes, goes and is renamed with it."""
    match change:
        case ObjectAdded(value=Sequence(owner=str(owner))) | ObjectRemoved(value=Sequence(owner=str(owner))):
            tables = {_table_id(it) for it in others}
            columns = {_column_id(it) for it in others}
            return owner.rpartition(".")[0] in tables or owner in columns or _is_renamed(owner, others)
    return False


def _table_id(change: Change) -> str:
    """Return the table that came or went, as an owner is written; "" for any other change."""
    match change:
        case ObjectAdded(value=Table() as table) | ObjectRemoved(value=Table() as table):
            return f"{table.namespace}.{table.name}"
    return ""


def _column_id(change: Change) -> str:
    """Return the column that came or went, as an owner is written; "" for any other change."""
    match change:
        case ColumnAdded(within=table, column=column) | ColumnRemoved(within=table, column=column):
            return f"{table if '.' in table else f'public.{table}'}.{column.name}"
    return ""


def _is_renamed(owner: str, others: Collection[Change]) -> bool:
    """Return whether a column lost a sequence and got another one, among other changes."""
    kinds = {type(it) for it in others if getattr(getattr(it, "value", None), "owner", None) == owner}
    return kinds == {ObjectAdded, ObjectRemoved} and len(others) > len(kinds)


def _verdict(step: Step, leg: Leg) -> str:
    if leg.direction is Direction.DOWNGRADE and step.after is not None and leg.trace == diff(step.before, step.after):
        return "the downgrade undoes nothing"
    return f"the {leg.direction.value} leaves a trace"


def _change_list(changes: Collection[Change]) -> str:
    first = [str(change) for change in changes][:_MAX_LISTED]
    more = len(changes) - len(first)
    return "; ".join(first) + (f"; and {more} more" if more else "")


def _second_upgrade_failure(step: Step, leg: Leg) -> str:
    failed = [it.failure for it in step.legs if it.failure and it.direction is Direction.SECOND_UPGRADE]
    return (
        f"; the second upgrade then fails: {failed[0].why}" if failed and leg.direction is Direction.DOWNGRADE else ""
    )


def _fixes(changes: Collection[Change]) -> str:
    """Return what the downgrade lacks, as the lines to write where each is one line."""
    fixes = [fix for change in changes if (fix := _fix(change))]
    is_short = len(fixes) == len(changes) <= _MAX_FIXES
    return "; ".join(fixes) if is_short else "make the downgrade undo exactly what the upgrade did"


def _fix(change: Change) -> str:
    match change:
        case ObjectAdded(value=Enum(name=name)):
            return f'Alembic never drops a type: sa.Enum(name="{name}").drop(op.get_bind(), checkfirst=False)'
        case ObjectAdded(value=Table(name=name)):
            return f'op.drop_table("{name}")'
        case PartAdded(within=table, part=Index(name=name)):
            return f'op.drop_index("{name}", table_name="{table}")'
        case PartRemoved(within=table, part=Index() as index):  # on SQLite, a rebuild of the table loses it
            return f"op.execute({index_statement(index, table)!r})"
        case ColumnAdded(within=table, column=column):
            return f'op.drop_column("{table}", "{column.name}")'
    return ""
