"""Run Alembic: the child process of db.upgrade, db.downgrade and db.stamp, with our messages and exit codes."""

from __future__ import annotations

import signal

if (sigint_handler := signal.getsignal(signal.SIGINT)) and __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until everything is loaded: Ctrl-C would print a traceback

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.cli.child import DEBUG_VARIABLE
from dormatory.cli.exit import EarlyExitError, ExitCode, convert_errors
from dormatory.cli.next_step import say_next
from dormatory.errors import EmptyDestinationError
from dormatory.system.standard_streams import claim_standard_output, open_missing_streams
from dormatory.system.tuning import tune_process

if TYPE_CHECKING:
    from typing import TextIO

    from dormatory.backends.url import Target
    from dormatory.commands.upgrade import MoveResult
    from dormatory.project.project import Project

_NEXT_STEPS = {
    "downgrade": "inv db.upgrade goes up again, inv db.undo puts the backup back",
    "stamp": "inv db.check --live compares the tables with that revision",
}


def main(arguments: list[str] | None = None, output: TextIO | None = None) -> ExitCode:
    """Run one command and return its exit code; its result goes to `output`, the message of an error to stderr."""
    options = _parser().parse_args(arguments)
    try:
        with convert_errors(debug=bool(os.environ.get(DEBUG_VARIABLE))):
            _run_command(options, output)
    except EarlyExitError as ended:
        if ended.message:
            print(ended.message, file=sys.stderr)
        return ended.code
    return ExitCode.SUCCESS


def _run_command(options: argparse.Namespace, output: TextIO | None) -> None:
    # Imported here, where Ctrl-C and SIGTERM have their exit codes: loading takes a while.
    from dormatory.commands.upgrade import find_nothing_to_do, upgrade_sql
    from dormatory.project.project import Project
    from dormatory.report.messages import move_result_line

    if not options.to:
        raise EmptyDestinationError
    project = Project.locate(Path.cwd()).with_x_arguments(options.x)
    target = project.target()
    if options.sql:
        print(upgrade_sql(project, target, options.to), end="", file=output, flush=True)
        return
    is_special = options.verbose or options.rebuild_indexes or options.from_empty
    is_plain_upgrade = (options.command, options.to, is_special) == ("upgrade", "head", False)
    result = find_nothing_to_do(project, target) if is_plain_upgrade else None
    result = result or _move(options, project, target)
    print(move_result_line(result), file=output, flush=True)
    if result.moved and options.command in _NEXT_STEPS:
        say_next(_NEXT_STEPS[options.command])


def _move(options: argparse.Namespace, project: Project, target: Target) -> MoveResult:
    from dormatory.commands.upgrade import downgrade_database, stamp_database, upgrade_database
    from dormatory.report.progress import show_progress

    if options.verbose:
        _show_statements()
    with show_progress() as progress:
        match options.command:
            case "upgrade":
                return upgrade_database(
                    project,
                    target,
                    options.to,
                    progress,
                    with_backup=options.backup,
                    rebuilds_indexes=options.rebuild_indexes,
                    from_empty=options.from_empty,
                )
            case "downgrade":
                return downgrade_database(project, target, options.to, progress, confirmed=options.confirm)
            case _:
                return stamp_database(project, target, options.to, purge=options.purge)


def _show_statements() -> None:
    """Print every statement on standard error when it is executed."""
    import logging

    logging.basicConfig(stream=sys.stderr, format="    %(message)s")
    logging.getLogger("sqlalchemy.engine").setLevel(logging.INFO)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dormatory", description=__doc__)
    parser.add_argument("command", choices=("upgrade", "downgrade", "stamp"))
    parser.add_argument("--to", default="head")
    parser.add_argument("-x", action="append", default=[])
    parser.add_argument("--confirm")
    parser.add_argument("--backup", action="store_true")
    parser.add_argument("--from-empty", action="store_true")  # of db.reset, which has just emptied the database
    parser.add_argument("--purge", action="store_true")
    parser.add_argument("--rebuild-indexes", action="store_true")
    parser.add_argument("--sql", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    return parser


if __name__ == "__main__":
    open_missing_streams()
    tune_process()
    signal.signal(signal.SIGINT, sigint_handler)
    sys.exit(main(output=claim_standard_output()))
