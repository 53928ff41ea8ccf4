"""Checks of each revision file by itself: its id, its name and its two functions; nothing is imported or run."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from dormatory.backends.registry import dialect_by_name
from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule
from dormatory.errors.location import Location
from dormatory.project.script import function_definition, function_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.project.script import Revision, Script

MAX_ID_LENGTH = 32  # characters, as Alembic's version table stores them

UNREADABLE_REVISION = Rule(
    "unreadable-revision",
    "graph",
    Severity.ERROR,
    meaning="a file of the history does not parse, or assigns no revision",
    why="""Alembic imports every file of the directory of revisions and stops at the first that is none. Helpers belong
    elsewhere.""",
    recipe="""
    revision = "015"
    down_revision = "014"
    """,
)


def unreadable_revision(script: Script) -> Iterator[Finding]:
    """Report a file that does not parse, or that assigns no revision."""
    if script.tree is None:
        location = Location(str(script.path), script.line)
        message = f"it does not parse: {script.problem}"
        yield UNREADABLE_REVISION.finding(message, f"correct line {script.line}", location=location)
    elif script.revision is None:
        line = function_line(script.tree, "revision")
        message = (
            "what it assigns to revision or down_revision cannot be read, and importing it gives no revision"
            if line
            else "it assigns no revision, and Alembic refuses it"
        )
        hint = 'write revision = "..." into it, or put a helper elsewhere'
        yield UNREADABLE_REVISION.finding(message, hint, location=Location(str(script.path), line or 1))


NO_DOWNGRADE = Rule(
    "no-downgrade",
    "graph",
    Severity.ERROR,
    meaning="a revision has no downgrade function",
    why="Going back fails at this revision, most likely during a rollback in a hurry.",
    recipe="""
    def downgrade() -> None:
        op.drop_column("tag", "colour")

    # or, where there is no way back:
    def downgrade() -> None:
        raise NotImplementedError("the numbers were erased")
    """,
)

NO_DOWNGRADES = Rule(
    "no-downgrades",
    "graph",
    Severity.WARNING,
    meaning="no revision of the history has a downgrade function",
    why="The project is never downgraded. That may be intended, so it is reported once.",
    recipe='irreversible = "restore the backup"  # at the top of each revision',
)

ID_TOO_LONG = Rule(
    "id-too-long",
    "graph",
    Severity.ERROR,
    meaning="a revision id has more than 32 characters",
    why="""The version table holds 32. SQLite does not mind; PostgreSQL fails after the revision's own statements have
    run.""",
    recipe='revision = "015"',
)

FILE_NAME = Rule(
    "file-name",
    "graph",
    Severity.WARNING,
    meaning="a file's name and its revision id disagree",
    why="Whoever looks for the revision finds another one, and two files may come to claim one number.",
    recipe="git mv alembic/versions/014_add_tags.py alembic/versions/015_add_tags.py",
)


def check_revision_files(scripts: Sequence[Script], backends: Collection[str]) -> Iterator[Finding]:
    """Report what is wrong with each of some files that assign a revision."""
    has_downgrades = any(revision_of(script).downgrade_line for script in scripts)
    if scripts and not has_downgrades:
        message = "no revision of this history has a downgrade"
        yield finding_in(scripts[0], NO_DOWNGRADES, message, "write downgrades, or set irreversible in each revision")
    names_agree = 2 * sum(_has_id_in_name(script) for script in scripts) > len(scripts)
    ids = {revision_of(script).id for script in scripts}
    for script in scripts:
        revision = revision_of(script)
        if has_downgrades and not revision.downgrade_line and not revision.irreversible:
            hint = 'write def downgrade(), or declare at the top of the file: irreversible = "why there is no way back"'
            yield finding_in(script, NO_DOWNGRADE, "it has no downgrade function", hint)
        yield from _empty_upgrade(script)
        if len(revision.id) > MAX_ID_LENGTH:
            message = f"its id has {len(revision.id)} characters, the version table holds {MAX_ID_LENGTH}"
            is_refused = any(dialect_by_name(name).limits_text_length for name in backends)
            severity = None if is_refused else Severity.NOTE
            yield finding_in(
                script,
                ID_TOO_LONG,
                message,
                f"choose one of at most {MAX_ID_LENGTH} characters",
                severity=severity,
                name="revision",
            )
        if not _has_id_in_name(script) and (names_agree or script.path.stem.partition("_")[0] in ids):
            message = f"the file is called {script.path.name}, its revision {revision.id}"
            hint = f'give the file a name with {revision.id} in it, or correct revision = "{revision.id}"'
            yield finding_in(script, FILE_NAME, message, hint, name="revision")


EMPTY_REVISION = Rule(
    "empty-revision",
    "graph",
    Severity.WARNING,
    meaning="the upgrade of a revision does nothing",
    why="""Usually autogenerate was run against a database that had the change already. A merge of branches, a branch
    label and a depends_on alone are meant to be empty; an upgrade with a comment that gives the reason is a note.""",
    recipe="""
    inv db.revision --message "Add user table"  # compares with a scratch database at head
    """,
)


def _empty_upgrade(script: Script) -> Iterator[Finding]:
    """Report an upgrade that does nothing, unless the revision is there for something else, such as a merge."""
    revision, tree = revision_of(script), script.tree
    if tree is None:
        return
    function = function_definition(tree, "upgrade")
    if function is None:
        if not function_line(tree, "upgrade"):
            message, hint = "it has no upgrade function", "write it: def upgrade() -> None:"
            yield finding_in(script, EMPTY_REVISION, message, hint, severity=Severity.ERROR)
        return
    is_intended = len(revision.parents) > 1 or revision.labels or revision.depends_on
    if not is_intended and all(_is_no_op(node) for node in function.body):
        # Without a parent, the project starts from tables made elsewhere.
        is_explained = not revision.parents or _has_own_comment(script, function)
        severity = Severity.NOTE if is_explained else None
        message, hint = "its upgrade does nothing", "write what its title says, or remove it"
        yield finding_in(script, EMPTY_REVISION, message, hint, severity=severity, line=function.lineno)


def _has_own_comment(script: Script, function: ast.FunctionDef) -> bool:
    """Return whether somebody wrote a comment into a function that has no code: not Alembic, and not to remember it."""
    lines = script.source.decode(errors="replace").splitlines()[function.lineno : function.end_lineno]
    comments = [comment.strip() for _, mark, comment in (line.partition("#") for line in lines) if mark]
    return any(comment and not comment.startswith(("###", "TODO", "FIXME", "XXX")) for comment in comments)


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
    """Return whether a file's name holds the id of its revision, as in the names that Alembic gives."""
    return revision_of(script).id.lower() in script.path.stem.lower()


def revision_of(script: Script) -> Revision:
    """Return the revision of a file that is part of a graph."""
    assert script.revision is not None  # noqa: S101  # RevisionGraph keeps only files that assign one
    return script.revision


def finding_in(
    script: Script,
    rule: Rule,
    message: str,
    hint: str,
    *,
    name: str = "",
    line: int = 0,
    severity: Severity | None = None,
    object_name: str = "",
) -> Finding:
    """Return a finding in a revision file: at a line, or where the file assigns a name, or in the first line."""
    line = line or (function_line(script.tree, name) if name and script.tree is not None else 0) or 1
    location = Location(str(script.path), line)
    revision = revision_of(script).id
    return rule.finding(message, hint, severity=severity, object_name=object_name, revision=revision, location=location)
