"""Findings for a reader: grouped by revision, the worst group first, and the verdict in the last line."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.report.folding import FoldedProblems, fold_problems
from dormatory.report.grouping import accepted_count, counts_by_severity, problems
from dormatory.report.sanitize import sanitize_line
from dormatory.system.text import first_line, name_list, quantity, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dormatory.checks.outcome import Outcome
    from dormatory.report.grouping import Problem

_MAX_SQL_LINES, _MAX_SQL_WIDTH = 4, 160
_MAX_LISTED = {Severity.ERROR: 20, Severity.WARNING: 5, Severity.NOTE: 0}
_STYLES = {
    "error": "bold red",
    "warning": "bold yellow",
    "note": "cyan",
    "strong": "bold",
    "faint": "dim",
    "fix": "green",
}
# Pieces of a line, each with the name of its style.  A line of external text begins with a bar: it is never taken for
# one of ours, nor for a command to a build server, which reads lines that begin with two colons.
_Line = tuple[tuple[str, str], ...]
_CONTINUATION_PREFIX = "    | "


def findings_text(outcome: Outcome, base: Path, *, colours: bool = False, verbose: bool = False) -> str:
    """Return the findings and the verdict, paths relative to `base`; one line if nothing was found.

    Of many findings of one rule only the first are shown in full, unless `verbose`. Colours change nothing in the text.
    """
    show = _coloured_piece if colours else _plain_piece
    found = problems(outcome, base)
    folded = FoldedProblems(found, ()) if verbose else fold_problems(found)
    lines = (*_report_lines(folded), *_closing_lines(outcome, found))
    return "".join("".join(show(*piece) for piece in line) + "\n" for line in lines)


def verdict(outcome: Outcome, found: Sequence[Problem]) -> str:
    """Return in one line how much was found, on which servers, what is hidden, and what was not looked at."""
    names = ", ".join(sanitize_line(server.name) for server in outcome.servers)
    where = f" on {names}" if names else "" if outcome.unchecked else ", no database was asked"
    hidden = {"suppressed": outcome.suppressed, "accepted": accepted_count(outcome)}
    counts = ", ".join(f"{number} {word}" for word, number in hidden.items() if number)
    unchecked = Counter(noun for noun, _ in dict.fromkeys((item.noun, item.name) for item in outcome.unchecked))
    gaps = " and ".join(quantity(number, noun) for noun, number in unchecked.items())
    summary = severity_summary(found) or "no findings"
    return f"{summary}{where}{f' ({counts})' if counts else ''}{f'; not looked at: {gaps}' if gaps else ''}"


def severity_summary(found: Sequence[Problem]) -> str:
    """Return the number of problems of each severity, such as `1 error, 2 notes`; "" for none."""
    return ", ".join(
        quantity(number, severity.value) for severity, number in counts_by_severity(found).items() if number
    )


def _plain_piece(piece: str, _style: str) -> str:
    return piece


def _coloured_piece(piece: str, style: str) -> str:
    before, after = _ansi_codes(style)
    return f"{before}{piece}{after}"


@cache
def _ansi_codes(style: str) -> tuple[str, str]:
    """Return the codes before and after a piece; only the eight colours that every terminal has."""
    if not style:
        return "", ""
    from rich.color import ColorSystem  # noqa: PLC0415  # for a terminal only: it takes a while to load
    from rich.style import Style  # noqa: PLC0415

    before, _, after = Style.parse(_STYLES[style]).render("|", color_system=ColorSystem.STANDARD).partition("|")
    return before, after


def _report_lines(folded: FoldedProblems) -> Iterator[_Line]:
    # the worst problem comes first, so the groups are in the order of their worst problems
    groups: dict[str, list[Problem]] = {}
    for problem in folded.in_full:
        groups.setdefault(problem.finding.revision, []).append(problem)
    for revision, group in groups.items():
        yield (f"revision {revision}" if revision else "the project", "strong"), (f": {severity_summary(group)}", "")
        for problem in group:
            yield from _problem_lines(problem)
        yield ()
    if folded.listed:
        yield ("more like these", "strong"), (", in full with --verbose", "")
        for listed in folded.listed:
            yield from _listed_lines(listed)
        yield ()


def _closing_lines(outcome: Outcome, found: Sequence[Problem]) -> Iterator[_Line]:
    """Yield what was not looked at, where rules are explained, and the verdict."""
    gaps: dict[tuple[str, str, str], list[str]] = {}
    for item in outcome.unchecked:
        gaps.setdefault((item.noun, item.backend, item.reason), []).append(sanitize_line(item.name))
    for (noun, backend, reason), names in gaps.items():
        what = f"{quantity(len(names), noun)} on {sanitize_line(backend)}: {name_list(names)}"
        yield ("not looked at: ", "strong"), (f"{what} ({sanitize_line(reason)})", "")
    if found:
        rule = found[0].finding.rule
        yield (f"what a rule means, and how it is done right: inv db.check --explain {rule}", "faint"), ("", "")
    worst = found[0].finding.severity.value if found else ""
    yield ((verdict(outcome, found), worst if worst != Severity.NOTE.value else ""),)


def _listed_lines(listed: Sequence[Problem]) -> Iterator[_Line]:
    """Yield a rule with the number of its further problems, and what the first of them are."""
    first = listed[0].finding
    yield ("  ", ""), (f"{first.severity.value}[{first.rule}]", first.severity.value), (f" {len(listed)} more", "")
    limit = _MAX_LISTED[first.severity]
    for problem in listed[:limit]:
        message = shorten(first_line(problem.finding.message), _MAX_SQL_WIDTH)
        place = str(problem.finding.location)
        yield (f"    - {message}", ""), (f" at {place}" if place else "", "faint")
    if limit and listed[limit:]:
        revisions = dict.fromkeys(problem.finding.revision for problem in listed[limit:])
        names = name_list([revision for revision in revisions if revision])
        yield ((f"    and {len(listed) - limit} more{f', in {names}' if names else ''}", ""),)


def _problem_lines(problem: Problem) -> Iterator[_Line]:
    first, *rest = problem.finding.message.split("\n")
    yield (
        ("  ", ""),
        (f"{problem.finding.severity.value}[{problem.finding.rule}]", problem.finding.severity.value),
        (f" {first}", ""),
    )
    yield from (((_CONTINUATION_PREFIX + line, ""),) for line in rest)
    place = str(problem.finding.location)
    ran = f"on {' and '.join(problem.backends)}" if problem.backends else ""
    if where := " ".join(part for part in (place, ran) if part):
        # with a character next to it, a terminal does not make the place a link
        yield ("    at " if place else "    ", "faint"), (where, "")
    for _, sql in problem.statements[:1]:
        yield from (((_CONTINUATION_PREFIX + line, "faint"),) for line in _sql_excerpt(sql))
    if problem.finding.hint:
        fix, *more = problem.finding.hint.split("\n")
        yield ("    fix: ", "fix"), (fix, "")
        yield from (((_CONTINUATION_PREFIX + line, ""),) for line in more)


def _sql_excerpt(sql: str) -> Iterator[str]:
    """Yield the first lines of a statement, and the number of the others."""
    lines = [line.rstrip() for line in sql.expandtabs(4).splitlines() if line.strip()]
    margin = min((len(line) - len(line.lstrip()) for line in lines), default=0)
    # one more line takes no more room than the message about it
    end = _MAX_SQL_LINES if len(lines) > _MAX_SQL_LINES + 1 else len(lines)
    yield from (shorten(line[margin:], _MAX_SQL_WIDTH) for line in lines[:end])
    if lines[end:]:
        yield f"… {quantity(len(lines) - end, 'more line')}"
