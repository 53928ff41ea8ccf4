"""Checks that rows and values survive where they could: pure, over the losses of a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.roundtrip import finding_on_extreme_rows
from dormatory.checks.rule import Rule
from dormatory.errors.location import Location
from dormatory.recording.model import LossKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.project.history import History
    from dormatory.project.script import Revision
    from dormatory.recording.model import Loss, Recording

_LOSSY = 'lossy = "what is lost"  # at the top of the revision, where it cannot be otherwise'
_HINT = 'carry it over, or declare it at the top of the module: lossy = "what is lost"'


def _rule(kind: LossKind, meaning: str, why: str, recipe: str = _LOSSY) -> Rule:
    why = f"{why} Where the statement itself says so, it is a warning."
    return Rule(kind.value, "data", Severity.ERROR, meaning, why, recipe)


ROWS_DELETED = _rule(LossKind.ROWS_DELETED, "rows that could stay are gone", "Nothing in the schema made them go.")
ROWS_DUPLICATED = _rule(
    LossKind.ROWS_DUPLICATED, "rows are there twice", "An upgrade inserts again what its downgrade does not delete."
)
VALUES_CHANGED = _rule(
    LossKind.VALUES_CHANGED, "values are not what they were", "The way back does not bring them back."
)
VALUES_LOST = _rule(LossKind.VALUES_LOST, "values that could be carried over are gone", "They were there to be copied.")
TRUNCATED = _rule(LossKind.TRUNCATED, "values are cut off", "The way back cannot restore what was cut off.")
SHIFTED = _rule(
    LossKind.SHIFTED,
    "moments or numbers move with every round trip",
    "Upgrade and downgrade do not use the same offset.",
    """postgresql_using="starts_at AT TIME ZONE 'Europe/Berlin'"  # the same zone both ways""",
)
REENCODED = _rule(LossKind.REENCODED, "texts come back in another encoding", "Encoding and decoding are no pair.")
MAPPING_NOT_INVERTED = _rule(
    LossKind.MAPPING_NOT_INVERTED,
    "values are mapped one way and not back",
    "The downgrade maps them to something else, or not at all.",
    "op.execute(\"UPDATE page SET state = 1 WHERE state = 'draft'\")  # the opposite of each line of the upgrade",
)
SPLIT_NOT_JOINED = _rule(
    LossKind.SPLIT_NOT_JOINED,
    "what was joined is not split again, or the other way round",
    "The parts are still in the joined value; the downgrade makes empty columns.",
    "op.execute(\"UPDATE place SET lat = split_part(position, ';', 1)\")",
)
DANGLING_FOREIGN_KEYS = _rule(
    LossKind.DANGLING,
    "rows refer to rows that are not there",
    "The next check of the foreign keys fails.",
    "# delete or re-point the rows that refer first",
)
_RULES = {
    rule.id: rule
    for rule in (
        *(ROWS_DELETED, ROWS_DUPLICATED, VALUES_CHANGED, VALUES_LOST, TRUNCATED, SHIFTED, REENCODED),
        *(MAPPING_NOT_INVERTED, SPLIT_NOT_JOINED, DANGLING_FOREIGN_KEYS),
    )
}


def check_data_loss(recording: Recording, history: History) -> Iterator[Finding]:
    """Report rows and values that a revision lost and could have kept; what it declares as lossy is a note."""
    for step in recording.steps:
        for loss in step.losses:
            found = _loss_finding(loss, history.by_id[step.revision], recording.backend)
            yield finding_on_extreme_rows(found) if step.is_extreme else found


def _loss_finding(loss: Loss, revision: Revision, backend: str) -> Finding:
    declared = revision.lossy or revision.irreversible
    return _RULES[loss.kind.value].finding(
        f"{loss}, as it declares: {declared}" if declared else str(loss),
        "" if declared else _HINT,
        severity=Severity.NOTE if declared else Severity.WARNING if loss.is_stated else None,
        backend=backend,
        object_name=f"column {loss.table}.{loss.column}" if loss.column else f"table {loss.table}",
        revision=revision.id,
        location=Location(str(revision.path), revision.downgrade_line or 1),
    )
