"""Checks what a revision fails on while it passes on plainer rows: pure, over a recording."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.revision_finding import revision_finding
from dormatory.checks.rule import Rule
from dormatory.errors.failure_origin import FailureOrigin
from dormatory.recording.leg import Direction
from dormatory.recording.model import RowKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.project.history import History
    from dormatory.project.script import Revision
    from dormatory.recording.leg import Failure
    from dormatory.recording.model import Recording, RowFailure, Step
    from dormatory.recording.offending_rows import OffendingRows

UPGRADE_FAILS_ON_ROWS = Rule(
    "upgrade-fails-on-rows",
    "roundtrip",
    Severity.ERROR,
    meaning="an upgrade fails on rows that the schema allows, and passes without them",
    why="Nothing keeps such rows out of your database; with one of them, the deployment stops here.",
    recipe="""
    op.execute("UPDATE guest SET level = 0 WHERE level IS NULL")  # before the statement that fails on them
    assumes = "the application has always written a level"  # at the top of the revision, if there are no such rows
    """,
)

DOWNGRADE_FAILS_ON_ROWS = Rule(
    "downgrade-fails-on-rows",
    "roundtrip",
    Severity.WARNING,
    meaning="a downgrade fails on rows that only the upgraded schema allows",
    why="Once the application has written such a row, the way back is closed until it is corrected.",
    recipe="""
    def downgrade() -> None:
        op.execute("UPDATE review SET author = '' WHERE author IS NULL")  # what the upgrade allowed since
        ...
    """,
)

GUARD = Rule(
    "guard",
    "roundtrip",
    Severity.NOTE,
    meaning="a revision refuses some rows on purpose",
    why="Its own code raises an exception; everything else was played without such rows.",
    recipe='raise RuntimeError("these names are used twice: correct them first")',
)

FAILS_ON_CONTENT = Rule(
    "fails-on-content",
    "roundtrip",
    Severity.WARNING,
    meaning="a revision fails on a value that is not in the form it reads",
    why="The generated rows hold any text that the column allows; your rows may all have the form.",
    recipe="""
    document = json.loads(text) if text else {}  # and what is no JSON is skipped, or named
    """,
)

ROWS_REFUSED = Rule(
    "rows-refused",
    "roundtrip",
    Severity.NOTE,
    meaning="rows that may exist keep a constraint from being validated",
    why="The validation fails, blocks nobody meanwhile, and can be repeated once the rows are corrected.",
    recipe="""
    op.execute("DELETE FROM stay WHERE room NOT IN (SELECT id FROM room)")  # in a revision before
    op.execute("ALTER TABLE stay VALIDATE CONSTRAINT fk_stay_room")
    """,
)

ROWS_REFUSED_HINT = "correct such rows in a revision before it; a validation blocks nobody meanwhile"

ASSUMES_UNNEEDED = Rule(
    "assumes-unneeded",
    "roundtrip",
    Severity.WARNING,
    meaning="a revision assumes something about its rows, and passes without that",
    why="Somebody who believes it looks for rows that do no harm.",
    recipe='# remove: assumes = "..."',
)

_VALIDATE_CONSTRAINT = re.compile(r"\bVALIDATE\s+CONSTRAINT\b", re.IGNORECASE)
_SET_NOT_NULL = re.compile(r"\bSET\s+NOT\s+NULL\b", re.IGNORECASE)  # of a column that the same revision adds
_STAYS_NULL = "NULL"  # the condition of rows for which the revision itself has no value
_READ_TABLES = re.compile(r"\bSELECT\s+(?P<columns>.+?)\s+FROM\s+(?P<table>[\w.\"]+)", re.IGNORECASE | re.DOTALL)
_MAX_COLUMNS_LENGTH = 80


def row_failure_finding(found: RowFailure, revision: Revision, step: Step, backend: str) -> Finding | None:
    """Return the finding for a failure of a step on some rows; None where it is what it would be on all rows."""
    why, location = found.failure.why, found.failure.location
    found = _without_new_columns(found, step)
    leg = f"the {found.direction.value}"
    severity: Severity | None = None
    if found.failure.origin is FailureOrigin.GUARD:
        rule, message = GUARD, f"{leg} refuses some rows: {why}; it was played without such rows"
        hint = "nothing to do, if its message says how to correct the rows"
    elif found.statement and _VALIDATE_CONSTRAINT.search(found.statement):
        rule, message = ROWS_REFUSED, f"existing rows may keep it from ending: {why}"
        hint = ROWS_REFUSED_HINT
    elif found.failure.origin is FailureOrigin.CONTENT:
        rule, message = FAILS_ON_CONTENT, f"{leg} fails on text that generated rows hold: {why}{_reading(found)}"
        hint = "skip or correct such a value in the revision, or write in it why there is none: assumes"
    elif found.kind is RowKind.EXTREME:
        return None
    elif found.direction is Direction.UPGRADE:
        rule, message, hint = UPGRADE_FAILS_ON_ROWS, f"{leg} {_on_rows(found)}", _upgrade_hint(found)
    elif found.direction is Direction.DOWNGRADE and found.kind is RowKind.NEW:
        rule, message = DOWNGRADE_FAILS_ON_ROWS, f"{leg} {_on_rows(found)}"
        hint = _downgrade_hint(found.rows)
    else:
        return None
    if revision.assumes and rule in {UPGRADE_FAILS_ON_ROWS, FAILS_ON_CONTENT}:
        message, hint, severity = f"{message}; it assumes: {revision.assumes}", "", Severity.NOTE
    return revision_finding(rule, revision, backend, message, hint, location=location, severity=severity)


def is_repeated_on_rows(step: Step, direction: Direction, failure: Failure) -> bool:
    """Return whether a second upgrade fails as the first one did on the rows that were then left out."""
    first = {(it.failure.why, it.failure.location) for it in step.row_failures if it.direction is Direction.UPGRADE}
    return direction is Direction.SECOND_UPGRADE and (failure.why, failure.location) in first


def check_assumptions(recordings: Sequence[Recording], history: History) -> Iterator[Finding]:
    """Report revisions that assume something about their rows, and fail on none of any backend that was played."""
    played: dict[str, list[tuple[Step, str]]] = {}
    for recording in recordings:
        for step in recording.steps:
            played.setdefault(step.revision, []).append((step, recording.backend))
    for revision in history.revisions:
        trips = played.get(revision.id, [])
        if revision.assumes and trips and all(step.after and not _fails_on_rows(step) for step, _ in trips):
            message = f"it assumes something about its rows ({revision.assumes}), and fails on none that were tried"
            yield revision_finding(ASSUMES_UNNEEDED, revision, trips[0][1], message, "remove the declaration")


def _fails_on_rows(step: Step) -> bool:
    """Return whether some rows stopped a step, or were left behind by a foreign key that refuses them."""
    return bool(step.row_failures) or any(it.is_refused_by_new_key for it in step.losses)


def _without_new_columns(found: RowFailure, step: Step) -> RowFailure:
    """Return a failure without a query for rows if a database does not have the columns before the leg that failed."""
    schema = step.after if found.direction is Direction.DOWNGRADE else step.before
    rows = found.rows
    table = next((it for it in schema.tables if rows and it.name == rows.table), None) if schema else None
    if rows is None or table is None or {*rows.columns} <= {column.name for column in table.columns}:
        return found
    is_filled = rows.rule == "NOT NULL" and rows.condition != "TRUE"
    return replace(found, rows=replace(rows, query="", condition=_STAYS_NULL if is_filled else rows.condition))


def _on_rows(found: RowFailure) -> str:
    where = (
        f"where {_described_rows(found.rows, found.statement)}"
        if found.rows
        else f"on rows that the schema allows{_reading(found)}"
    )
    after = "as the upgraded schema allows, " if found.kind is RowKind.NEW else ""
    return f"fails {where}, {after}and passes without such rows: {found.failure.why}"


def _described_rows(rows: OffendingRows, statement: str) -> str:
    """Return what offending rows have in common, as a clause."""
    columns, table = " and ".join(rows.columns), rows.table
    if rows.rule == "NOT NULL":
        if rows.condition not in {"TRUE", _STAYS_NULL}:
            return f"{columns} of {table} is NULL"
        if rows.condition == _STAYS_NULL or _SET_NOT_NULL.search(statement):
            return f"{columns} of {table} stays NULL"
        return f"{table} has a row, which gets no {columns}"
    condition = rows.condition.removeprefix("NOT (").removesuffix(")")
    known = {
        "UNIQUE": f"two rows of {table} share {columns or 'what must be unique'}",
        "FOREIGN KEY": f"{columns or 'a foreign key'} of {table} names a row that is not there",
        "EXCLUDE": f"two rows of {table} exclude each other",
        "CHECK": f"a row of {table} does not meet the CHECK{f' ({condition})' if condition else ''}",
    }
    return known.get(rows.rule, f"{columns} of {table} does not fit {rows.rule}")


def _upgrade_hint(found: RowFailure) -> str:
    rows = found.rows
    if rows and rows.rule == "NOT NULL" and rows.condition in {"TRUE", _STAYS_NULL}:
        name = rows.columns[0] if rows.columns else "the column"
        if rows.condition == _STAYS_NULL or _SET_NOT_NULL.search(found.statement):
            return f"give {name} a value in every row before this statement: the revision leaves some NULL"
        return f"give {name} a server_default, or add it nullable, fill it, and make it NOT NULL then"
    find = f"find such rows in your database with {rows.query}; " if rows and rows.query else ""
    return f'{find}correct them in the revision before this statement, or write why there are none: assumes = "..."'


def _downgrade_hint(rows: OffendingRows | None) -> str:
    find = f", which {rows.query} finds" if rows and rows.query else ""
    return f"correct such rows in the downgrade before this statement{find}"


def _reading(found: RowFailure) -> str:
    """Return what the last statement had read, if that is short."""
    match = _READ_TABLES.search(found.statement)
    if not match or len(columns := " ".join(match["columns"].split())) > _MAX_COLUMNS_LENGTH:
        return ""
    return f", after reading {columns} of {match['table']}"
