"""Checks that each revision can be taken back and applied again without a trace: pure, over a recording."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dormatory.checks.findings import Finding, Severity
from dormatory.errors import NoDowngradeError
from dormatory.migrations.recording import Direction
from dormatory.schema.changes import ColumnsReordered, ObjectAdded, PartAdded
from dormatory.schema.snapshot import Enum, Index, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.migrations.history import History, Revision
    from dormatory.migrations.recording import Leg, Recording
    from dormatory.schema.changes import Change

_SEVERITIES = {
    "no-downgrades": Severity.WARNING,
    "irreversible-is-not": Severity.WARNING,
    "irreversible": Severity.NOTE,
    "not-played": Severity.NOTE,
    "column-order": Severity.NOTE,
}
_FAILS = {
    Direction.UPGRADE: "upgrade-fails",
    Direction.DOWNGRADE: "downgrade-fails",
    Direction.SECOND_UPGRADE: "second-upgrade-fails",
}


def round_trip(recording: Recording, history: History) -> Iterator[Finding]:
    """Report each leg that failed or left something else than it should, and what revisions declare."""
    known = {revision.id: revision for revision in history.revisions}
    has_none = bool(known) and not any(revision.downgrade_line for revision in known.values())
    if has_none:
        yield _finding(next(iter(known.values())), recording, "no-downgrades", *_NO_DOWNGRADES)
    for step in recording.steps:
        revision = known[step.revision]
        for leg in step.legs:
            if not (has_none and isinstance(leg.error, NoDowngradeError)):
                yield from _failure(leg, revision, recording)
            for change in leg.trace:
                yield _trace(change, leg, revision, recording)
        if revision.irreversible and len(step.legs) == len(Direction) and all(leg.is_clean for leg in step.legs):
            message = f"it is declared irreversible ({revision.irreversible}), and can be taken back"
            yield _finding(revision, recording, "irreversible-is-not", message, "remove the declaration")
    if recording.unreached:
        names = ", ".join(recording.unreached)
        message = f"not played, for the upgrade of {recording.steps[-1].revision} failed before: {names}"
        yield _finding(known[recording.unreached[0]], recording, "not-played", message, "mend that revision first")


_MISSING = re.compile(r"no such table|relation .* does not exist|NoSuchTableError")
_NO_DOWNGRADES = (
    "no revision of this history has a downgrade, so none was taken back",
    "write downgrades, or set irreversible in each revision",
)


def _failure(leg: Leg, revision: Revision, recording: Recording) -> Iterator[Finding]:
    error = leg.error
    if error is None:
        return
    going_down = leg.direction is Direction.DOWNGRADE
    if going_down and isinstance(error.__cause__, NotImplementedError):
        message = f"it declares that it has no way back: {error.__cause__ or 'without a reason'}"
        yield _finding(revision, recording, "irreversible", message, "a backup is the only way back")
    elif going_down and revision.irreversible:
        message = f"it declares that it has no way back: {revision.irreversible}"
        yield _finding(revision, recording, "irreversible", message, "a backup is the only way back")
    elif isinstance(error, NoDowngradeError):
        yield _finding(revision, recording, "no-downgrade", "it has no downgrade function", error.fix)
    elif leg.direction is Direction.UPGRADE and not revision.parents and _MISSING.search(error.why):
        message = f"no path from empty: {error.why}"
        hint = "name what makes the tables it starts from: baseline in [dormatory] of the ini file"
        yield _finding(revision, recording, "no-path-from-empty", message, hint, where=getattr(error, "where", ""))
    else:
        rule = _FAILS[leg.direction]
        message = f"the {leg.direction.value} failed: {error.why}"
        yield _finding(revision, recording, rule, message, error.fix, where=getattr(error, "where", ""))


def _trace(change: Change, leg: Leg, revision: Revision, recording: Recording) -> Finding:
    if isinstance(change, ColumnsReordered):
        rule = "column-order"
        message = f"{change} after the {leg.direction.value}"
        hint = "harmless unless something relies on positions"
    else:
        rule = "trace" if leg.direction is Direction.DOWNGRADE else "second-upgrade-differs"
        message = f"the {leg.direction.value} leaves a trace: {change}"
        hint = _remedy(change)
    return _finding(revision, recording, rule, message, hint, object_=change.object)


def _remedy(change: Change) -> str:
    """Return what the downgrade lacks, as the line to write where that is one line."""
    match change:
        case ObjectAdded(value=Enum(name=name)):
            return f'Alembic never drops a type: sa.Enum(name="{name}").drop(op.get_bind(), checkfirst=False)'
        case ObjectAdded(value=Table(name=name)):
            return f'op.drop_table("{name}")'
        case PartAdded(within=table, part=Index(name=name)):
            return f'op.drop_index("{name}", table_name="{table}")'
    return "make the downgrade undo exactly what the upgrade did"


def _finding(
    revision: Revision,
    recording: Recording,
    rule: str,
    message: str,
    hint: str,
    *,
    where: str = "",
    object_: str = "",
) -> Finding:
    file, _, line = where.rpartition(":")
    return Finding(
        rule=rule,
        severity=_SEVERITIES.get(rule, Severity.ERROR),
        message=message,
        hint=hint,
        backend=recording.backend,
        object=object_,
        revision=revision.id,
        file=file or str(revision.path),
        line=int(line) if line.isdecimal() else revision.downgrade_line or 1,
    )
