"""Checks of the revision graph: pure, over the files of a history; no database, nothing imported or run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.names import BACKEND_NAMES
from dormatory.checks.branch_conflicts import branch_conflicts
from dormatory.checks.finding import Severity
from dormatory.checks.revision_files import check_revision_files, finding_in, revision_of, unreadable_revision
from dormatory.checks.rule import Rule
from dormatory.project.graph import RevisionGraph

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.project.script import Script

SEVERAL_HEADS = Rule(
    "several-heads",
    "graph",
    Severity.ERROR,
    meaning="the history ends in more than one revision",
    why="""Two revisions were written on the same parent. Git merged them without a conflict, `head` means neither, and
    the next upgrade fails for everybody. Branches that each have a label of their own are meant to stay side by
    side: that is a note.""",
    recipe="""
    # the newer one goes behind the other:
    down_revision = "014"
    # or both are joined:
    alembic merge 014 015 -m "Join two branches"
    """,
)

DUPLICATE_ID = Rule(
    "duplicate-id",
    "graph",
    Severity.ERROR,
    meaning="two files claim the same revision id",
    why="""Two people took the same number. Alembic keeps one of the two files, and databases that have run the other
    one count as migrated.""",
    recipe="""
    # the newer one takes the next free number, in its name and in:
    revision = "015"
    down_revision = "014"
    """,
)

MISSING_PARENT = Rule(
    "missing-parent",
    "graph",
    Severity.ERROR,
    meaning="a revision builds on one that no file has",
    why="The file was deleted, renamed or never merged. Alembic does not start at all.",
    recipe='down_revision = "014"  # a revision that is there; or restore the file',
)

CYCLE = Rule(
    "cycle",
    "graph",
    Severity.ERROR,
    meaning="revisions come before each other",
    why="No order of upgrade exists, so Alembic does not start at all.",
    recipe='down_revision = "013"  # the one that was written before it',
)

UNREACHABLE_REVISION = Rule(
    "unreachable-revision",
    "graph",
    Severity.ERROR,
    meaning="no way leads to a revision from the empty database",
    why="What it builds on lacks a parent or lies in a cycle, so it is never applied.",
    recipe='down_revision = "014"  # fix the revisions below it first',
)


def check_graph(scripts: Sequence[Script], *, backends: Collection[str] = BACKEND_NAMES) -> Iterator[Finding]:
    """Report everything that is wrong with how files form a history, all at once."""
    graph = RevisionGraph(scripts)
    for script in scripts:
        yield from unreadable_revision(script)
    for script, first in graph.duplicates:
        message = f"{first.path.name} claims revision {revision_of(script).id}, too"
        hint = (
            f'give one of them another id, in revision = "..." and in its name: {script.path.name} or {first.path.name}'
        )
        yield finding_in(script, DUPLICATE_ID, message, hint, name="revision")
    for script, parent in graph.missing_parents:
        message, hint = f"it builds on {parent}, which no file has", "restore that file, or correct the name"
        yield finding_in(script, MISSING_PARENT, message, hint, name="down_revision")
    for cycle in graph.cycles:
        message = f"revisions {' → '.join([*cycle, cycle[0]])} form a cycle"
        hint = "let one of them build on an older revision: down_revision = ..."
        yield finding_in(graph.scripts[cycle[0]], CYCLE, message, hint, name="down_revision")
    for name in graph.unreachable:
        message, hint = "no way leads here from the empty database", "fix the revisions that it builds on"
        yield finding_in(graph.scripts[name], UNREACHABLE_REVISION, message, hint)
    if len(graph.heads) > 1:
        yield _several_heads(graph)
    yield from branch_conflicts(graph)
    yield from check_revision_files(tuple(graph.scripts.values()), backends)


def _several_heads(graph: RevisionGraph) -> Finding:
    heads, script = graph.heads, graph.scripts[graph.heads[-1]]
    message = f"the history has {len(heads)} heads: {', '.join(heads)}"
    if graph.has_labelled_heads:
        message, hint = f"{message}, each of a branch with a label of its own", "upgrade with: alembic upgrade heads"
        return finding_in(script, SEVERAL_HEADS, message, hint, severity=Severity.NOTE)
    parents = f'down_revision = "{heads[0]}" in {script.path.name}, or the other way round'
    hint = f'{parents}; or join them: alembic merge -m "Join {" and ".join(heads)}" {" ".join(heads)}'
    return finding_in(script, SEVERAL_HEADS, message, hint)
