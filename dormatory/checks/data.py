"""Checks that rows and values survive where they could: pure, over the losses of a recording."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.revision_finding import revision_finding
from dormatory.checks.roundtrip import finding_on_extreme_rows
from dormatory.checks.row_failures import ROWS_REFUSED, ROWS_REFUSED_HINT
from dormatory.checks.rule import Rule
from dormatory.errors.location import Location
from dormatory.recording.leg import Direction
from dormatory.recording.loss import LossKind
from dormatory.schema.describe import object_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.project.history import History
    from dormatory.project.script import Revision
    from dormatory.recording.loss import Loss
    from dormatory.recording.model import Recording, Step

_LOSSY = 'lossy = "guest.name is cut to 50 characters"  # at the top of the revision, where it cannot be otherwise'

_NOT_VALID = re.compile(r"\bNOT\s+VALID\b", re.IGNORECASE)
_MILDER_WHERE_KNOWN = """It is a warning where the revision does it knowingly, such as by a DELETE, and a note where
    `lossy` names it."""


def _rule(kind: LossKind, meaning: str, why: str, recipe: str = _LOSSY) -> Rule:
    why = f"{why} {_MILDER_WHERE_KNOWN}"
    return Rule(kind.value, "data", Severity.ERROR, meaning, why, recipe)


ROWS_DELETED = _rule(
    LossKind.ROWS_DELETED,
    "rows are gone from a table that stays",
    """Nothing in the schema made them go, or a new uniqueness did: DISTINCT, GROUP BY, INSERT OR IGNORE and ON CONFLICT
    DO NOTHING leave rows behind without an error.""",
)
ROWS_DUPLICATED = _rule(
    LossKind.ROWS_DUPLICATED, "rows are there twice", "An upgrade inserts again what its downgrade does not delete."
)
VALUES_CHANGED = _rule(
    LossKind.VALUES_CHANGED, "values are not what they were", "The way back does not bring them back."
)
VALUES_LOST = _rule(LossKind.VALUES_LOST, "values that could be carried over are gone", "They were there to be copied.")
TRUNCATED = _rule(
    LossKind.TRUNCATED,
    "values are cut off or rounded",
    "The way back cannot restore it. Rows with extreme values count, too, where a narrower type did it.",
)
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
    "The downgrade maps them to something else, or not at all, or several values have become one.",
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
MISPLACED_VALUES = _rule(
    LossKind.MISPLACED,
    "a rebuilt table holds values in the wrong columns",
    "INSERT INTO ... SELECT * goes by the order of the columns, and not by their names.",
    'op.execute("INSERT INTO conn_new (id, login, extra) SELECT id, login, extra FROM conn")',
)
COUNTER_BEHIND = Rule(
    LossKind.COUNTER_BEHIND.value,
    "data",
    Severity.ERROR,
    "a sequence or AUTOINCREMENT gives keys again that rows have or had",
    """Rows inserted with keys of their own do not move the counter, and a rebuilt table gets a new one: the next INSERT
    of the application fails, or takes the key of a deleted row.""",
    """op.execute("SELECT setval('kind_id_seq', (SELECT max(id) FROM kind))")""",
)
VALUES_DROPPED = Rule(
    LossKind.DROPPED.value,
    "data",
    Severity.NOTE,
    "a column or a table is dropped with its values, and comes back empty",
    "That is everyday work; `lossy` says that it is known.",
    'lossy = "carts.legacy_hash"  # at the top of the revision',
)
_RULES = {
    rule.id: rule
    for rule in (
        *(ROWS_DELETED, ROWS_DUPLICATED, VALUES_CHANGED, VALUES_LOST, TRUNCATED, SHIFTED, REENCODED),
        *(MAPPING_NOT_INVERTED, SPLIT_NOT_JOINED, DANGLING_FOREIGN_KEYS, MISPLACED_VALUES, COUNTER_BEHIND),
    )
}


def check_data_loss(recording: Recording, history: History) -> Iterator[Finding]:
    """Report rows and values that a revision lost; what it declares as lossy is a note."""
    for step in recording.steps:
        revision = history.by_id[step.revision]
        for losses in _losses_by_cause(step.losses):
            loss = losses[0]
            if loss.kind is LossKind.DANGLING and loss.is_stated:
                yield from (_unvalidated_key_finding(it, revision, recording.backend, step) for it in losses)
                continue
            declared = [_declaration(it, revision, step) for it in losses]
            located = [it if it.line else replace(it, line=_last_line(it, step)) for it in losses]
            for group in [located] if len(set(declared)) == 1 else [[it] for it in located]:
                found = _loss_finding(group, revision, recording.backend, _declaration(group[0], revision, step))
                yield finding_on_extreme_rows(found) if loss.is_extreme and not loss.is_narrowed else found
        if step.drops and not (revision.lossy or revision.irreversible):
            yield _drops_finding(step.drops, revision, recording.backend)


def _last_line(loss: Loss, step: Step) -> int:
    """Return the line of the leg's last statement that names the table, of the last one if none does; 0 if none has."""
    lines = [it for leg in step.legs if leg.direction is loss.direction for it in leg.statements if it.line]
    naming = [it for it in lines if loss.table.rpartition(".")[2] in it.sql]
    return next((it.line for it in reversed(naming or lines)), 0)


def _unvalidated_key_finding(loss: Loss, revision: Revision, backend: str, step: Step) -> Finding:
    """Return what is said of a NOT VALID key, which its validation would say in the same revision."""
    rows = f"{loss.count} of {loss.of} values of {loss.table}.{loss.column} name no row ({loss.evidence})"
    message = f"existing rows may keep it from being validated: {rows}"
    statements = (it for leg in step.legs for it in leg.statements if leg.direction is loss.direction)
    line = next((it.line for it in statements if it.line and _NOT_VALID.search(it.sql)), 0)
    return revision_finding(ROWS_REFUSED, revision, backend, message, ROWS_REFUSED_HINT, location=Location(line=line))


def _losses_by_cause(losses: Sequence[Loss]) -> Iterator[list[Loss]]:
    """Yield losses in groups of one cause: the columns that one statement empties, the keys that one leg leaves."""
    groups: dict[object, list[Loss]] = {}
    for loss in losses:
        cause: object = id(loss)
        if loss.kind is LossKind.VALUES_LOST and loss.line:
            cause = loss.table, loss.line
        elif loss.kind is LossKind.DANGLING:
            cause = loss.line
        key = loss.kind, loss.direction, cause, loss.is_stated, loss.is_narrowed, loss.is_extreme
        groups.setdefault(key, []).append(loss)
    yield from groups.values()


def _loss_finding(losses: Sequence[Loss], revision: Revision, backend: str, declared: str) -> Finding:
    """Return the finding for losses of one cause."""
    loss = losses[0]
    is_allowed_later = loss.is_refused_by_new_key and loss.direction is Direction.DOWNGRADE  # by the upgraded schema
    names = [f"column {it.table}.{it.column}" if it.column else f"table {it.table}" for it in losses]
    words = "; it assumes" if loss.is_refused_by_new_key else ", as it declares"
    message = f"{loss}{words}: {declared}" if declared else str(loss)
    return revision_finding(
        _RULES[loss.kind.value],
        revision,
        backend,
        "\n".join((message, *map(str, losses[1:]))),
        "" if declared else _hint(loss) if len(losses) == 1 else _hint_for_many(losses),
        location=Location(line=loss.line),
        object_name=", ".join(names),
        severity=Severity.NOTE if declared else Severity.WARNING if loss.is_stated or is_allowed_later else None,
    )


def _declaration(loss: Loss, revision: Revision, step: Step) -> str:
    """Return the declaration that covers a loss, "" if none does.

    One that names a column as `table.column` covers only what it names, as a column or a table; any other is free text
    about everything.
    """
    if loss.kind in {LossKind.COUNTER_BEHIND, LossKind.MISPLACED}:  # nothing is lost by setting them right
        return ""
    if loss.is_refused_by_new_key and loss.direction is not Direction.DOWNGRADE and revision.assumes:
        return revision.assumes
    text = revision.lossy
    tables = [*step.before.tables, *(step.after.tables if step.after else ())] if "." in text else []
    mentioned = [it for it in tables if f"{object_name(it)}.".lower() in text.lower()]
    named = any(_names(text, f"{object_name(it)}.{column.name}") for it in mentioned for column in it.columns)
    covers = not named or _names(text, f"{loss.table}.{loss.column}") or _names(text, loss.table)
    return text if text and covers else revision.irreversible


def _names(text: str, name: str) -> bool:
    """Return whether a text names a table or a column, and not only a longer name that begins or ends so."""
    return re.search(rf"(?<![\w.]){re.escape(name)}(?!\w|\.\w)", text, re.IGNORECASE) is not None


def _hint(loss: Loss) -> str:
    """Return what to write; only `lossy` goes to the top of the revision."""
    if loss.is_refused_by_new_key:
        leg = loss.direction.value
        reason = "" if loss.direction is Direction.DOWNGRADE else ', or write why there are none: assumes = "..."'
        return f"correct such rows in the {leg} before this statement{reason}"
    if loss.remedy and not loss.remedy.startswith("lossy"):
        return f"write: {loss.remedy}"
    name = f"{loss.table}.{loss.column}" if loss.column else loss.table
    declaration = loss.remedy or f'lossy = "{name}: why that is right"'
    return f"carry it over, or declare it at the top of the revision: {declaration}"


def _hint_for_many(losses: Sequence[Loss]) -> str:
    if losses[0].kind is LossKind.DANGLING:
        return _hint(losses[0])
    names = ", ".join(f"{it.table}.{it.column}" for it in losses)
    return f'carry them over, or declare it at the top of the revision: lossy = "{names}: why that is right"'


def _drops_finding(drops: Sequence[Loss], revision: Revision, backend: str) -> Finding:
    names = [f"{it.table}.{it.column}" if it.column else f"table {it.table}" for it in drops]
    message = f"it drops {' and '.join(names)} with all values, and the downgrade brings back none of them"
    hint = f'if that is meant, declare it at the top of the revision: lossy = "{", ".join(names)}"'
    place = Location(line=drops[0].line or 1)
    return revision_finding(VALUES_DROPPED, revision, backend, message, hint, location=place)
