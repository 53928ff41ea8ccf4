"""Tasks on the database itself: create and move it, show its position, reset it, open a shell."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from invoke.tasks import task

from dormatory.cli.child import enabled_flags, run_in_child
from dormatory.cli.current_project import current_project, task_home
from dormatory.cli.next_step import say_next
from dormatory.cli.options import CONFIRM_HELP, X_HELP, selected_backends
from dormatory.cli.reporting import print_lines, reported
from dormatory.cli.tasks.revisions import report_new_revision

if TYPE_CHECKING:
    from invoke.context import Context


@task
@reported
def init(context: Context) -> None:
    """Set a checkout up once; change nothing that exists."""
    from dormatory.commands.create import create_database
    from dormatory.project.scaffold import create_scaffold
    from dormatory.report.messages import created_line

    for path, is_new in create_scaffold(task_home(context)):
        print(created_line(path, is_new=is_new))
    target = current_project(context).target()
    is_new = create_database(target)
    print(created_line(target, is_new=is_new))
    if is_new:
        say_next("inv db.upgrade")


@task(
    help={
        "message": "write the next migration too, under this title",
        "from-dump": "fill it from the committed schema file, for test databases",
        "confirm": CONFIRM_HELP,
        "x": X_HELP,
    },
    iterable=["x"],
)
@reported
def create(
    context: Context, message: str = "", confirm: str = "", *, from_dump: bool = False, x: list[str] | None = None
) -> int | None:
    """Create the database if it is missing."""
    from dormatory.commands.create import create_database, fill_from_dump
    from dormatory.report.messages import created_line
    from dormatory.report.progress import show_progress
    from dormatory.runtime.numbering import checked_title

    if message:
        checked_title(message)  # before anything is created
    project = current_project(context, x)
    target = project.target()
    is_new = create_database(target)
    print(created_line(target, is_new=is_new))
    if from_dump:
        with show_progress() as progress:
            fill_from_dump(project, target, progress, is_new=is_new, confirmed=confirm)
        print(f"{target} filled from the schema file")
    elif is_new and not message:
        say_next("inv db.upgrade")
    if message:
        return report_new_revision(project, message, selected_backends(""), empty=False, has_proof=True, or_empty=True)
    return None


@task(
    help={
        "to": "revision to stop at; default: head",
        "sql": "print the SQL instead of running it",
        "verbose": "show every statement",
        "backup": "make a backup first, if anything is pending",
        "rebuild-indexes": "first build the indexes again that CONCURRENTLY left invalid",
        "x": X_HELP,
    },
    iterable=["x"],
)
@reported
def upgrade(
    context: Context,
    to: str = "head",
    *,
    sql: bool = False,
    verbose: bool = False,
    backup: bool = False,
    rebuild_indexes: bool = False,
    x: list[str] | None = None,
) -> int:
    """Upgrade the database, creating it first if it is missing."""
    flags = enabled_flags(sql=sql, verbose=verbose, backup=backup, rebuild_indexes=rebuild_indexes)
    return run_in_child(current_project(context, x), "upgrade", f"--to={to}", *flags, x=x)


@task(
    help={"to": "revision to go back to, or -N for N steps; default: -1", "confirm": CONFIRM_HELP, "x": X_HELP},
    iterable=["x"],
)
@reported
def downgrade(context: Context, to: str = "-1", confirm: str = "", x: list[str] | None = None) -> int:
    """Downgrade the database, by default one revision."""
    permission = [f"--confirm={confirm}"] if confirm else []
    return run_in_child(current_project(context, x), "downgrade", f"--to={to}", *permission, x=x)


@task(
    help={
        "to": "revision to write; default: head",
        "purge": "empty the version table first, whatever it names",
        "x": X_HELP,
    },
    iterable=["x"],
)
@reported
def stamp(context: Context, to: str = "head", *, purge: bool = False, x: list[str] | None = None) -> int:
    """Write a revision into the database without running anything."""
    return run_in_child(current_project(context, x), "stamp", f"--to={to}", *enabled_flags(purge=purge), x=x)


@task(help={"x": X_HELP}, iterable=["x"])
@reported
def current(context: Context, x: list[str] | None = None) -> None:
    """Show the revision that the database is at."""
    from dormatory.commands.status import read_current
    from dormatory.report.messages import current_lines

    print_lines(current_lines(*read_current(current_project(context, x))))


@task(
    help={
        "json": "as a JSON document",
        "exit-code": "exit with 1 when revisions are pending",
        "all": "list all pending revisions",
        "x": X_HELP,
    },
    iterable=["x"],
)
@reported
def status(
    context: Context,
    *,
    json: bool = False,
    exit_code: bool = False,
    all: bool = False,  # noqa: A002  # the name of the option
    x: list[str] | None = None,
) -> int:
    """Show where the database is, and what is pending."""
    from dormatory.cli.exit import findings_exit_code
    from dormatory.commands.status import read_status
    from dormatory.errors import ComparisonFailedError, RevisionNotInCheckoutError
    from dormatory.report.status import status_json, status_text
    from dormatory.report.styles import TextStyle

    project = current_project(context, x)
    found = read_status(project, project.target())
    if json:
        print(status_json(found))
    else:
        print(status_text(found, TextStyle.of(sys.stdout), lists_all=all), end="")
    if exit_code and found.unknown:
        raise RevisionNotInCheckoutError(found.target, found.unknown)
    if exit_code and found.locked:
        raise ComparisonFailedError(found.target, found.locked)
    return findings_exit_code(has_findings=exit_code and bool(found.pending))


@task(help={"confirm": CONFIRM_HELP, "x": X_HELP}, iterable=["x"])
@reported
def reset(context: Context, confirm: str = "", x: list[str] | None = None) -> int:
    """Destroy the database, create it again and upgrade it."""
    from dormatory.cli.exit import ExitCode
    from dormatory.commands.reset import recreate_database
    from dormatory.report.messages import emptied_line
    from dormatory.report.progress import show_progress

    project = current_project(context, x)
    with show_progress() as progress:
        backup = recreate_database(project, progress, confirmed=confirm)
    code = run_in_child(project, "upgrade", "--from-empty", x=x)
    if backup and code not in {ExitCode.SUCCESS, ExitCode.OUTPUT_CLOSED}:
        print(emptied_line(project.target(), backup), file=sys.stderr)
    return code


@task
@reported
def shell(context: Context) -> int:
    """Open sqlite3 or psql on the database."""
    from dormatory.backends.registry import backend_for
    from dormatory.system.process import run_interactive

    project = current_project(context)
    target = project.target()
    return run_interactive(backend_for(target).shell_command(target), env=target.environment(), cwd=project.root)
