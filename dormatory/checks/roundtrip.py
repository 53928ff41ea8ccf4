"""Checks that each revision can be taken back and applied again without a trace: pure, over a recording."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.registry import finding
from dormatory.recording.model import Direction, RouteKind
from dormatory.schema.changes import ColumnsReordered, ObjectAdded, PartAdded
from dormatory.schema.snapshot import Enum, Index, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dormatory.checks.finding import Finding
    from dormatory.project.history import History
    from dormatory.project.script import Revision
    from dormatory.recording.model import Failure, Recording, Route
    from dormatory.schema.changes import Change

_FAILURE_RULES = {
    Direction.UPGRADE: "upgrade-fails",
    Direction.DOWNGRADE: "downgrade-fails",
    Direction.SECOND_UPGRADE: "second-upgrade-fails",
}


def check_round_trip(recording: Recording, history: History) -> Iterator[Finding]:
    """Report each leg that failed or left something else than it should, and what revisions declare."""
    revision_by_id = history.by_id
    has_none = bool(revision_by_id) and not any(revision.downgrade_line for revision in revision_by_id.values())
    if has_none:
        yield _finding(next(iter(revision_by_id.values())), recording, "no-downgrades", *_NO_DOWNGRADES_WORDING)
    for step in recording.steps:
        revision = revision_by_id[step.revision]
        for leg in step.legs:
            if leg.failure and not (has_none and leg.failure.kind == _NO_DOWNGRADE_ERROR):
                found = _failure_finding(leg.failure, leg.direction, revision, recording)
                yield finding_on_extreme_rows(found) if step.is_extreme else found
            for change in leg.trace:
                yield _trace_finding(change, leg.direction, revision, recording)
        if step.refused:
            message = f"rows that are there may keep it from ending: {step.refused.why}"
            hint = "mend such rows in a revision before it; nothing waits for a validation meanwhile"
            yield _finding(revision, recording, "rows-refused", message, hint, where=step.refused.where)
        if revision.irreversible and len(step.legs) == len(Direction) and step.is_clean:
            message = f"it is declared irreversible ({revision.irreversible}), and can be taken back"
            yield _finding(revision, recording, "irreversible-is-not", message, "remove the declaration")
    for route in recording.routes:
        yield from _route_findings(route, revision_by_id, recording)
    if recording.unreached:
        stopped = [route.stopped for route in recording.routes if route.stopped]
        last = recording.steps[-1].revision if recording.steps else stopped[-1]
        message = f"not played, for the upgrade of {last} failed before: {', '.join(recording.unreached)}"
        yield _finding(
            revision_by_id[recording.unreached[0]], recording, "not-played", message, "mend that revision first"
        )


def finding_on_extreme_rows(found: Finding) -> Finding:
    """Return a finding that was made on extreme rows only: worth a thought, and said so."""
    severity = Severity.WARNING if found.severity is Severity.ERROR else found.severity
    message = f"{found.message}; on rows with extreme values only, plausible ones pass"
    return replace(found, severity=severity, message=message)


_NO_DOWNGRADE_ERROR = "MissingDowngradeError"  # the kind of failure
_ROUTE_RULES = {
    RouteKind.DOWN: (
        "way-down",
        "going all the way down on populated tables",
        "what one downgrade leaves, the next one meets: play inv db.round-trip on each",
    ),
    RouteKind.UP: (
        "one-run-differs",
        "alembic upgrade heads in one run",
        "a run remembers which types it created, and may share a transaction: say checkfirst, or split the revision",
    ),
    RouteKind.OTHER_ORDER: (
        "branch-order",
        "applying the branches in another order",
        "let the later one depend on the other: depends_on, or a new parent",
    ),
}
_MISSING_TABLE = re.compile(r"no such table|relation .* does not exist|NoSuchTableError")
_NO_DOWNGRADES_WORDING = (
    "no revision of this history has a downgrade, so none was taken back",
    "write downgrades, or set irreversible in each revision",
)


def _failure_finding(failure: Failure, direction: Direction, revision: Revision, recording: Recording) -> Finding:
    going_down = direction is Direction.DOWNGRADE
    if going_down and (failure.is_declared or revision.irreversible):
        reason = failure.why if failure.is_declared else revision.irreversible
        message = f"it declares that it has no way back: {reason or 'without a reason'}"
        return _finding(revision, recording, "irreversible", message, "a backup is the only way back")
    if failure.kind == _NO_DOWNGRADE_ERROR:
        return _finding(revision, recording, "no-downgrade", "it has no downgrade function", failure.fix)
    if direction is Direction.UPGRADE and not revision.parents and _MISSING_TABLE.search(failure.why):
        message = f"no path from empty: {failure.why}"
        hint = "name what makes the tables it starts from: baseline in [dormatory] of the ini file"
        return _finding(revision, recording, "no-path-from-empty", message, hint, where=failure.where)
    message = f"the {direction.value} failed: {failure.why}"
    return _finding(revision, recording, _FAILURE_RULES[direction], message, failure.fix, where=failure.where)


def _route_findings(route: Route, revision_by_id: Mapping[str, Revision], recording: Recording) -> Iterator[Finding]:
    """Report a way through many revisions that did not end where the round trips say."""
    rule, description, hint = _ROUTE_RULES[route.kind]
    order = f" ({', '.join(route.revisions)})" if route.kind is RouteKind.OTHER_ORDER else ""
    revision = revision_by_id[route.stopped or route.revisions[-1]]
    if route.failure:
        message = f"{description}{order} fails at {revision.id}: {route.failure.why}"
        yield _finding(revision, recording, rule, message, hint, where=route.failure.where)
    for change in route.trace:
        if not isinstance(change, ColumnsReordered):
            message = f"{description}{order} ends elsewhere than step by step: {change}"
            yield _finding(revision, recording, rule, message, hint, object_=change.object)


def _trace_finding(change: Change, direction: Direction, revision: Revision, recording: Recording) -> Finding:
    if isinstance(change, ColumnsReordered):
        rule = "column-order"
        message = f"{change} after the {direction.value}"
        hint = "harmless unless something relies on positions"
    else:
        rule = "trace" if direction is Direction.DOWNGRADE else "second-upgrade-differs"
        message = f"the {direction.value} leaves a trace: {change}"
        hint = _trace_fix(change)
    return _finding(revision, recording, rule, message, hint, object_=change.object)


def _trace_fix(change: Change) -> str:
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
    if revision.path.as_posix().endswith(f"/{file}"):
        file = ""  # said as the project's root sees it
    return finding(
        rule,
        message,
        hint,
        backend=recording.backend,
        object=object_,
        revision=revision.id,
        file=file or str(revision.path),
        line=int(line) if line.isdecimal() else revision.downgrade_line or 1,
    )
