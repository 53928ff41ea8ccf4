"""Checks that an upgrade does the same on every machine: pure, over what a replay in another environment has shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.revision_finding import revision_finding
from dormatory.checks.rule import Rule
from dormatory.errors.location import Location
from dormatory.recording.leg import Direction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.project.history import History
    from dormatory.recording.model import Recording, Step

DEPENDS_ON_ENVIRONMENT = Rule(
    "depends-on-environment",
    "roundtrip",
    Severity.ERROR,
    meaning="an upgrade gives other values or another schema on another machine",
    why="""The time zone, the locale, the user or the order of a set decides what it writes: two databases at the same
    revision are not the same, and a repeated run gives something else. What changes from moment to moment anyway, such
    as now() or a random key in a new column, is not reported.""",
    recipe="""
    postgresql_using="starts_at AT TIME ZONE 'UTC'"  # the zone in the statement, not in the session
    datetime.fromtimestamp(seconds, tz=UTC)          # in Python
    for name in sorted({"a", "b"}):                  # an order of its own
    """,
)

PASSES_NOT_PLAYED = Rule(
    "passes-not-played",
    "roundtrip",
    Severity.WARNING,
    meaning="env.py may make passes that a scratch database does not show, such as one for each row of a table",
    why="""What the revisions do in these passes was not played, so nothing is said about it. A database that has such
    tenants shows them: a rehearsal plays each one on a copy.""",
    recipe="inv db.rehearse",
)


def check_passes(recording: Recording) -> Iterator[Finding]:
    """Report that env.py may make more passes than those that were played; the first of them says it for all."""
    tables = ", ".join(recording.empty_tables_of_env)
    if not tables and recording.most_passes <= recording.pass_count:
        return
    played = f"{recording.pass_count} pass{'es' * (recording.pass_count > 1)}"
    why = f"env.py reads {tables}, where a scratch database has no rows"
    if not tables:
        why = f"env.py makes {recording.most_passes} on a database with rows"
    message = f"the revisions were played in {played} of env.py: {why}"
    hint = "if it migrates once more for each of them: inv db.rehearse, on a database that has some"
    yield PASSES_NOT_PLAYED.finding(message, hint, backend=recording.backend, object_name=tables)


def check_environment(recording: Recording, history: History) -> Iterator[Finding]:
    """Report what the upgrade of a revision makes differently with another time zone, locale, user or order of sets."""
    for step in recording.steps:
        revision = history.by_id[step.revision]
        left = _left_by_downgrade(step)  # the other environment began with that, and its own finding says so
        for found in (it for it in step.dependences if it.object not in left):
            yield revision_finding(
                DEPENDS_ON_ENVIRONMENT,
                revision,
                recording.backend,
                f"another time zone, locale, user or order of sets changes what the upgrade makes: {found.what}",
                "name the zone, the format or the order in the revision itself",
                location=Location(line=found.line or 1),
                object_name=found.object,
            )


def _left_by_downgrade(step: Step) -> frozenset[str]:
    """Return the objects that the downgrade did not bring back as they were."""
    return frozenset(it.object for leg in step.legs if leg.direction is Direction.DOWNGRADE for it in leg.trace)
