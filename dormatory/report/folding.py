"""Which problems a reader sees in full, and which are only listed, so that many of one kind do not hide the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dormatory.report.grouping import Problem

_MAX_IN_FULL = 20
_MAX_OF_ONE_RULE = {Severity.ERROR: 3, Severity.WARNING: 3, Severity.NOTE: 1}


@dataclass(frozen=True, slots=True)
class FoldedProblems:
    """Problems divided into those to show in full, and groups of one rule and severity that are only listed."""

    in_full: tuple[Problem, ...]
    listed: tuple[tuple[Problem, ...], ...]


def fold_problems(found: Sequence[Problem]) -> FoldedProblems:
    """Choose the first problems of each rule to be shown in full, of every rule one before the second of any.

    A group is not folded for the sake of one problem, which takes no more room than the line about it.
    """
    times: Counter[tuple[str, Severity]] = Counter()
    total = Counter(_kind(problem) for problem in found)
    turn = dict[int, int]()  # the position of a problem, and how many of its kind stand before it
    for position, problem in enumerate(found):
        limit = _MAX_OF_ONE_RULE[problem.finding.severity]
        if times[_kind(problem)] < (limit if total[_kind(problem)] > limit + 1 else limit + 1):
            turn[position] = times[_kind(problem)]
        times[_kind(problem)] += 1
    # a stable sort: in each turn, the worst stay first
    chosen = set(sorted(turn, key=lambda position: turn[position])[:_MAX_IN_FULL])
    groups: dict[tuple[str, Severity], list[Problem]] = {}
    for position, problem in enumerate(found):
        if position not in chosen:
            groups.setdefault(_kind(problem), []).append(problem)
    in_full = tuple(problem for position, problem in enumerate(found) if position in chosen)
    return FoldedProblems(in_full, tuple(map(tuple, groups.values())))


def _kind(problem: Problem) -> tuple[str, Severity]:
    return problem.finding.rule, problem.finding.severity
