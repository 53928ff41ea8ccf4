"""Findings in the order and shape in which they are shown: each once, the worst first, with a lasting fingerprint."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
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

_SEVERITY_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Problem:
    """What one or several backends found in the same place; every text in it is fit to be shown.

    `file` is relative to the directory that was asked for, when below it. `statements` are the SQL, each with the
    backends that it ran on. `fingerprint` is made of revision (without one, the file), rule and object; where several
    share these, `ordinal` tells them apart, counted from 1 in the order of their lines. Lines and columns are 0 where
    none is known.
    """

    rule: str
    severity: Severity
    message: str
    hint: str
    object: str
    revision: str
    file: str
    line: int
    end_line: int
    column: int
    backends: tuple[str, ...]
    statements: tuple[tuple[tuple[str, ...], str], ...]
    fingerprint: str
    ordinal: int

    @property
    def place(self) -> str:
        """Where it is, as `file:line:column` or what is known of that."""
        numbers = (self.line, self.column if self.line else 0)
        return ":".join((self.file, *(str(number) for number in numbers if number))) if self.file else ""


def problems(outcome: Outcome, base: Path) -> tuple[Problem, ...]:
    """Return what was found, the worst first, then in the order of history and of lines; no finding is left out.

    What several backends say in the same words is one problem; what one backend says twice is two.
    """
    relative = cache(partial(relative_path, base=base))
    position = {revision: number for number, revision in enumerate(outcome.revisions)}

    def order(group: Sequence[Finding]) -> tuple[int, int, str, int, int]:
        first = group[0]
        where = position.get(first.revision, len(position)) if first.revision else -1
        return _SEVERITY_RANKS[first.severity], where, relative(first.file), first.line, first.column

    seen: Counter[tuple[str, str, str]] = Counter()
    found = []
    for group in sorted(_groups_across_backends(outcome.findings), key=order):
        first, file = group[0], relative(group[0].file)
        identity = (first.revision or file, first.rule, first.object)
        seen[identity] += 1
        found.append(_problem(group, file, _fingerprint(*identity, seen[identity]), seen[identity]))
    return tuple(found)


def counts_by_severity(found: Iterable[Problem]) -> dict[Severity, int]:
    """Return how many there are of each severity, the worst first."""
    number = Counter(problem.severity for problem in found)
    return {severity: number[severity] for severity in Severity}


def relative_path(file: str, base: Path) -> str:
    """Return a path as seen from a directory, with slashes, when it lies below; else as it is."""
    path = Path(file)
    if not file or not path.is_relative_to(base):
        return sanitize_line(file)
    return sanitize_line(path.relative_to(base).as_posix())


def _groups_across_backends(findings: Sequence[Finding]) -> Iterator[list[Finding]]:
    """Yield findings that differ in their backends only, together; the second of a backend opens a second group."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    times: Counter[tuple[object, ...]] = Counter()
    for item in findings:
        words = (item.rule, item.severity, item.message, item.hint)
        where = (item.revision, item.file, item.line, item.end_line, item.column)
        identity = (*words, item.object, *where)
        times[*identity, item.backend] += 1
        groups.setdefault((*identity, times[*identity, item.backend]), []).append(item)
    yield from groups.values()


def _problem(group: Sequence[Finding], file: str, fingerprint: str, ordinal: int) -> Problem:
    first = group[0]
    statements: dict[str, tuple[str, ...]] = {}
    for item in group:
        if item.sql:
            statements[item.sql] = (*statements.get(item.sql, ()), *([item.backend] if item.backend else []))
    return Problem(
        rule=sanitize_line(first.rule),
        severity=first.severity,
        message=sanitize(first.message),
        hint=sanitize(first.hint),
        object=sanitize_line(first.object),
        revision=sanitize_line(first.revision),
        file=file,
        line=first.line,
        end_line=first.end_line,
        column=first.column,
        backends=tuple(sanitize_line(item.backend) for item in group if item.backend),
        statements=tuple((on, sanitize(sql)) for sql, on in statements.items()),
        fingerprint=fingerprint,
        ordinal=ordinal,
    )


def _fingerprint(locus: str, rule: str, about: str, ordinal: int) -> str:
    """Return what stays when lines move and words change; hexadecimal, 64 digits."""
    identity = "\0".join((locus, rule, about, str(ordinal)))
    return sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
