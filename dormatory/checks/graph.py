"""Checks of the revision graph: pure, over the files of a history; no database, nothing imported or run."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from dormatory.backends.registry import NAMES
from dormatory.checks.branch_conflicts import collisions
from dormatory.checks.finding import Severity
from dormatory.checks.registry import finding
from dormatory.project.graph import Links
from dormatory.project.history import line_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.project.history import Revision
    from dormatory.project.revision_files import Script

LONGEST_ID = 32  # what Alembic's version table holds
_JOIN = "re-parent the newer one, or join them with: alembic merge"


def graph(scripts: Sequence[Script], *, backends: Collection[str] = NAMES) -> Iterator[Finding]:
    """Report everything that is wrong with how files make a history, all at once; what does not fit is left out."""
    links = Links(scripts)
    for script in scripts:
        yield from _readable(script)
    for script, first in links.duplicates:
        message = f"{first.path.name} claims revision {_of(script).id}, too"
        yield _at(script, "duplicate-id", message, "give the newer one the next free number", name="revision")
    for script, parent in links.missing:
        message = f"it builds on {parent}, which no file has"
        yield _at(script, "missing-parent", message, "restore that file, or correct the name", name="down_revision")
    for cycle in links.cycles:
        message = f"revisions {' → '.join([*cycle, cycle[0]])} form a cycle"
        script = links.scripts[cycle[0]]
        yield _at(script, "cycle", message, "correct their down_revision", name="down_revision")
    for name in links.unreachable:
        hint = "mend the revisions that it builds on"
        yield _at(links.scripts[name], "unreachable-revision", "no way leads here from the empty database", hint)
    if len(links.heads) > 1:
        yield _several_heads(links)
    yield from collisions(links)
    yield from _single(tuple(links.scripts.values()), backends)


def _several_heads(links: Links) -> Finding:
    heads, script = links.heads, links.scripts[links.heads[-1]]
    message = f"the history has {len(heads)} heads: {', '.join(heads)}"
    if links.are_apart:
        message, hint = f"{message}, each of a branch with a label of its own", "upgrade with: alembic upgrade heads"
        return _at(script, "several-heads", message, hint, severity=Severity.NOTE)
    return _at(script, "several-heads", message, f"{_JOIN} {' '.join(heads)}")


def _readable(script: Script) -> Iterator[Finding]:
    if script.tree is None:
        message = f"it does not parse: {script.problem}"
        yield finding("unreadable-revision", message, "mend the file", file=str(script.path), line=script.line)
    elif script.revision is None:
        line = line_of(script.tree, "revision")
        message = "its revision is no plain text" if line else "it assigns no revision, and Alembic refuses it"
        hint = 'write revision = "..." into it, or put a helper elsewhere'
        yield finding("unreadable-revision", message, hint, file=str(script.path), line=line or 1)


def _single(scripts: Sequence[Script], backends: Collection[str]) -> Iterator[Finding]:
    """Report what is wrong with each revision by itself."""
    has_downgrades = any(_of(script).downgrade_line for script in scripts)
    if scripts and not has_downgrades:
        hint = "write downgrades, or set irreversible in each revision"
        yield _at(scripts[0], "no-downgrades", "no revision of this history has a downgrade", hint)
    names_agree = 2 * sum(_is_named(script) for script in scripts) > len(scripts)
    ids = {_of(script).id for script in scripts}
    for script in scripts:
        revision = _of(script)
        if has_downgrades and not revision.downgrade_line and not revision.irreversible:
            hint = "write it, or declare: irreversible = ..."
            yield _at(script, "no-downgrade", "it has no downgrade function", hint)
        yield from _empty(script)
        if len(revision.id) > LONGEST_ID:
            message = f"its id has {len(revision.id)} characters, the version table holds {LONGEST_ID}"
            severity = None if "postgresql" in backends else Severity.NOTE
            yield _at(script, "id-too-long", message, "choose a shorter one", severity=severity, name="revision")
        if not _is_named(script) and (names_agree or script.path.stem.partition("_")[0] in ids):
            message = f"the file is called {script.path.name}, its revision {revision.id}"
            yield _at(script, "file-name", message, "rename one of them", name="revision")


def _empty(script: Script) -> Iterator[Finding]:
    """Report an upgrade that does nothing, where it is not the point of the revision."""
    revision, tree = _of(script), script.tree
    if tree is None:
        return
    function = next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "upgrade"), None)
    if function is None:
        if not line_of(tree, "upgrade"):
            message, hint = "it has no upgrade function", "write it: def upgrade() -> None:"
            yield _at(script, "empty-revision", message, hint, severity=Severity.ERROR)
        return
    is_meant = len(revision.parents) > 1 or revision.labels or revision.depends_on
    if not is_meant and all(_does_nothing(node) for node in function.body):
        severity = None if revision.parents else Severity.NOTE  # where a project starts from tables made elsewhere
        message, hint = "its upgrade does nothing", "write what its title says, or remove it"
        yield _at(script, "empty-revision", message, hint, severity=severity, line=function.lineno)


def _does_nothing(node: ast.stmt) -> bool:
    match node:
        case ast.Pass() | ast.Expr(value=ast.Constant()) | ast.Return(value=None | ast.Constant(value=None)):
            return True
        case ast.If(body=body, orelse=other):
            return all(map(_does_nothing, (*body, *other)))
        case ast.With(
            items=[ast.withitem(context_expr=ast.Call(func=ast.Attribute(attr="batch_alter_table")) as batch)]
        ):
            is_forced = any(word.arg == "recreate" for word in batch.keywords)
            return not is_forced and all(map(_does_nothing, node.body))
    return False


def _is_named(script: Script) -> bool:
    """Say whether a file's name holds the id of its revision, as Alembic writes both."""
    return _of(script).id.lower() in script.path.stem.lower()


def _of(script: Script) -> Revision:
    assert script.revision is not None  # noqa: S101  # Links keeps those only that have one
    return script.revision


def _at(
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
    line = line or (line_of(script.tree, name) if name and script.tree is not None else 0) or 1
    where = {"revision": _of(script).id, "file": str(script.path), "line": line}
    return finding(rule, message, hint, severity=severity, **where)
