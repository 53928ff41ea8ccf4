"""Findings that a comment in a revision hides, with the reason: pure, over findings and the files of a history.

    op.create_index("ix_room_floor", "room", ["floor"])  # db-check: ignore[index-not-concurrent] ten rows

The comment is on the line that a finding names, on the first or last line of that line's statement, or alone above
it.  Alone above the first statement of the file, after its docstring, it is about the whole revision.
"""

from __future__ import annotations

import difflib
import io
import re
import tokenize
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule, current_rule_id
from dormatory.checks.source.statement_lines import is_docstring, statement_lines
from dormatory.errors.location import Location

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.project.script import Script

_SUPPRESSION_COMMENT = re.compile(r"#\s*db-check:\s*ignore\[(?P<rules>[^\]]*)\]\s*(?P<reason>.*)")
# Only versions.sum can allow a change of a published revision; a comment does not change the revision's digest.
UNSUPPRESSABLE_FAMILIES = frozenset({"integrity", "suppression"})


@dataclass(frozen=True, slots=True)
class _Suppression:
    """One rule that a comment names, and the lines that the comment is about; None for the whole file."""

    rule: str
    reason: str
    location: Location
    lines: range | None

    def is_about(self, found: Finding, rules: Mapping[str, Rule]) -> bool:
        """Return whether this hides a finding in the same file."""
        is_there = self.lines is None or found.location.line in self.lines
        is_allowed = rules[found.rule].family not in UNSUPPRESSABLE_FAMILIES
        return bool(self.reason) and found.rule == self.rule and is_there and is_allowed


def apply_suppressions(
    findings: Iterable[Finding],
    scripts: Sequence[Script],
    rules: Mapping[str, Rule],
    *,
    families: Collection[str] | None = None,
    revisions: Collection[str] | None = None,
) -> tuple[tuple[Finding, ...], int]:
    """Return the findings that stay, and how many are hidden; a comment without reason or use is a finding.

    `rules` are all rules by id. `families` and `revisions` are those that were checked, None for all: a comment about
    others is not reported as unused.
    """
    comments = {str(script.path): tuple(_suppressions_in(script, rules)) for script in scripts}
    kept: list[Finding] = []
    used = set[_Suppression]()
    count = 0
    for found in findings:
        hiding = {item for item in comments.get(found.location.path, ()) if item.is_about(found, rules)}
        used |= hiding
        count += bool(hiding)
        kept += [] if hiding else [found]
    ids = {str(script.path): script.revision.id for script in scripts if script.revision is not None}
    for item in (item for items in comments.values() for item in items if item not in used):
        revision = ids.get(item.location.path, "")
        if revisions is None or revision in revisions:
            kept += _unused_suppression(item, revision, rules, families)
    return tuple(kept), count


SUPPRESSION_WITHOUT_REASON = Rule(
    "suppression-without-reason",
    "suppression",
    Severity.WARNING,
    meaning="a comment hides a finding without a reason; the finding stays",
    why="Nobody can tell later whether it still holds.",
    recipe='op.create_index("ix_a", "a", ["b"])  # db-check: ignore[index-not-concurrent] ten rows',
)

SUPPRESSION_UNUSED = Rule(
    "suppression-unused",
    "suppression",
    Severity.WARNING,
    meaning="a comment hides a finding that does not exist, or names an unknown rule",
    why="It would hide the next finding in that place.",
    recipe="# remove the comment, or move it to the line that the finding names",
)


def _unused_suppression(
    item: _Suppression, revision: str, rules: Mapping[str, Rule], families: Collection[str] | None
) -> Iterator[Finding]:
    """Yield what is wrong with a comment that hid nothing."""
    family = rules[item.rule].family if item.rule in rules else ""
    rule = SUPPRESSION_UNUSED
    if not family:
        near = difflib.get_close_matches(item.rule, rules, 1)
        hint = f"did you mean {near[0]}?" if near else "inv db.check shows the names of rules in brackets"
        message = f'there is no rule "{item.rule}"'
    elif not item.reason:
        rule, hint = SUPPRESSION_WITHOUT_REASON, f"give the reason: # db-check: ignore[{item.rule}] reason"
        message = f"the comment hides {item.rule} and gives no reason"
    elif family in UNSUPPRESSABLE_FAMILIES:
        message, hint = f"{item.rule} cannot be ignored by a comment", "give the reason: inv db.sum --reason"
    elif families is None or family in families:
        message, hint = f"there is no {item.rule} here that it could hide", "remove the comment"
    else:
        return
    yield rule.finding(message, hint, revision=revision, location=item.location)


def _suppressions_in(script: Script, rules: Mapping[str, Rule]) -> Iterator[_Suppression]:
    """Yield the suppressions in the comments of a file."""
    if script.tree is None or b"db-check" not in script.source:
        return
    first = next((node.lineno for node in script.tree.body if not is_docstring(node)), 0)
    code = {token.start[0] for token in _tokens(script) if token.type not in _TOKENS_WITHOUT_CODE}
    for token in _tokens(script):
        if token.type != tokenize.COMMENT or not (found := _SUPPRESSION_COMMENT.fullmatch(token.string.strip())):
            continue
        line = token.start[0]
        if line in code:
            lines: range | None = statement_lines(script.tree, line)
        elif line < first:
            lines = None
        else:
            below = min((number for number in code if number > line), default=line)
            lines = statement_lines(script.tree, below)
        for name in found["rules"].split(","):
            rule = current_rule_id(name.strip(), rules)
            yield _Suppression(rule, found["reason"].strip(), Location(str(script.path), line), lines)


_TOKENS_WITHOUT_CODE = frozenset(
    {
        *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING),
        tokenize.ENDMARKER,
    }
)


def _tokens(script: Script) -> Iterator[tokenize.TokenInfo]:
    return tokenize.tokenize(io.BytesIO(script.source).readline)
