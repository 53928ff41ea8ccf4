"""Findings for a reader: grouped by revision, the worst group first, and the verdict in the last line."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.report.folding import FoldedProblems, fold_problems
from dormatory.report.grouping import accepted_count, counts_by_severity, problems
from dormatory.report.layout import column_after, shorten_words, wrap_parts, wrap_words
from dormatory.report.sanitize import sanitize_line
from dormatory.report.styles import PLAIN, text_of
from dormatory.system.text import first_line, name_list, quantity, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dormatory.checks.outcome import Outcome
    from dormatory.report.grouping import Problem
    from dormatory.report.styles import Line, TextStyle

_MAX_SQL_LINES, _MAX_SQL_WIDTH = 4, 160
_MAX_LISTED = {Severity.ERROR: 20, Severity.WARNING: 5, Severity.NOTE: 0}
_MARKS = {Severity.ERROR: "✗", Severity.WARNING: "!", Severity.NOTE: "·"}
_MESSAGE_INDENT, _DETAIL_INDENT = "    ", "      "


def findings_text(outcome: Outcome, base: Path, style: TextStyle = PLAIN, *, verbose: bool = False) -> str:
    """Return the findings and the verdict, paths relative to `base`; one line if nothing was found.

    Of many findings of one rule only the first are shown in full, unless `verbose`, which also shows the SQL. The
    style changes nothing in the words.
    """
    found = problems(outcome, base)
    folded = FoldedProblems(found, ()) if verbose else fold_problems(found)
    lines = (
        *_Writer(outcome, style.width, is_verbose=verbose).report_lines(folded),
        *_closing_lines(outcome, found, style.width),
    )
    return text_of(lines, style)


def verdict(outcome: Outcome, found: Sequence[Problem]) -> str:
    """Return in one line how much was found, on which servers, what is hidden, and what was not looked at."""
    return " · ".join(_verdict_parts(outcome, found))


def _verdict_parts(outcome: Outcome, found: Sequence[Problem]) -> Iterator[str]:
    summary = severity_summary(found) or "no findings"
    if outcome.servers:
        where = f"on {' and '.join(sanitize_line(server.name) for server in outcome.servers)}"
        played = quantity(len(outcome.revisions), "revision")
        where += f" in {outcome.seconds:.1f} s" if outcome.seconds else ""
        yield from (summary, f"{played} {where}") if outcome.revisions else (f"{summary} {where}",)
    else:
        yield summary
    if not outcome.servers and not outcome.unchecked:
        yield "no database was asked"
    hidden = {"suppressed": outcome.suppressed, "accepted": accepted_count(outcome)}
    if counts := ", ".join(f"{number} {word}" for word, number in hidden.items() if number):
        yield counts
    unchecked = Counter(noun for noun, _ in dict.fromkeys((item.noun, item.name) for item in outcome.unchecked))
    if gaps := " and ".join(quantity(number, noun) for noun, number in unchecked.items()):
        yield f"not looked at: {gaps}"


def severity_summary(found: Sequence[Problem]) -> str:
    """Return the number of problems of each severity, such as `1 error, 2 notes`; "" for none."""
    return ", ".join(
        quantity(number, severity.value) for severity, number in counts_by_severity(found).items() if number
    )


class _Writer:
    """Writes problems in lines of a width: each with its place, its backends and its rule at the right."""

    def __init__(self, outcome: Outcome, width: int | None, *, is_verbose: bool) -> None:
        self._titles, self._width, self._is_verbose = outcome.titles, width, is_verbose

    def report_lines(self, folded: FoldedProblems) -> Iterator[Line]:
        """Yield the groups in the order of their worst problems, and the further problems of each kind."""
        groups: dict[str, list[Problem]] = {}
        for problem in folded.in_full:
            groups.setdefault(problem.finding.revision, []).append(problem)
        for revision, group in groups.items():
            paths = Counter(problem.finding.location.path for problem in group if revision)
            file = max(paths, key=paths.__getitem__, default="")
            yield self._heading(revision, file)
            for problem, following in zip(group, (*group[1:], None), strict=True):
                is_repeated = following is not None and following.finding.hint == problem.finding.hint
                yield from self._problem_lines(problem, file, has_hint=not is_repeated)
            yield ()
        if folded.listed:
            yield ("more like these", "strong"), (", in full with --verbose", "")
            for listed in folded.listed:
                yield from self._listed_lines(listed)
            yield ()

    def _heading(self, revision: str, file: str) -> Line:
        title = sanitize_line(self._titles.get(revision, ""))
        heading = shorten_words(_safe(f"{revision or 'the project'}  {title}".rstrip()), self._width)
        return (heading, "strong"), (column_after(heading, file, self._width) if file else "", "faint")

    def _problem_lines(self, problem: Problem, file: str, *, has_hint: bool) -> Iterator[Line]:
        found, style = problem.finding, problem.finding.severity.value
        message, *rest = found.message.split("\n")
        lines = [_safe(line) for line in wrap_words(message, self._width, _MESSAGE_INDENT)]
        place = column_after(lines[-1], _place(problem, file), self._width)
        for number, line in enumerate(lines, 1):
            mark = _MESSAGE_INDENT if number > 1 else f"  {_MARKS[found.severity]} "
            yield (mark, style), (line[len(mark) :], ""), (place if number == len(lines) else "", "faint")
        if found.severity is Severity.NOTE and not self._is_verbose:
            return
        yield from (((_safe(line), ""),) for text in rest for line in wrap_words(text, self._width, _DETAIL_INDENT))
        for _, sql in problem.statements[:1] if self._is_verbose else ():
            yield from (((_safe(_DETAIL_INDENT + line), "faint"),) for line in _sql_excerpt(sql))
        if not has_hint:
            return
        fix, *code = found.hint.split("\n")
        advice = (*wrap_words(fix, self._width, _DETAIL_INDENT), *(_DETAIL_INDENT + line for line in code))
        yield from (((_safe(line), "fix"),) for line in advice if line.strip())

    def _listed_lines(self, listed: Sequence[Problem]) -> Iterator[Line]:
        """Yield a rule with the number of its further problems, and what the first of them are."""
        first = listed[0].finding
        yield (f"  {_MARKS[first.severity]} ", first.severity.value), (f"{first.rule}: {len(listed)} more", "")
        limit = _MAX_LISTED[first.severity]
        for problem in listed[:limit]:
            place = str(problem.finding.location)
            room = None if self._width is None else self._width - len(_DETAIL_INDENT) - len(place) - 2
            line = _safe(_DETAIL_INDENT + shorten_words(first_line(problem.finding.message), room))
            yield (line, ""), (column_after(line, place, self._width) if place else "", "faint")
        if limit and listed[limit:]:
            revisions = dict.fromkeys(problem.finding.revision for problem in listed[limit:])
            names = name_list([revision for revision in revisions if revision])
            yield ((f"{_DETAIL_INDENT}and {len(listed) - limit} more{f', in {names}' if names else ''}", ""),)


def _place(problem: Problem, file: str) -> str:
    """Return the line, with the file where the heading names another one, the backends and the rule."""
    location = replace(problem.finding.location, column=0)
    place = f":{location.line}" if location.line else ""
    return "  ".join(
        part
        for part in (
            place if location.path == file and file else str(location),
            ", ".join(problem.backends),
            problem.finding.rule,
        )
        if part
    )


def _safe(line: str) -> str:
    """Return a line that no build server takes for a command: it reads those that begin with two colons."""
    text = line.lstrip()
    return f"{line[: len(line) - len(text)]}| {text}" if text.startswith("::") else line


def _closing_lines(outcome: Outcome, found: Sequence[Problem], width: int | None) -> Iterator[Line]:
    """Yield what was not looked at, and the verdict with where rules are explained."""
    gaps: dict[tuple[str, str, str], list[str]] = {}
    for item in outcome.unchecked:
        gaps.setdefault((item.noun, item.backend, item.reason), []).append(sanitize_line(item.name))
    for (noun, backend, reason), names in gaps.items():
        what = f"{quantity(len(names), noun)} on {sanitize_line(backend)}: {name_list(names)}"
        yield from (
            ((line, ""),) for line in wrap_words(f"not looked at: {what} ({sanitize_line(reason)})", width, "  ", "")
        )
    first, *others = _verdict_parts(outcome, found)
    explained = [f"inv db.check --explain {found[0].finding.rule}"] if found else []
    worst = found[0].finding.severity.value if found else ""
    summary, *rest = wrap_parts((first, *others, *explained), width)
    yield (first, worst if worst != Severity.NOTE.value else ""), (summary.removeprefix(first), "")
    yield from (((line, ""),) for line in rest)


def _sql_excerpt(sql: str) -> Iterator[str]:
    """Yield the first lines of a statement, and the number of the others."""
    lines = [line.rstrip() for line in sql.expandtabs(4).splitlines() if line.strip()]
    margin = min((len(line) - len(line.lstrip()) for line in lines), default=0)
    # one more line takes no more room than the message about it
    end = _MAX_SQL_LINES if len(lines) > _MAX_SQL_LINES + 1 else len(lines)
    yield from (shorten(line[margin:], _MAX_SQL_WIDTH) for line in lines[:end])
    if lines[end:]:
        yield f"… {quantity(len(lines) - end, 'more line')}"
