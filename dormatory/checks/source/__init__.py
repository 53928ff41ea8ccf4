"""Checks of a revision's own text: pure, over its syntax tree; nothing is imported or run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.registry import NAMES
from dormatory.checks.source.call_sites import Paths
from dormatory.checks.source.colons import colons
from dormatory.checks.source.imports import Application, imports
from dormatory.checks.source.naming import naming
from dormatory.checks.source.portability import dead_branches, dialect_only
from dormatory.checks.source.resolver import Reading
from dormatory.checks.source.revision import Revised
from dormatory.checks.source.transactions import transactions

if TYPE_CHECKING:
    import ast
    from collections.abc import Collection, Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.project.history import Revision
    from dormatory.project.revision_files import Script
    from dormatory.recording.model import Recording

__all__ = ["Application", "read", "source"]

_FEWEST_WORDS = 2  # as a new revision is asked for, too


def source(
    scripts: Sequence[Script],
    application: Application,
    *,
    backends: Collection[str] = NAMES,
    large_tables: Collection[str] = (),
    recordings: Sequence[Recording] = (),
) -> Iterator[Finding]:
    """Report what will break, block or be unclear in revisions, at the line where it stands.

    `backends` are those that the revisions are judged for; `recordings`, where there are any, tell which branches ran.
    """
    for script in scripts:
        if script.tree is None or script.revision is None:
            continue
        revised = read(script.tree, script.source, script.revision, backends)
        found = (
            *imports(revised, application),
            *naming(revised),
            *colons(revised),
            *transactions(revised, large_tables),
            *dialect_only(revised),
            *dead_branches(revised, recordings),
            *_title(revised),
        )
        # One line may be reached in several ways.
        yield from sorted(dict.fromkeys(found), key=lambda finding: (finding.line, finding.column))


def read(tree: ast.Module, text: bytes, revision: Revision, backends: Collection[str] = NAMES) -> Revised:
    """Return a revision with the calls that it makes."""
    reading = Reading(tree, text.decode(errors="replace").splitlines())
    paths = Paths(reading)
    return Revised(revision, reading, paths, tuple(paths.sites()), frozenset(backends))


def _title(revised: Revised) -> Iterator[Finding]:
    title, is_merge = revised.revision.title, len(revised.revision.parents) > 1
    if not is_merge and len(title.split()) < _FEWEST_WORDS:
        message = f'the title "{title}" says too little' if title else "it has no title"
        hint = "say in two words or more what it does, in the first line of its docstring"
        yield revised.finding("message-too-short", revised.reading.tree, message, hint, line=1)
