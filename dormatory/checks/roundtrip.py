"""Checks that each revision can be taken back and applied again without a trace: pure, over a recording."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dormatory.checks.failure_hints import failure_hint
from dormatory.checks.finding import Severity
from dormatory.checks.revision_files import NO_DOWNGRADE, NO_DOWNGRADES
from dormatory.checks.revision_finding import revision_finding
from dormatory.checks.row_failures import is_repeated_on_rows, row_failure_finding
from dormatory.checks.rule import Rule
from dormatory.checks.traces import is_explained_by_trace, trace_findings
from dormatory.errors import MissingDowngradeError
from dormatory.recording.leg import Direction
from dormatory.recording.model import RouteKind, RowKind
from dormatory.schema.changes import ColumnsReordered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.project.history import History
    from dormatory.project.script import Revision
    from dormatory.recording.leg import Failure
    from dormatory.recording.model import Recording, Route, Step

UPGRADE_FAILS = Rule(
    "upgrade-fails",
    "roundtrip",
    Severity.ERROR,
    meaning="an upgrade fails",
    why="It fails on a database that holds rows that the schema allows; yours holds some of them.",
    recipe="""
    batch.add_column(sa.Column("level", sa.Integer(), nullable=True))
    op.execute("UPDATE guest SET level = 0")
    batch.alter_column("level", nullable=False)
    """,
    replaces=("ban-concurrent-index-creation-in-transaction",),
)

DOWNGRADE_FAILS = Rule(
    "downgrade-fails",
    "roundtrip",
    Severity.ERROR,
    meaning="a downgrade fails",
    why="The way back is needed when something else is wrong already.",
    recipe="""
    def downgrade() -> None:
        op.execute("UPDATE review SET author = '' WHERE author IS NULL")  # what the upgrade allowed since
        ...
    """,
)

SECOND_UPGRADE_FAILS = Rule(
    "second-upgrade-fails",
    "roundtrip",
    Severity.ERROR,
    meaning="an upgrade fails after a downgrade",
    why="The downgrade left something behind that the upgrade creates again.",
    recipe='sa.Enum(name="grade").drop(op.get_bind(), checkfirst=False)  # in the downgrade: Alembic drops no type',
)

WAY_DOWN = Rule(
    "way-down",
    "roundtrip",
    Severity.ERROR,
    meaning="going all the way down fails or leaves something behind",
    why="What one downgrade leaves behind is there when the next one runs.",
    recipe="inv db.round-trip --revision 003",
)

ONE_RUN_DIFFERS = Rule(
    "one-run-differs",
    "roundtrip",
    Severity.ERROR,
    meaning="all revisions in one run give another schema than one by one",
    why="""A run remembers which types it has created, and may share one transaction: a new database differs from one
    that was upgraded step by step.""",
    recipe='postgresql.ENUM("low", "high", name="grade", create_type=False)',
)

BRANCH_ORDER = Rule(
    "branch-order",
    "roundtrip",
    Severity.ERROR,
    meaning="branches applied in another order fail or give another schema",
    why="Alembic chooses the order, and it may differ between two databases.",
    recipe='depends_on = "014"',
)

NO_PATH_FROM_EMPTY = Rule(
    "no-path-from-empty",
    "roundtrip",
    Severity.ERROR,
    meaning="the history starts from tables that it does not create",
    why="No new database can be created from it.",
    recipe='baseline = "baseline.sql"  # in the settings of the project; or a first revision that creates them',
)

IRREVERSIBLE_IS_NOT = Rule(
    "irreversible-is-not",
    "roundtrip",
    Severity.WARNING,
    meaning="a revision declares that it has no way back, and has one",
    why="Somebody who believes it restores a backup for nothing.",
    recipe='# remove: irreversible = "..."',
)

IRREVERSIBLE = Rule(
    "irreversible",
    "roundtrip",
    Severity.NOTE,
    meaning="a revision declares that it has no way back",
    why="From there on, a backup is the only way back.",
    recipe='raise NotImplementedError("the numbers were erased")',
)

NOT_PLAYED = Rule(
    "not-played",
    "roundtrip",
    Severity.NOTE,
    meaning="revisions were not played because one before them fails",
    why="Nothing is known about them.",
    recipe="# fix the first one",
)


def check_round_trip(recording: Recording, history: History) -> Iterator[Finding]:
    """Report each leg that failed or gave another schema than it should, and what revisions declare."""
    has_no_downgrades = bool(history.revisions) and not any(item.downgrade_line for item in history.revisions)
    if has_no_downgrades:
        message = "no revision of this history has a downgrade, so none was taken back"
        hint = "write downgrades, or set irreversible in each revision"
        yield revision_finding(NO_DOWNGRADES, history.revisions[0], recording.backend, message, hint)
    for step in recording.steps:
        yield from _step_findings(step, history.by_id[step.revision], recording, has_no_downgrades=has_no_downgrades)
    for route in recording.routes:
        if route.failure and not recording.steps:  # on the way to the first revision that is played step by step
            failed, message = history.by_id[route.stopped], f"the upgrade failed: {route.failure.why}"
            yield revision_finding(
                UPGRADE_FAILS, failed, recording.backend, message, route.failure.fix, location=route.failure.location
            )
        else:
            yield from _route_findings(route, history, recording.backend)
    if recording.unreached:
        names = ", ".join(recording.unreached)
        message = f"not played because the upgrade of {recording.last_played} failed before: {names}"
        revision = history.by_id[recording.unreached[0]]
        yield revision_finding(NOT_PLAYED, revision, recording.backend, message, "fix that revision first")


def _step_findings(
    step: Step, revision: Revision, recording: Recording, *, has_no_downgrades: bool
) -> Iterator[Finding]:
    for leg in step.legs:
        is_said = (has_no_downgrades and _is_missing_downgrade(leg.failure)) or is_explained_by_trace(step, leg)
        if leg.failure and not is_said and not is_repeated_on_rows(step, leg.direction, leg.failure):
            found = _failure_finding(leg.failure, leg.direction, revision, recording.backend)
            yield _finding_with_one_run(found, recording) if found.rule == UPGRADE_FAILS.id else found
        yield from trace_findings(step, leg, revision, recording.backend)
    for failed in (it for it in step.row_failures if not is_repeated_on_rows(step, it.direction, it.failure)):
        found = row_failure_finding(failed, revision, step, recording.backend) or _failure_finding(
            failed.failure, failed.direction, revision, recording.backend
        )
        yield finding_on_extreme_rows(found) if failed.kind is RowKind.EXTREME else found
    if revision.irreversible and len(step.legs) == len(Direction) and step.is_clean:
        message = f"it is declared irreversible ({revision.irreversible}), and can be taken back"
        yield revision_finding(IRREVERSIBLE_IS_NOT, revision, recording.backend, message, "remove the declaration")


def _finding_with_one_run(found: Finding, recording: Recording) -> Finding:
    """Return the finding of an upgrade that fails, and say so if one run of the whole history passes there."""
    routes = (it for it in recording.routes if it.kind is RouteKind.UP and not it.failure)
    order = next((it.revisions for it in routes if found.revision in it.revisions), ())
    if not order:
        return found
    before = order[order.index(found.revision) - 1] if found.revision != order[0] else "base"
    where = f"it fails where an earlier run ended at {before}, and passes in one run from base"
    return replace(found, message=f"{found.message}; {where}")


def finding_on_extreme_rows(found: Finding) -> Finding:
    """Return a finding that occurs only with extreme values: an error becomes a warning, and the message says why."""
    severity = Severity.WARNING if found.severity is Severity.ERROR else found.severity
    message = f"{found.message}; on rows with extreme values only, plausible ones pass"
    return replace(found, severity=severity, message=message)


_FAILURE_RULES = {
    Direction.UPGRADE: UPGRADE_FAILS,
    Direction.DOWNGRADE: DOWNGRADE_FAILS,
    Direction.SECOND_UPGRADE: SECOND_UPGRADE_FAILS,
}
_MISSING_TABLE = re.compile(r"no such table|relation .* does not exist|NoSuchTableError")


def _failure_finding(failure: Failure, direction: Direction, revision: Revision, backend: str) -> Finding:
    going_down = direction is Direction.DOWNGRADE
    if going_down and (failure.is_declared or revision.irreversible):
        reason = failure.why if failure.is_declared else revision.irreversible
        message = f"it declares that it has no way back: {reason or 'without a reason'}"
        return revision_finding(IRREVERSIBLE, revision, backend, message, "a backup is the only way back")
    if _is_missing_downgrade(failure):
        return revision_finding(NO_DOWNGRADE, revision, backend, "it has no downgrade function", failure.fix)
    if direction is Direction.UPGRADE and not revision.parents and _MISSING_TABLE.search(failure.why):
        message = f"no path from empty: {failure.why}"
        hint = "name what creates the tables it starts from: baseline in [dormatory] of the ini file"
        return revision_finding(NO_PATH_FROM_EMPTY, revision, backend, message, hint, location=failure.location)
    rule, message = _FAILURE_RULES[direction], f"the {direction.value} failed: {failure.why}"
    hint = failure_hint(failure, direction)
    return revision_finding(rule, revision, backend, message, hint, location=failure.location)


def _is_missing_downgrade(failure: Failure | None) -> bool:
    return failure is not None and failure.kind == MissingDowngradeError.__name__


@dataclass(frozen=True, slots=True)
class _RouteCheck:
    """The rule for a route, what the route does, and what to do where it fails."""

    rule: Rule
    description: str
    hint: str


_ROUTE_CHECKS = {
    RouteKind.DOWN: _RouteCheck(
        WAY_DOWN,
        "going all the way down on populated tables",
        "what one downgrade leaves behind is there when the next one runs: play inv db.round-trip on each",
    ),
    RouteKind.UP: _RouteCheck(
        ONE_RUN_DIFFERS,
        "alembic upgrade heads in one run",
        "a run remembers which types it created, and may share a transaction: say checkfirst, or split the revision",
    ),
    RouteKind.OTHER_ORDER: _RouteCheck(
        BRANCH_ORDER,
        "applying the branches in another order",
        "let the later one depend on the other: depends_on, or a new parent",
    ),
}


def _route_findings(route: Route, history: History, backend: str) -> Iterator[Finding]:
    """Report a route through many revisions that failed, or that gives another schema than the round trips."""
    check = _ROUTE_CHECKS[route.kind]
    order = f" ({', '.join(route.revisions)})" if route.kind is RouteKind.OTHER_ORDER else ""
    revision = history.by_id[route.stopped or route.revisions[-1]]
    if route.failure:
        message = f"{check.description}{order} fails at {revision.id}: {route.failure.why}"
        yield revision_finding(check.rule, revision, backend, message, check.hint, location=route.failure.location)
    for change in route.trace:
        if not isinstance(change, ColumnsReordered):
            message = f"{check.description}{order} ends elsewhere than step by step: {change}"
            yield revision_finding(check.rule, revision, backend, message, check.hint, object_name=change.object)
