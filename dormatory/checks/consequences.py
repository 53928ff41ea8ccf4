"""Fold findings that follow from another one into it, so that one cause is one finding: pure, over findings."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.checks.drift import DEFAULT_NOT_IN_MODELS, DRIFT
from dormatory.checks.finding import Severity
from dormatory.checks.roundtrip import (
    BRANCH_ORDER,
    NOT_PLAYED,
    ONE_RUN_DIFFERS,
    WAY_DOWN,
)
from dormatory.checks.source.imports import APPLICATION_IMPORT
from dormatory.checks.source.portability import DEAD_BRANCH
from dormatory.checks.source.transaction_ends import TRANSACTION_ENDED
from dormatory.checks.squawk import SQUAWK
from dormatory.checks.traces import SECOND_UPGRADE_DIFFERS, TRACE
from dormatory.errors import TransactionEndedError
from dormatory.recording.loss import LossKind
from dormatory.system.text import first_line, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.checks.finding import Finding

# The beginning of the rule of a cause in the same revision, and what happens because of it.
_CAUSES = {
    WAY_DOWN.id: ("downgrade-fails", "so going all the way down stops here, too"),
    ONE_RUN_DIFFERS.id: ("upgrade-fails", "so alembic upgrade heads stops here, too"),
    BRANCH_ORDER.id: ("upgrade-fails", "so applying the branches in another order stops here, too"),
}
# Besides failures, what each backend says of one thing in its own words.
_RULES_OF_A_LEG = frozenset({TRACE.id, SECOND_UPGRADE_DIFFERS.id})
_RULES_SAID_BY_BACKENDS = frozenset({DRIFT.id, DEFAULT_NOT_IN_MODELS.id}) | _RULES_OF_A_LEG

_LOSSES = frozenset(kind.value for kind in LossKind)

_SAID_ONCE = {
    *((APPLICATION_IMPORT.id, severity) for severity in (Severity.WARNING, Severity.NOTE)),
    (DEAD_BRANCH.id, Severity.NOTE),
}


def fold_consequences(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings of one backend without those that follow from others; a cause says what follows from it.

    A route through many revisions stops where one of them fails by itself, and ends elsewhere where one of them left
    something.
    """
    folded: set[Finding] = set()
    lines: defaultdict[Finding, list[str]] = defaultdict(list)
    for found in findings:
        cause, line = next(_causes_of(found, findings), (None, ""))
        if cause is not None:
            folded.add(found)
            lines[cause] += [line] if line and line not in lines[cause] else []
    kept = (found for found in findings if found not in folded)
    return tuple(replace(found, message="\n".join((found.message, *lines[found]))) for found in kept)


def _causes_of(found: Finding, findings: Sequence[Finding]) -> Iterator[tuple[Finding, str]]:
    """Yield each finding that a finding follows from, and what the cause says of it."""
    if found.rule in _CAUSES:
        yield from _causes_of_route(found, findings)
    elif found.rule == SECOND_UPGRADE_DIFFERS.id:
        left = [(it, it.message.partition(": ")[2]) for it in findings if it.rule == TRACE.id]
        changes = found.message.partition(": ")[2]
        yield from ((it, "") for it, text in left if it.revision == found.revision and changes == text)
    elif found.rule == NOT_PLAYED.id:
        failed = found.message.partition("the upgrade of ")[2].partition(" ")[0]
        line = f"so {found.message.rpartition(': ')[2]} could not be played"
        yield from ((other, line) for other in findings if _is_failure(other, failed, "upgrade-fails"))


def _causes_of_route(found: Finding, findings: Sequence[Finding]) -> Iterator[tuple[Finding, str]]:
    """Yield what stops a route, a failure of the revision itself, or what a revision had left before the route did."""
    rule, line = _CAUSES[found.rule]
    error = found.message.partition(f" fails at {found.revision}: ")[2].partition(":")[0]
    for other in findings:
        if error and error in other.message and _is_failure(other, found.revision, rule):
            yield other, line
        if not error and other.rule == TRACE.id and found.object and found.object in other.message:
            yield other, ""


def _is_failure(found: Finding, revision: str, rule: str) -> bool:
    return found.revision == revision and found.rule.startswith(rule)


def join_backends(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Give what several backends say of one thing the same message and hint: each server has words of its own for it.

    Joined are failures of a revision, what it loses, what a downgrade leaves, and a difference of one object from the
    models.
    """
    groups: defaultdict[tuple[object, ...], list[Finding]] = defaultdict(list)
    for found in findings:
        what = (found.object, _aspect(found)) if found.rule not in _RULES_OF_A_LEG else ()  # a leg leaves all at once
        key = (found.rule, found.severity, found.revision, found.location, *what)
        groups[key if _is_said_by_backends(found) else (id(found),)].append(found)
    joined: dict[Finding, Finding] = {}
    for group in groups.values():
        if len({found.backend for found in group}) == len(group) > 1 and len({found.message for found in group}) > 1:
            first, *others = group
            words = (f"on {other.backend}: {first_line(other.message)}" for other in others)
            message, hint = "\n".join((first.message, *words)), _joined_hint(group)
            name = first.object if all(found.object == first.object for found in group) else ""
            joined |= {found: replace(found, message=message, hint=hint, object=name) for found in group}
    return tuple(joined.get(found, found) for found in findings)


def _is_said_by_backends(found: Finding) -> bool:
    """Return whether a finding is about the same thing as that of another backend which has its rule and place."""
    if found.rule in _LOSSES:
        return bool(found.backend and found.revision and found.object)
    if not found.backend or found.rule not in _RULES_SAID_BY_BACKENDS:
        return bool(found.backend and found.revision) and "-fails" in found.rule
    return bool(found.revision or found.object)


def _aspect(found: Finding) -> str:
    """Return in which way a column differs, as it may do in several; "" for a failure."""
    is_failure = found.rule not in _RULES_SAID_BY_BACKENDS
    return "" if is_failure else found.message.removeprefix(f"{found.object}: ").partition(" ")[0]


def _joined_hint(group: Sequence[Finding]) -> str:
    """Return what to do about findings of several backends: of a failure once, of structure what each one needs."""
    first, *others = group
    if "-fails" in first.rule:
        return first.hint
    more = (f"on {other.backend}: {other.hint}" for other in others if other.hint != first.hint)
    return "\n".join((first.hint, *more))


def join_revisions(findings: Sequence[Finding], order: Sequence[str]) -> tuple[Finding, ...]:
    """Return what is one decision for the project as one finding, at the first in the `order` of revisions.

    Such are what revisions import from one module of the application, and a dialect that is not played. An error stays
    at each revision, which has to be written anew.
    """
    position = {revision: number for number, revision in enumerate(order)}
    groups: defaultdict[tuple[str, str, str], list[Finding]] = defaultdict(list)
    for found in findings:
        if (found.rule, found.severity) in _SAID_ONCE:
            groups[found.rule, found.object, found.hint].append(found)
    joined: dict[Finding, Finding | None] = {}
    for group in groups.values():
        first, *others = sorted(group, key=lambda found: position.get(found.revision, len(position)))
        if revisions := [name for name in dict.fromkeys(it.revision for it in others) if name != first.revision]:
            line = f"the same in {quantity(len(revisions), 'more revision')}: {', '.join(revisions)}"
            joined |= dict.fromkeys(others) | {first: replace(first, message=f"{first.message}\n{line}")}
    return tuple(shown for found in findings if (shown := joined.get(found, found)) is not None)


def without_repetitions(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings without those that another one says, too, or better.

    A failure because the revision ended its transaction is said at the line that ended it; a note of squawk on a
    statement that a rule of ours judges adds nothing.
    """
    errors = {(found.rule, found.revision) for found in findings if found.severity is Severity.ERROR}
    judged = {
        (found.revision, found.location.line)
        for found in findings
        if found.severity is not Severity.NOTE and found.rule != SQUAWK.id
    }

    def is_repetition(found: Finding) -> bool:
        if found.rule == SQUAWK.id:
            return found.severity is Severity.NOTE and (found.revision, found.location.line) in judged
        is_end = "-fails" in found.rule and TransactionEndedError.reason in found.message
        return is_end and (TRANSACTION_ENDED.id, found.revision) in errors

    return tuple(found for found in dict.fromkeys(findings) if not is_repetition(found))
