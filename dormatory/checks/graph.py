"""Checks of the revision graph: pure, over the files of a history; no database, nothing imported or run."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from dormatory.backends.registry import BACKEND_NAMES, backend_by_name
from dormatory.checks.branch_conflicts import branch_conflicts
from dormatory.checks.finding import Severity
from dormatory.checks.registry import finding
from dormatory.project.graph import RevisionGraph
from dormatory.project.script import function_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.project.script import Revision, Script

MAX_ID_LENGTH = 32  # what Alembic's version table holds
_JOIN_HINT = "re-parent the newer one, or join them with: alembic merge"


def check_graph(scripts: Sequence[Script], *, backends: Collection[str] = BACKEND_NAMES) -> Iterator[Finding]:
    """Report everything that is wrong with how files make a history, all at once; what does not fit is left out."""
    graph = RevisionGraph(scripts)
    for script in scripts:
        yield from _unreadable_revision(script)
    for script, first in graph.duplicates:
        message = f"{first.path.name} claims revision {_revision_of(script).id}, too"
        yield _finding_at(script, "duplicate-id", message, "give the newer one the next free number", name="revision")
    for script, parent in graph.missing_parents:
        message = f"it builds on {parent}, which no file has"
        yield _finding_at(
            script, "missing-parent", message, "restore that file, or correct the name", name="down_revision"
        )
    for cycle in graph.cycles:
        message = f"revisions {' → '.join([*cycle, cycle[0]])} form a cycle"
        script = graph.scripts[cycle[0]]
        yield _finding_at(script, "cycle", message, "correct their down_revision", name="down_revision")
    for name in graph.unreachable:
        hint = "mend the revisions that it builds on"
        yield _finding_at(
            graph.scripts[name], "unreachable-revision", "no way leads here from the empty database", hint
        )
    if len(graph.heads) > 1:
        yield _several_heads(graph)
    yield from branch_conflicts(graph)
    yield from _check_each_revision(tuple(graph.scripts.values()), backends)


def _several_heads(graph: RevisionGraph) -> Finding:
    heads, script = graph.heads, graph.scripts[graph.heads[-1]]
    message = f"the history has {len(heads)} heads: {', '.join(heads)}"
    if graph.has_labelled_heads:
        message, hint = f"{message}, each of a branch with a label of its own", "upgrade with: alembic upgrade heads"
        return _finding_at(script, "several-heads", message, hint, severity=Severity.NOTE)
    return _finding_at(script, "several-heads", message, f"{_JOIN_HINT} {' '.join(heads)}")


def _unreadable_revision(script: Script) -> Iterator[Finding]:
    if script.tree is None:
        message = f"it does not parse: {script.problem}"
        yield finding("unreadable-revision", message, "mend the file", file=str(script.path), line=script.line)
    elif script.revision is None:
        line = function_line(script.tree, "revision")
        message = "its revision is no plain text" if line else "it assigns no revision, and Alembic refuses it"
        hint = 'write revision = "..." into it, or put a helper elsewhere'
        yield finding("unreadable-revision", message, hint, file=str(script.path), line=line or 1)


def _check_each_revision(scripts: Sequence[Script], backends: Collection[str]) -> Iterator[Finding]:
    """Report what is wrong with each revision by itself."""
    has_downgrades = any(_revision_of(script).downgrade_line for script in scripts)
    if scripts and not has_downgrades:
        hint = "write downgrades, or set irreversible in each revision"
        yield _finding_at(scripts[0], "no-downgrades", "no revision of this history has a downgrade", hint)
    names_agree = 2 * sum(_has_id_in_name(script) for script in scripts) > len(scripts)
    ids = {_revision_of(script).id for script in scripts}
    for script in scripts:
        revision = _revision_of(script)
        if has_downgrades and not revision.downgrade_line and not revision.irreversible:
            hint = "write it, or declare: irreversible = ..."
            yield _finding_at(script, "no-downgrade", "it has no downgrade function", hint)
        yield from _empty_upgrade(script)
        if len(revision.id) > MAX_ID_LENGTH:
            message = f"its id has {len(revision.id)} characters, the version table holds {MAX_ID_LENGTH}"
            is_refused = any(backend_by_name(name).limits_text_length for name in backends)
            severity = None if is_refused else Severity.NOTE
            yield _finding_at(
                script, "id-too-long", message, "choose a shorter one", severity=severity, name="revision"
            )
        if not _has_id_in_name(script) and (names_agree or script.path.stem.partition("_")[0] in ids):
            message = f"the file is called {script.path.name}, its revision {revision.id}"
            yield _finding_at(script, "file-name", message, "rename one of them", name="revision")


def _empty_upgrade(script: Script) -> Iterator[Finding]:
    """Report an upgrade that does nothing, where it is not the point of the revision."""
    revision, tree = _revision_of(script), script.tree
    if tree is None:
        return
    function = next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "upgrade"), None)
    if function is None:
        if not function_line(tree, "upgrade"):
            message, hint = "it has no upgrade function", "write it: def upgrade() -> None:"
            yield _finding_at(script, "empty-revision", message, hint, severity=Severity.ERROR)
        return
    is_meant = len(revision.parents) > 1 or revision.labels or revision.depends_on
    if not is_meant and all(_is_no_op(node) for node in function.body):
        severity = None if revision.parents else Severity.NOTE  # where a project starts from tables made elsewhere
        message, hint = "its upgrade does nothing", "write what its title says, or remove it"
        yield _finding_at(script, "empty-revision", message, hint, severity=severity, line=function.lineno)


def _is_no_op(node: ast.stmt) -> bool:
    match node:
        case ast.Pass() | ast.Expr(value=ast.Constant()) | ast.Return(value=None | ast.Constant(value=None)):
            return True
        case ast.If(body=body, orelse=other):
            return all(map(_is_no_op, (*body, *other)))
        case ast.With(
            items=[ast.withitem(context_expr=ast.Call(func=ast.Attribute(attr="batch_alter_table")) as batch)]
        ):
            is_forced = any(word.arg == "recreate" for word in batch.keywords)
            return not is_forced and all(map(_is_no_op, node.body))
    return False


def _has_id_in_name(script: Script) -> bool:
    """Say whether a file's name holds the id of its revision, as Alembic writes both."""
    return _revision_of(script).id.lower() in script.path.stem.lower()


def _revision_of(script: Script) -> Revision:
    assert script.revision is not None  # noqa: S101  # Links keeps those only that have one
    return script.revision


def _finding_at(
    script: Script,
    rule: str,
    message: str,
    hint: str,
    *,
    name: str = "",
    line: int = 0,
    severity: Severity | None = None,
) -> Finding:
    """Return a finding in a file: at a line, or where the file assigns a name."""
    line = line or (function_line(script.tree, name) if name and script.tree is not None else 0) or 1
    where = {"revision": _revision_of(script).id, "file": str(script.path), "line": line}
    return finding(rule, message, hint, severity=severity, **where)
