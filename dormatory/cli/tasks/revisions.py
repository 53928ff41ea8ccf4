"""Tasks on the revision files: write the next one, show the history, update checksums and the schema files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.tasks import task

from dormatory.cli.current_project import current_project
from dormatory.cli.next_step import say_next
from dormatory.cli.options import BACKENDS_HELP, X_HELP, selected_backends
from dormatory.cli.reporting import print_lines, reported

if TYPE_CHECKING:
    from invoke.context import Context

    from dormatory.project.project import Project
    from dormatory.runtime.placement import RevisionPlacement


@task(
    help={
        "message": "what the migration does, in a few words",
        "empty": "write it even if nothing changed, to be filled by hand",
        "data": "write a loop over the rows of a table in batches, to be completed by hand",
        "no-proof": "only write it: it is not played on rows",
        "backend": BACKENDS_HELP,
        "head": "revision or branch@head to build on; needed where the history has several heads",
        "splice": "build on a revision that is not a head",
        "branch-label": "name of the branch that begins with it",
        "version-path": "directory to write to, one of version_locations",
        "depends-on": "revision of another branch that must be applied before it; may be given again",
        "x": X_HELP,
    },
    iterable=["x", "depends_on"],
)
@reported
def revision(
    context: Context,
    message: str = "",
    backend: str = "",
    *,
    empty: bool = False,
    data: bool = False,
    no_proof: bool = False,
    head: str = "",
    splice: bool = False,
    branch_label: str = "",
    version_path: str = "",
    depends_on: list[str] | None = None,
    x: list[str] | None = None,
) -> int:
    """Write the next migration from the models, and prove it."""
    from dormatory.runtime.placement import RevisionPlacement

    project, backends = current_project(context, x), selected_backends(backend)
    placement = RevisionPlacement(head, splice, branch_label, version_path, tuple(depends_on or ()))
    if data:
        return _write_data_revision(project, message, placement)
    return report_new_revision(
        project, message, backends, empty=empty, has_proof=not (empty or no_proof), placement=placement
    )


def _write_data_revision(project: Project, message: str, placement: RevisionPlacement) -> int:
    """Write a revision with loops over batches, print its file and the lines that are to be completed in it."""
    from dormatory.commands.data_template import lines_to_complete
    from dormatory.commands.revision import write_revision

    file = write_revision(project, message, empty=True, is_data=True, placement=placement)
    print(file)
    if file is not None:
        print("complete these lines; until then inv db.check says that the upgrade fails:", file=sys.stderr)
        for number, text in lines_to_complete(file):
            print(f"  {file.name}:{number}: {text}", file=sys.stderr)
    return 0


def report_new_revision(
    project: Project,
    message: str,
    backends: tuple[str, ...],
    *,
    empty: bool,
    has_proof: bool,
    or_empty: bool = False,
    placement: RevisionPlacement | None = None,
) -> int:
    """Write the next revision, print its file, the SQL that it runs on each backend and what is wrong with it.

    With `or_empty`, an empty one to be filled is written where the models agree. Returns the exit code: 1 if
    it is not right as it is, or if the models differ in what no revision changes.
    """
    from dormatory.cli.exit import findings_exit_code
    from dormatory.cli.rename_question import ask_rename
    from dormatory.commands.revision import write_revision
    from dormatory.commands.revision_proof import compare_models, prove_revision
    from dormatory.report.formats import write_report
    from dormatory.report.messages import executed_sql_lines
    from dormatory.report.progress import show_progress
    from dormatory.runtime.placement import DEFAULT_PLACEMENT

    file = write_revision(project, message, empty=empty, placement=placement or DEFAULT_PLACEMENT, ask=ask_rename)
    if file is None and or_empty:
        print(write_revision(project, message, empty=True))
        print("no change found: this revision is empty, to be filled by hand", file=sys.stderr)
        say_next("fill it, then inv db.check")
        return 0
    if file is None:
        with show_progress() as progress:
            outcome = compare_models(project, backends, progress)
        if outcome.is_failed:
            write_report(outcome, "text", None)
        words = "no revision changes this" if outcome.is_failed else "no change found: the models match the history"
        print(f"{words}, nothing written", file=sys.stderr)
        return findings_exit_code(has_findings=outcome.is_failed)
    print(file)
    if not has_proof:
        say_next(f"{'fill' if empty else 'read'} it, then inv db.check")
        return 0
    with show_progress() as progress:
        proof = prove_revision(project, file, backends, progress)
    print_lines(line for sql in proof.executed for line in executed_sql_lines(sql))
    write_report(proof.outcome, "text", None)
    say_next("correct it, then inv db.check" if proof.outcome.is_failed else "read it, then inv db.upgrade")
    return findings_exit_code(has_findings=proof.outcome.is_failed)


@task(help={"x": X_HELP}, iterable=["x"])
@reported
def history(context: Context, x: list[str] | None = None) -> None:
    """Show all revisions, newest first, and where the database is."""
    from dormatory.commands.history import find_place
    from dormatory.project.history import History
    from dormatory.report.messages import history_lines

    project = current_project(context, x)
    revisions = History.read(project)
    place = find_place(project, revisions)
    print_lines(history_lines(revisions, place))
    if place.problem:
        print(f"where the database is cannot be said: {place.problem}", file=sys.stderr)


@task(positional=["rev"], help={"rev": "revision, or head"})
@reported
def show(context: Context, rev: str) -> None:
    """Show one revision."""
    from dormatory.project.history import History
    from dormatory.report.messages import revision_details

    print(revision_details(History.read(current_project(context)).get(rev)))


@task
@reported
def heads(context: Context) -> None:
    """Show the revisions that nothing builds on; one is right."""
    from dormatory.project.history import History
    from dormatory.report.messages import head_lines

    print_lines(head_lines(History.read(current_project(context))))


@task(
    optional=["diff"],
    help={
        "check": "write nothing; exit with 1 and a diff when a file is stale",
        "diff": "write nothing; show what changed since the committed files, or since a git reference",
        "live": "print the schema of the database itself",
        "output": "directory to write to; default: alembic/schema",
        "backend": BACKENDS_HELP,
        "x": X_HELP,
    },
    iterable=["x"],
)
@reported
def schema_dump(
    context: Context,
    *,
    check: bool = False,
    diff: str | bool | None = None,
    live: bool = False,
    output: str = "",
    backend: str = "",
    x: list[str] | None = None,
) -> int | None:
    """Write the schema at head to alembic/schema/, for reviewers."""
    from dormatory.cli.exit import findings_exit_code
    from dormatory.commands import schema_dump as dumps
    from dormatory.report.messages import dump_difference_lines, text_diff, written_line

    project = current_project(context, x)
    names = [name for name in selected_backends(backend) if backend or name in project.settings.backends]
    if live:
        print(dumps.live_dump(project, project.target()), end="")
    elif diff is not None:
        reference = diff if isinstance(diff, str) else ""
        for name in names:
            print_lines(dump_difference_lines(dumps.dump_difference(project, name, reference)))
    elif check:
        diffs = [text_diff(*dumps.committed_and_fresh_dump(project, name)) for name in names]
        print("".join(diffs), end="")
        return findings_exit_code(has_findings=any(diffs))
    else:
        written = dict(dumps.write_dumps(project, names, Path(output).absolute() if output else None))
        print_lines(written_line(file, is_changed=is_changed) for file, is_changed in written.items())
        if any(written.values()) and not output:
            say_next("read what changed in them, then inv db.check")
    return None


@task(
    help={
        "format": "mermaid or dot",
        "tables": "only these and their neighbours, comma-separated: names or patterns such as room*",
        "output": "file to write to; default: standard output",
        "backend": "sqlite or postgresql; default: the first of the project",
        "x": X_HELP,
    },
    iterable=["x"],
)
@reported
def diagram(
    context: Context,
    *,
    format: str = "mermaid",  # noqa: A002  # the name of the option
    tables: str = "",
    output: str = "",
    backend: str = "",
    x: list[str] | None = None,
) -> None:
    """Draw the tables at head and how they refer to each other."""
    from dormatory.backends.names import validate_backend_name
    from dormatory.commands.diagram import history_diagram
    from dormatory.commands.schema_dump import write_dump
    from dormatory.report.diagram.formats import diagram_writer
    from dormatory.report.messages import written_line

    write, project = diagram_writer(format), current_project(context, x)
    name = validate_backend_name(backend or project.settings.backends[0])
    patterns = [stripped for pattern in tables.split(",") if (stripped := pattern.strip())]
    text = write(history_diagram(project, name, patterns))
    if output:
        file = Path(output).absolute()
        print(written_line(file, is_changed=write_dump(file, text)))
    else:
        print(text, end="")


@task(
    name="sum",
    help={
        "reason": "why a published revision is not what it was, as REV: TEXT",
        "base": "git reference that has what is published; default: the main branch",
    },
)
@reported
def sum_(context: Context, reason: str = "", base: str = "") -> None:
    """Write the file of the revisions' checksums again."""
    from dormatory.project.checksum_update import write_checksums

    print(write_checksums(current_project(context), reason=reason, reference=base))
    say_next("inv db.check")
