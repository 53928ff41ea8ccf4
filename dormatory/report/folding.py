"""Which problems a reader sees in full, and which are only listed, so that many of one kind do not hide the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.report.grouping import SEVERITY_RANKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dormatory.report.grouping import Problem

_MAX_IN_FULL = 20
_MAX_OF_ONE_KIND = {Severity.ERROR: 3, Severity.WARNING: 1, Severity.NOTE: 1}


@dataclass(frozen=True, slots=True)
class FoldedProblems:
    """Problems divided into those to show in full, and groups of one rule and severity that are only listed."""

    in_full: tuple[Problem, ...]
    listed: tuple[tuple[Problem, ...], ...]


def fold_problems(found: Sequence[Problem]) -> FoldedProblems:
    """Choose the first problems of each kind to be shown in full: errors first, of every kind one before the second.

    A kind is not folded for the sake of one problem, which takes no more room than the line about it.
    """
    times: Counter[tuple[str, ...]] = Counter()
    total = Counter(_kind(problem) for problem in found)
    ranks = dict[int, tuple[int, int]]()  # of a position: the severity, and how many of its kind stand before it
    for position, problem in enumerate(found):
        kind, severity = _kind(problem), problem.finding.severity
        limit = _MAX_OF_ONE_KIND[severity]
        if times[kind] < (limit if total[kind] > limit + 1 else limit + 1):
            ranks[position] = SEVERITY_RANKS[severity], times[kind]
        times[kind] += 1
    chosen = set(sorted(ranks, key=ranks.__getitem__)[:_MAX_IN_FULL])
    groups: dict[tuple[str, Severity], list[Problem]] = {}
    for position, problem in enumerate(found):
        if position not in chosen:
            groups.setdefault((problem.finding.rule, problem.finding.severity), []).append(problem)
    in_full = tuple(problem for position, problem in enumerate(found) if position in chosen)
    return FoldedProblems(in_full, tuple(map(tuple, groups.values())))


def _kind(problem: Problem) -> tuple[str, ...]:
    """Return what problems have in common that are alike; two revisions that fail do so for two reasons."""
    found = problem.finding
    return found.rule, found.severity.value, found.revision if "-fails" in found.rule else ""
