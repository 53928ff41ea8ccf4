"""Alembic as the tasks start it: `python -m dormatory upgrade --to head`, with our words and exit codes."""

from __future__ import annotations

import signal

if (sigint_handler := signal.getsignal(signal.SIGINT)) and __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while all else is loaded, a traceback would be all that came of it

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.cli.exit import EarlyExitError, ExitCode, convert_errors
from dormatory.errors import EmptyDestinationError
from dormatory.system.tuning import tune_process

if TYPE_CHECKING:
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.runtime.runner import ProgressListener, Runner

DEBUG_VARIABLE = "DORMATORY_DEBUG"


def main(arguments: list[str] | None = None) -> ExitCode:
    """Run one command and return its exit code; the message of an error goes to standard error."""
    options = _parser().parse_args(arguments)
    try:
        with convert_errors(debug=bool(os.environ.get(DEBUG_VARIABLE))):
            _run_command(options)
    except EarlyExitError as ended:
        if ended.code not in {ExitCode.INTERRUPTED, ExitCode.TERMINATED}:  # of which the task itself hears, and speaks
            print(ended.message, file=sys.stderr)
        return ended.code
    return ExitCode.SUCCESS


def _run_command(options: argparse.Namespace) -> None:
    # Imported here, where Ctrl-C and SIGTERM are met already: loading Alembic takes a while.
    from dormatory.project.project import Project
    from dormatory.report.messages import run_result_line
    from dormatory.runtime.fast_path import database_at_head

    if not options.to:
        raise EmptyDestinationError
    project = Project.locate(Path.cwd())
    is_plain_upgrade = (options.command, options.to, options.sql, options.verbose) == ("upgrade", "head", False, False)
    if is_plain_upgrade and (reached := database_at_head(project)):
        target, head = reached
        print(run_result_line(target.masked_url, [head], moved=0))
        return
    _migrate(options, project)


def _migrate(options: argparse.Namespace, project: Project) -> None:
    from dormatory.report.messages import run_result_line
    from dormatory.report.progress import ProgressLines
    from dormatory.runtime.runner import Runner

    target = project.target()
    runner = Runner(project, target=target, confirm=options.confirm)
    if options.verbose:
        _show_statements()
    if options.command == "upgrade" and not options.sql:
        _ensure_database(target, runner, options.to)
    if options.sql:
        runner.write_sql(options.to)
    elif options.command == "stamp":
        runner.stamp(options.to)
        print(run_result_line(target, runner.current(), moved=1))
    else:
        lines = ProgressLines(str(target))
        is_risky = options.command == "downgrade" or options.backup
        listener = _backup_listener(lines, options, project, target, runner) if is_risky else lines
        with lines.show_bar():
            move = runner.upgrade if options.command == "upgrade" else runner.downgrade
            move(options.to, listener)
        print(run_result_line(target, runner.reached_revisions or runner.current(), moved=len(lines.moves)))


def _backup_listener(
    lines: ProgressListener, options: argparse.Namespace, project: Project, target: Target, runner: Runner
) -> ProgressListener:
    """Return who is to listen to the run and back the database up before its first move, whoever wrote its env.py."""
    from dormatory.backends.registry import backend_for
    from dormatory.safety import safeguard

    if options.command == "downgrade":
        stock = safeguard.authorize(target, action="downgrade", confirmed=options.confirm)
        runner.config.attributes[safeguard.SECURED_ATTRIBUTE] = True
        return safeguard.PreparingListener(
            lines, lambda moves: safeguard.secure("downgrade", project, target, stock, revision=moves[0].revision)
        )
    if not backend_for(target).summary(target).tables:
        return lines
    revision = "+".join(runner.current())
    return safeguard.PreparingListener(lines, lambda _moves: safeguard.back_up(project, target, revision))


def _ensure_database(target: Target, runner: Runner, to: str) -> None:
    """Create the database if it is missing, but not for an upgrade that cannot begin."""
    from dormatory.backends.registry import backend_for

    backend = backend_for(target)
    if not backend.exists(target):
        runner.check_upgrade_path(to)
        backend.create(target)


def _show_statements() -> None:
    """Show every statement on standard error as it is executed."""
    import logging

    logging.basicConfig(stream=sys.stderr, format="    %(message)s")
    logging.getLogger("sqlalchemy.engine").setLevel(logging.INFO)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dormatory", description=__doc__)
    parser.add_argument("command", choices=("upgrade", "downgrade", "stamp"))
    parser.add_argument("--to", default="head")
    parser.add_argument("--confirm")
    parser.add_argument("--backup", action="store_true")
    parser.add_argument("--sql", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    return parser


if __name__ == "__main__":
    tune_process()
    signal.signal(signal.SIGINT, sigint_handler)
    sys.exit(main())
