"""Fold findings that follow from another one into it, so that one cause is one finding: pure, over findings."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.roundtrip import (
    BRANCH_ORDER,
    NOT_PLAYED,
    ONE_RUN_DIFFERS,
    WAY_DOWN,
)
from dormatory.checks.source.transaction_ends import TRANSACTION_ENDED
from dormatory.checks.squawk import SQUAWK
from dormatory.checks.traces import TRACE
from dormatory.errors import TransactionEndedError
from dormatory.system.text import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.checks.finding import Finding

# The beginning of the rule of a cause in the same revision, and what happens because of it.
_CAUSES = {
    WAY_DOWN.id: ("downgrade-fails", "so going all the way down stops here, too"),
    ONE_RUN_DIFFERS.id: ("upgrade-fails", "so alembic upgrade heads stops here, too"),
    BRANCH_ORDER.id: ("upgrade-fails", "so applying the branches in another order stops here, too"),
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
    """Give the same failure on several backends one message and one hint: each server has words of its own for it."""
    groups: defaultdict[tuple[object, ...], list[Finding]] = defaultdict(list)
    for found in findings:
        key = (found.rule, found.severity, found.revision, found.location, found.object)
        groups[key if "-fails" in found.rule and found.revision and found.backend else (id(found),)].append(found)
    joined: dict[Finding, Finding] = {}
    for group in groups.values():
        if len({found.backend for found in group}) == len(group) > 1 and len({found.message for found in group}) > 1:
            first, *others = group
            words = (f"on {other.backend}: {first_line(other.message)}" for other in others)
            message = "\n".join((first.message, *words))
            joined |= {found: replace(found, message=message, hint=first.hint) for found in group}
    return tuple(joined.get(found, found) for found in findings)


def without_repetitions(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings without those that another one says better.

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

    return tuple(found for found in findings if not is_repetition(found))
