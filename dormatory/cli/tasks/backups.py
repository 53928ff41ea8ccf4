"""Tasks on backups: make one, list them, put one back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.tasks import task

from dormatory.cli.current_project import current_project
from dormatory.cli.options import CONFIRM_HELP, X_HELP
from dormatory.cli.reporting import print_lines, reported

if TYPE_CHECKING:
    from invoke.context import Context


@task(help={"x": X_HELP}, iterable=["x"])
@reported
def backup(context: Context, x: list[str] | None = None) -> None:
    """Make a backup of the database."""
    from dormatory.safety.backups import create_backup

    project = current_project(context, x)
    print(create_backup(project, project.target()))


@task(name="backups")
@reported
def list_backups(context: Context) -> None:
    """List the backups, by database, newest first."""
    from dormatory.report.messages import backup_lines
    from dormatory.safety.backups import existing_backups

    print_lines(backup_lines(existing_backups(current_project(context))))


@task(
    positional=["file"],
    help={"file": "the backup: a path, or its name in db.backups", "confirm": CONFIRM_HELP, "x": X_HELP},
    iterable=["x"],
)
@reported
def restore(context: Context, file: str, confirm: str = "", x: list[str] | None = None) -> None:
    """Replace the database by a backup, after making one of it."""
    from dormatory.commands.restore import restore_database
    from dormatory.report.messages import restored_lines
    from dormatory.report.progress import show_progress

    with show_progress() as progress:
        restored = restore_database(current_project(context, x), file, progress, confirmed=confirm)
    print_lines(restored_lines(restored))


@task(help={"confirm": CONFIRM_HELP, "x": X_HELP}, iterable=["x"])
@reported
def undo(context: Context, confirm: str = "", x: list[str] | None = None) -> None:
    """Put the last backup back; done twice, it undoes itself."""
    from dormatory.commands.restore import restore_latest
    from dormatory.report.messages import restored_lines
    from dormatory.report.progress import show_progress

    with show_progress() as progress:
        restored = restore_latest(current_project(context, x), progress, confirmed=confirm)
    print_lines(restored_lines(restored))
