"""Findings for a history that cannot be read, or cannot be played on a backend."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.checks.drift import MODELS_FAIL
from dormatory.checks.finding import Severity
from dormatory.checks.roundtrip import UPGRADE_FAILS
from dormatory.checks.rule import Rule
from dormatory.checks.source.transaction_ends import TRANSACTION_ENDED
from dormatory.errors import (
    BaselineFailedError,
    EndedInRevisionError,
    EnvironmentFailedError,
    ModelsFailedError,
    RepeatedVersionTableError,
    RevisionFailedError,
    RevisionImportError,
    TransactionEndedError,
    UnexpectedRevisionError,
    WrongDatabaseError,
)
from dormatory.errors.location import NOWHERE, Location

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dormatory.checks.finding import Finding
    from dormatory.errors import BrokenHistoryError, DormatoryError

BROKEN_HISTORY = Rule(
    "broken-history",
    "graph",
    Severity.ERROR,
    meaning="the history cannot be read",
    why="Nothing else can be checked as long as the history does not fit together.",
    recipe="inv db.history",
)

BACKEND_NOT_SUPPORTED = Rule(
    "backend-not-supported",
    "graph",
    Severity.NOTE,
    meaning="the project does not run on a backend, so nothing was played there",
    why="Its setting `backends` says so.",
    recipe='backends = ["sqlite", "postgresql"]',
)

ENVIRONMENT_FAILS = Rule(
    "environment-fails",
    "roundtrip",
    Severity.ERROR,
    meaning="env.py raises an error",
    why="Nothing can be played.",
    recipe="alembic current",
)

WRONG_DATABASE = Rule(
    "wrong-database",
    "roundtrip",
    Severity.ERROR,
    meaning="env.py did not go to the database that it was given",
    why="A replay there proves nothing, and may damage a database that matters.",
    recipe='url_variable = ["APP_DATABASE_URL"]  # the variable that it reads, in the settings of the project',
)

NOT_APPLIED = Rule(
    "not-applied",
    "roundtrip",
    Severity.ERROR,
    meaning="a revision was run and is not in the version table",
    why="It ended its transaction by itself, or env.py never commits.",
    recipe="# commit and roll back nothing in a revision",
)

BASELINE_FAILS = Rule(
    "baseline-fails",
    "roundtrip",
    Severity.ERROR,
    meaning="what fills the empty database first does not run",
    why="Nothing can be played.",
    recipe='baseline = "baseline.sql"',
)

NOT_CHECKED = Rule(
    "not-checked",
    "graph",
    Severity.ERROR,
    meaning="the check ended early, with an error",
    why="What comes after the error was not checked.",
    recipe="inv db.status  # does the project read, can its databases be reached?",
)

# Errors in the project itself, which keep its history from being replayed: each is a finding, and the check goes on.
_RULE_BY_ERROR: Mapping[type[DormatoryError], Rule] = {
    RevisionFailedError: UPGRADE_FAILS,
    EndedInRevisionError: UPGRADE_FAILS,
    RevisionImportError: UPGRADE_FAILS,
    ModelsFailedError: MODELS_FAIL,
    BaselineFailedError: BASELINE_FAILS,
    EnvironmentFailedError: ENVIRONMENT_FAILS,
    RepeatedVersionTableError: ENVIRONMENT_FAILS,
    WrongDatabaseError: WRONG_DATABASE,
    UnexpectedRevisionError: NOT_APPLIED,
    TransactionEndedError: TRANSACTION_ENDED,
}
REPORTED_ERRORS = tuple(_RULE_BY_ERROR)


def engine_error_finding(error: DormatoryError, *, backend: str = "", root: Path | None = None) -> Finding:
    """Return the finding for one of REPORTED_ERRORS; the path in it is made absolute below `root`."""
    location = getattr(error, "location", NOWHERE)
    if root is not None and location.path:
        location = replace(location, path=str(root / location.path))
    rule = _RULE_BY_ERROR[type(error)]
    # the name of a scratch database says nothing, and differs between two attempts
    what = "env.py did not go to the database that it was given" if rule is WRONG_DATABASE else error.what
    return rule.finding(f"{what} ({error.why})", error.fix, backend=backend, location=location)


def broken_history_finding(error: BrokenHistoryError) -> Finding:
    """Return the finding for a history that cannot be read."""
    return BROKEN_HISTORY.finding(f"{error.what} ({error.why})", error.fix)


def unsupported_backend_finding(backend: str, ini: Path) -> Finding:
    """Return the finding for a project that declares that it does not run on a backend."""
    message = f"nothing was played on {backend}: the setting backends does not name it"
    return BACKEND_NOT_SUPPORTED.finding(message, "", backend=backend, location=Location(str(ini)))
