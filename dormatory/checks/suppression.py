"""Findings that a revision asks not to see, with the reason: pure, over findings and the files of a history.

    op.create_index("ix_room_floor", "room", ["floor"])  # db-check: ignore[index-not-concurrent] ten rows

The comment stands on the line that a finding names, on the first or last line of that line's statement, or alone above
it.  Alone above the first statement of the file, behind its docstring, it speaks of the whole revision.
"""

from __future__ import annotations

import ast
import difflib
import io
import re
import tokenize
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dormatory.checks.registry import FAMILIES, RULES, finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.project.script import Script

_SUPPRESSION_COMMENT = re.compile(r"#\s*db-check:\s*ignore\[(?P<rules>[^\]]*)\]\s*(?P<reason>.*)")
# What a published revision does is for versions.sum to allow, and a comment does not change its digest.
_UNSUPPRESSABLE_FAMILIES = frozenset({"integrity", "suppression"})


@dataclass(frozen=True, slots=True)
class _Suppression:
    """One rule that a comment names, and the lines that it speaks of; None for the whole file."""

    rule: str
    reason: str
    line: int
    lines: range | None

    def is_about(self, found: Finding) -> bool:
        """Say whether this is about a finding in the same file."""
        is_there = self.lines is None or found.line in self.lines
        return (
            bool(self.reason)
            and found.rule == self.rule
            and is_there
            and RULES[found.rule].family not in _UNSUPPRESSABLE_FAMILIES
        )


def apply_suppressions(
    findings: Iterable[Finding],
    scripts: Sequence[Script],
    *,
    families: Collection[str] = FAMILIES,
    revisions: Collection[str] | None = None,
) -> tuple[tuple[Finding, ...], int]:
    """Return the findings that stay, and how many do not; a comment without reason or use is a finding.

    `families` and `revisions` are those that were judged, None all of them: a comment elsewhere is not called useless.
    """
    comments = {str(script.path): tuple(_suppressions_in(script)) for script in scripts}
    kept: list[Finding] = []
    used = set[tuple[str, _Suppression]]()
    count = 0
    for found in findings:
        covering = {(found.file, item) for item in comments.get(found.file, ()) if item.is_about(found)}
        used |= covering
        count += bool(covering)
        kept += [] if covering else [found]
    ids = {str(script.path): script.revision.id for script in scripts if script.revision is not None}
    for file, items in comments.items():
        for item in items:
            where = {"file": file, "line": item.line, "revision": ids.get(file, "")}
            if (file, item) not in used and (revisions is None or ids.get(file) in revisions):
                kept += _unused_suppression(item, families, where)
    return tuple(kept), count


def _unused_suppression(item: _Suppression, families: Collection[str], where: dict[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with a comment that hid nothing."""
    if item.rule not in RULES:
        near = difflib.get_close_matches(item.rule, RULES, 1)
        hint = f"did you mean {near[0]}?" if near else "inv db.check shows the names of rules in brackets"
        message = f'there is no rule "{item.rule}"'
        yield finding("suppression-unused", message, hint, **where)
    elif not item.reason:
        hint = f"say why: # db-check: ignore[{item.rule}] reason"
        message = f"{item.rule} is to be ignored, and nothing says why"
        yield finding("suppression-without-reason", message, hint, **where)
    elif RULES[item.rule].family in _UNSUPPRESSABLE_FAMILIES:
        message = f"{item.rule} cannot be ignored by a comment"
        yield finding("suppression-unused", message, "give the reason: inv db.sum --reason", **where)
    elif RULES[item.rule].family in families:
        message = f"there is no {item.rule} here to be ignored"
        yield finding("suppression-unused", message, "remove the comment", **where)


def _suppressions_in(script: Script) -> Iterator[_Suppression]:
    """Yield what the comments of a file ask for."""
    if script.tree is None or b"db-check" not in script.source:
        return
    first = next((node.lineno for node in script.tree.body if not _is_docstring(node)), 0)
    code = {token.start[0] for token in _tokens(script) if token.type not in _TOKENS_WITHOUT_CODE}
    for token in _tokens(script):
        if token.type != tokenize.COMMENT or not (found := _SUPPRESSION_COMMENT.fullmatch(token.string.strip())):
            continue
        line = token.start[0]
        if line in code:
            lines: range | None = _statement_lines(script.tree, line)
        elif line < first:
            lines = None
        else:
            below = min((number for number in code if number > line), default=line)
            lines = _statement_lines(script.tree, below)
        for rule in found["rules"].split(","):
            yield _Suppression(rule.strip(), found["reason"].strip(), line, lines)


_TOKENS_WITHOUT_CODE = frozenset(
    {
        *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING),
        tokenize.ENDMARKER,
    }
)


def _tokens(script: Script) -> Iterator[tokenize.TokenInfo]:
    return tokenize.tokenize(io.BytesIO(script.source).readline)


def _statement_lines(tree: ast.Module, line: int) -> range:
    """Return the lines of the innermost statement around a line, if the line is its first or last, else the line.

    Of a statement with a body, these are the lines above the body.
    """
    around = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and line in _header_lines(node)]
    if not around:
        return range(line, line + 1)
    extent = _header_lines(min(around, key=lambda node: len(_header_lines(node))))
    return extent if line in (extent[0], extent[-1]) else range(line, line + 1)


def _header_lines(node: ast.stmt) -> range:
    body = getattr(node, "body", None)
    end = body[0].lineno if body else (node.end_lineno or node.lineno) + 1
    return range(node.lineno, max(end, node.lineno + 1))


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
