"""Findings in the order in which they are shown: each once, the worst first, with a lasting fingerprint."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.report.sanitize import sanitize, sanitize_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.checks.outcome import Outcome
    from dormatory.project.accepted_file import AcceptedEntry

    _Entered = tuple[Finding, AcceptedEntry | None]  # a finding, and the entry that accepts it

SEVERITY_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding that one or several backends made in the same place; every text in it is safe to show.

    The path of `finding` is relative to the root of the report, if it lies below. `statements` are the SQL, each with
    the backends that executed it. `fingerprint` is computed from revision (without one, the file), rule and object;
    `ordinal` numbers the problems that share these, from 1 in the order of their lines. `entry` is that of the
    project's file of accepted findings, None for a problem that is not accepted.
    """

    finding: Finding
    backends: tuple[str, ...]
    statements: tuple[tuple[tuple[str, ...], str], ...]
    fingerprint: str
    ordinal: int
    entry: AcceptedEntry | None = None


def problems(outcome: Outcome, base: Path) -> tuple[Problem, ...]:
    """Return the problems, the worst first, then in the order of history and of lines; accepted ones are left out.

    The same finding of several backends is one problem; the same finding twice on one backend is two.
    """
    return tuple(problem for problem in _all_problems(outcome, base) if problem.entry is None)


def accepted_problems(outcome: Outcome, base: Path) -> tuple[Problem, ...]:
    """Return the accepted problems in the same order."""
    return tuple(problem for problem in _all_problems(outcome, base) if problem.entry is not None)


def accepted_count(outcome: Outcome) -> int:
    """Return how many problems are accepted."""
    return sum(group[0][1] is not None for group in _groups_across_backends(outcome))


def _all_problems(outcome: Outcome, base: Path) -> Iterator[Problem]:
    """Yield all problems; that one of them is accepted does not change the fingerprints of the others."""
    relative = cache(partial(relative_path, base=base))
    position = {revision: number for number, revision in enumerate(outcome.revisions)}

    def order(group: Sequence[_Entered]) -> tuple[int, int, str, int, int]:
        first = group[0][0]
        last = len(position)  # what concerns the project mostly follows from a revision
        where, location = position.get(first.revision, last) if first.revision else last + 1, first.location
        return SEVERITY_RANKS[first.severity], where, relative(location.path), location.line, location.column

    seen: Counter[tuple[str, str, str]] = Counter()
    for group in sorted(_groups_across_backends(outcome), key=order):
        (first, entry), path = group[0], relative(group[0][0].location.path)
        identity = (first.revision or path, first.rule, first.object)
        seen[identity] += 1
        fingerprint = _fingerprint(*identity, seen[identity])
        yield _problem([found for found, _ in group], path, fingerprint, seen[identity], entry)


def counts_by_severity(found: Iterable[Problem]) -> dict[Severity, int]:
    """Return the number of problems of each severity, the worst first."""
    number = Counter(problem.finding.severity for problem in found)
    return {severity: number[severity] for severity in Severity}


def relative_path(file: str, base: Path) -> str:
    """Return a path relative to a directory, with slashes, if it lies below it, else unchanged."""
    path = Path(file)
    if not file or not path.is_relative_to(base):
        return sanitize_line(file)
    return sanitize_line(path.relative_to(base).as_posix())


def _groups_across_backends(outcome: Outcome) -> Iterator[list[_Entered]]:
    """Yield groups of findings that differ only in backend and SQL; each backend occurs once in a group."""
    groups: dict[tuple[Finding, AcceptedEntry | None, int], list[_Entered]] = {}
    times: Counter[tuple[Finding, AcceptedEntry | None, str]] = Counter()
    entered: list[_Entered] = [(found, None) for found in outcome.findings]
    entered += [(item.finding, item.entry) for item in outcome.accepted]
    for found, entry in entered:
        identity = replace(found, backend="", sql="")
        times[identity, entry, found.backend] += 1
        groups.setdefault((identity, entry, times[identity, entry, found.backend]), []).append((found, entry))
    yield from groups.values()


def _problem(
    group: Sequence[Finding], path: str, fingerprint: str, ordinal: int, entry: AcceptedEntry | None
) -> Problem:
    statements: dict[str, tuple[str, ...]] = {}
    for item in group:
        if item.sql:
            statements[item.sql] = (*statements.get(item.sql, ()), *([item.backend] if item.backend else []))
    first = group[0]
    shown = replace(
        first,
        rule=sanitize_line(first.rule),
        message=sanitize(first.message),
        hint=sanitize(first.hint),
        object=sanitize_line(first.object),
        revision=sanitize_line(first.revision),
        location=replace(first.location, path=path),
    )
    backends = tuple(sanitize_line(item.backend) for item in group if item.backend)
    shown_statements = tuple((on, sanitize(sql)) for sql, on in statements.items())
    return Problem(shown, backends, shown_statements, fingerprint, ordinal, entry)


def _fingerprint(place: str, rule: str, object_name: str, ordinal: int) -> str:
    """Return 64 hexadecimal digits that stay the same when lines move and messages change."""
    identity = "\0".join((place, rule, object_name, str(ordinal)))
    return sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
