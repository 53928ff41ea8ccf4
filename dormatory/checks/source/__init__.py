"""Checks of a revision's own text: pure, over its syntax tree; nothing is imported or run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dormatory.backends.names import BACKEND_NAMES
from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule
from dormatory.checks.source.call_sites import CallSiteFinder
from dormatory.checks.source.colons import unescaped_colons
from dormatory.checks.source.imports import ApplicationModules, application_imports
from dormatory.checks.source.naming import naming_problems
from dormatory.checks.source.played_legs import PlayedLegs
from dormatory.checks.source.portability import dead_branches, dialect_only_calls
from dormatory.checks.source.resolver import NameResolver
from dormatory.checks.source.revision import RevisionSource
from dormatory.checks.source.transaction_ends import ended_transactions, foreign_key_switches
from dormatory.checks.source.transactions import transaction_problems

if TYPE_CHECKING:
    import ast
    from collections.abc import Collection, Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.project.script import Revision, Script
    from dormatory.recording.model import Recording

__all__ = ["ApplicationModules", "check_source", "read_revision"]

_MIN_TITLE_WORDS = 2  # as inv db.revision requires, too


def check_source(
    scripts: Sequence[Script],
    application: ApplicationModules,
    *,
    backends: Collection[str] = BACKEND_NAMES,
    large_tables: Collection[str] = (),
    recordings: Sequence[Recording] = (),
) -> Iterator[Finding]:
    """Report what will break, block or be unclear in revisions, at the line where it stands.

    `backends` are those for which the revisions are checked; `recordings`, if there are any, show which calls ran and
    what they did.
    """
    for script in scripts:
        if script.tree is None or script.revision is None:
            continue
        source = read_revision(script.tree, script.source, script.revision, backends)
        played = PlayedLegs.of(source, recordings)
        found = (
            *application_imports(source, application),
            *naming_problems(source),
            *unescaped_colons(source),
            *ended_transactions(source, played),
            *foreign_key_switches(source, played),
            *transaction_problems(source, large_tables, played),
            *dialect_only_calls(source, played),
            *dead_branches(source, played),
            *_short_title(source),
        )
        # Several paths may lead to one line.
        yield from sorted(dict.fromkeys(found), key=lambda finding: (finding.location.line, finding.location.column))


def read_revision(
    tree: ast.Module, text: bytes, revision: Revision, backends: Collection[str] = BACKEND_NAMES
) -> RevisionSource:
    """Return a revision with its names resolved and the calls that it makes."""
    resolver = NameResolver(tree, text.decode(errors="replace").splitlines())
    finder = CallSiteFinder(resolver)
    return RevisionSource(revision, resolver, finder, tuple(finder.call_sites()), frozenset(backends))


MESSAGE_TOO_SHORT = Rule(
    "message-too-short",
    "source",
    Severity.NOTE,
    meaning="the title of a revision says too little",
    why="It is the file's name and all that the history shows. Two words or more say what it does.",
    recipe='"""Add user table."""',
)


def _short_title(source: RevisionSource) -> Iterator[Finding]:
    title, is_merge = source.revision.title, len(source.revision.parents) > 1
    if not is_merge and len(re.findall(r"[^\W_]+", title)) < _MIN_TITLE_WORDS:
        message = f'the title "{title}" says too little' if title else "it has no title"
        hint = "write in two words or more what it does, in the first line of its docstring"
        yield source.finding(MESSAGE_TOO_SHORT, source.resolver.tree, message, hint)
