"""The tasks of DORMATORY: what a person types. Each one parses, calls and prints; `inv -l` reads like a manual.

Nothing of the package is imported before a task runs, so that `inv -l` and completion are instant.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from invoke.collection import Collection
from invoke.exceptions import Exit
from invoke.parser.parser import ParseMachine
from invoke.tasks import task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from invoke.context import Context

    from dormatory.backends.base import Backend
    from dormatory.backends.url import Target
    from dormatory.project.project import Project

HOME = Path(__file__).resolve().parent
_CONFIRM_HELP = "the database's name, to act on one that is not marked as a development database"
_BACKENDS_HELP = "comma-separated: sqlite, postgresql; default: both"
_USAGE_EXIT_CODE = 2  # as in dormatory.errors, not yet imported


@task(
    help={
        "message": "write the next migration too, under this title",
        "from-dump": "fill it from the committed schema file, for test databases",
        "confirm": _CONFIRM_HELP,
    }
)
def create(_: Context, message: str = "", confirm: str = "", *, from_dump: bool = False) -> None:
    """Create the database if it is missing."""
    with reported():
        if message:
            from dormatory.runtime.numbering import checked_title

            checked_title(message)  # nothing is created for a title that will not do
        project, target, backend = locate_target()
        is_new = ensure_database(target, backend)
        if from_dump:
            from dormatory.commands.schema_dump import load_committed_dump
            from dormatory.safety.safeguard import announce_action, authorize

            if not is_new:
                stock = authorize(target, action="create --from-dump", confirmed=confirm)
                announce_action("create --from-dump", target, stock)
            load_committed_dump(project, target)
            print(f"{target} filled from the schema file")
        if message:
            write_migration(project, message, empty=False)


@task
def init(_: Context) -> None:
    """Set a checkout up once; change nothing that exists."""
    with reported():
        from dormatory.project.scaffold import create_scaffold

        for path, is_new in create_scaffold(HOME):
            print(f"{path} {'created' if is_new else 'exists'}")
        _project, target, backend = locate_target()
        ensure_database(target, backend)


@task(help={"message": "what the migration does, in a few words", "empty": "write it even if nothing changed"})
def revision(_: Context, message: str = "", *, empty: bool = False) -> None:
    """Write the next migration from the models, and show its SQL."""
    with reported():
        write_migration(locate_project(), message, empty=empty)


@task(
    help={
        "to": "revision to stop at; default: head",
        "sql": "print the SQL instead of running it",
        "verbose": "show every statement",
        "backup": "make a backup first, if anything is pending",
    }
)
def upgrade(_: Context, to: str = "head", *, sql: bool = False, verbose: bool = False, backup: bool = False) -> None:
    """Upgrade the database, creating it first if it is missing."""
    with reported():
        run_alembic(locate_project(), "upgrade", f"--to={to}", *enabled_flags(sql=sql, verbose=verbose, backup=backup))


@task(help={"to": "revision to go back to, or -N for N steps; default: -1", "confirm": _CONFIRM_HELP})
def downgrade(_: Context, to: str = "-1", confirm: str = "") -> None:
    """Downgrade the database, by default one revision."""
    with reported():
        run_alembic(locate_project(), "downgrade", f"--to={to}", *([f"--confirm={confirm}"] if confirm else []))


@task(help={"to": "revision to write; default: head"})
def stamp(_: Context, to: str = "head") -> None:
    """Write a revision into the database without running anything."""
    with reported():
        run_alembic(locate_project(), "stamp", f"--to={to}")


@task
def current(_: Context) -> None:
    """Show the revision that the database is at."""
    with reported():
        from dormatory.errors import RevisionNotInCheckoutError
        from dormatory.project.history import History
        from dormatory.report.messages import current_lines
        from dormatory.runtime.scratch import current_revisions as current_of

        project, target, _backend = locate_target()
        known, found = History.read(project), current_of(project, target)
        if unknown := known.unknown(found):
            raise RevisionNotInCheckoutError(str(target), unknown)
        print_lines(current_lines(known, found))


@task
def history(_: Context) -> None:
    """Show all revisions, newest first."""
    with reported():
        from dormatory.project.history import History
        from dormatory.report.messages import history_lines

        print_lines(history_lines(History.read(locate_project())))


@task(positional=["rev"], help={"rev": "revision, or head"})
def show(_: Context, rev: str) -> None:
    """Show one revision."""
    with reported():
        from dormatory.project.history import History
        from dormatory.report.messages import revision_details

        print(revision_details(History.read(locate_project()).get(rev)))


@task
def heads(_: Context) -> None:
    """Show the revisions that nothing builds on; one is right."""
    with reported():
        from dormatory.project.history import History
        from dormatory.report.messages import revision_line

        known = History.read(locate_project())
        for head in known.heads:
            print(revision_line(known.get(head)))


@task(help={"json": "as a JSON document", "exit-code": "exit with 1 when revisions are pending"})
def status(_: Context, *, json: bool = False, exit_code: bool = False) -> None:
    """Show where the database stands, and what is pending."""
    with reported():
        from dormatory.commands import status as state
        from dormatory.errors import RevisionNotInCheckoutError
        from dormatory.report.messages import status_json, status_text

        project, target, _backend = locate_target()
        found = state.status(project, target)
        print(status_json(found) if json else status_text(found))
        if exit_code and found.unknown:
            raise RevisionNotInCheckoutError(found.target, found.unknown)
        if exit_code and found.pending:
            raise Exit(code=1)


@task(help={"confirm": _CONFIRM_HELP})
def reset(_: Context, confirm: str = "") -> None:
    """Destroy the database, create it anew and upgrade it."""
    with reported():
        from dormatory.runtime.runner import Runner
        from dormatory.safety import safeguard

        project, target, backend = locate_target()
        Runner(project, target=target).check_upgrade_path()
        if backend.exists(target):
            stock = safeguard.authorize(target, action="reset", confirmed=confirm)
            safeguard.secure("reset", project, target, stock)
            backend.drop(target)
        backend.create(target)
        run_alembic(project, "upgrade")


@task
def backup(_: Context) -> None:
    """Make a backup of the database."""
    with reported():
        from dormatory.safety.backups import create_backup

        project, target, _backend = locate_target()
        print(create_backup(project, target))


@task(name="backups")
def backups_(_: Context) -> None:
    """List the backups, by database, newest first."""
    with reported():
        from dormatory.report.messages import backup_lines
        from dormatory.safety.backups import existing_backups

        print_lines(backup_lines(existing_backups(locate_project())))


@task(positional=["file"], help={"file": "the backup: a path, or its name in db.backups", "confirm": _CONFIRM_HELP})
def restore(_: Context, file: str, confirm: str = "") -> None:
    """Replace the database by a backup, after making one of it."""
    with reported():
        from dormatory.safety.backups import resolve_backup

        project = locate_project()
        restore_and_report(project, resolve_backup(project, file), action="restore", confirm=confirm)


@task(help={"confirm": _CONFIRM_HELP})
def undo(_: Context, confirm: str = "") -> None:
    """Put the last backup back; done twice, it undoes itself."""
    with reported():
        from dormatory.safety.backups import latest_backup

        project, target, _backend = locate_target()
        restore_and_report(project, latest_backup(project, target).file, action="undo", confirm=confirm)


@task(
    optional=["diff"],
    help={
        "check": "write nothing; exit with 1 and a diff when a file is stale",
        "diff": "write nothing; show what changed since the committed files, or since a git reference",
        "live": "print the schema of the database itself",
        "output": "directory to write to; default: alembic/schema",
        "backend": _BACKENDS_HELP,
    },
)
def schema_dump(
    _: Context,
    *,
    check: bool = False,
    diff: str | bool | None = None,
    live: bool = False,
    output: str = "",
    backend: str = "",
) -> None:
    """Write the schema at head to alembic/schema/, for reviewers."""
    with reported():
        from dormatory.commands import schema_dump as dumping
        from dormatory.report.messages import dump_difference_lines, text_diff

        project, names = locate_project(), selected_backends(backend)
        if live:
            print(dumping.live_dump(project, project.target()), end="")
        elif diff is not None:
            for name in names:
                print_lines(
                    dump_difference_lines(dumping.dump_difference(project, name, diff if isinstance(diff, str) else ""))
                )
        elif check:
            diffs = [text_diff(*dumping.committed_and_fresh_dump(project, name)) for name in names]
            print("".join(diffs), end="")
            raise Exit(code=1 if any(diffs) else 0)
        else:
            for file, is_new in dumping.write_dumps(project, names, Path(output).absolute() if output else None):
                print(f"{file} {'written' if is_new else 'unchanged'}")


@task(
    name="check",
    help={
        "backend": _BACKENDS_HELP,
        "only": "comma-separated families of rules to judge; default: all",
        "skip": "comma-separated families of rules to leave out",
        "since": "judge only what this git reference does not have yet",
        "base": "judge also what the merge with this git reference would be",
        "strict": "exit with 1 for warnings, too",
        "format": "text, json, github, gitlab, sarif or junit",
        "output": "file to write to",
        "explain": "say what a rule means, why, and what to do instead",
        "live": "check the database itself: was it changed by hand?",
    },
)
def check_(
    _: Context,
    backend: str = "",
    only: str = "",
    skip: str = "",
    since: str = "",
    base: str = "",
    *,
    strict: bool = False,
    format: str = "",  # noqa: A002  # what it is called on the command line
    output: str = "",
    explain: str = "",
    live: bool = False,
) -> None:
    """Check everything that can be wrong with a migration."""
    with reported():
        from dormatory.commands import check as inspection
        from dormatory.report.explain import rule_explanation
        from dormatory.report.formats import chosen_format, write_report
        from dormatory.report.progress import step_progress

        if explain:
            print(rule_explanation(explain))
            return
        form, project = chosen_format(format), locate_project()
        if live:
            from dormatory.commands.check_live import check_live_database

            outcome = check_live_database(project)
        else:
            families = inspection.selected_families(only, skip)
            request = inspection.CheckRequest(selected_backends(backend), families, since, base, is_strict=strict)
            with step_progress(terminal_only=True) as on_step:
                outcome, _recordings = inspection.check_project(project, request, on_step)
        write_report(outcome, form, Path(output).absolute() if output else None)
        if outcome.is_failed:
            raise Exit(code=1)


@task(
    help={
        "backend": _BACKENDS_HELP,
        "revision": "only this one",
        "since": "only those that this git reference does not have yet",
    }
)
def round_trip(_: Context, backend: str = "", revision: str = "", since: str = "") -> None:
    """Play every revision up, down and up again."""
    with reported():
        from dormatory.commands import check as inspection
        from dormatory.report.failed_step import failed_step_lines
        from dormatory.report.formats import write_report
        from dormatory.report.progress import step_progress

        families = frozenset({"roundtrip", "data"})
        request = inspection.CheckRequest(selected_backends(backend), families, since, revision=revision)
        with step_progress() as on_step:
            outcome, recordings = inspection.check_project(locate_project(), request, on_step)
        print_lines(failed_step_lines(outcome.findings, recordings))
        write_report(outcome, "text")
        if outcome.is_failed:
            raise Exit(code=1)


@task(
    help={
        "sample": "copy this many rows of each table, and what they refer to; default: all",
        "at-rows": "forecast the time at this many rows, measured at two sizes",
        "show-values": "tell the keys of rows that a revision fails on",
    }
)
def rehearse(_: Context, sample: str = "", at_rows: str = "", *, show_values: bool = False) -> None:
    """Play what is pending on a copy of the database."""
    with reported():
        from dormatory.commands.rehearse import rehearse_and_check
        from dormatory.rehearsal.rehearse import RehearsalRequest
        from dormatory.report.formats import write_report
        from dormatory.report.progress import rehearsal_progress
        from dormatory.report.rehearsal import rehearsal_lines

        request = RehearsalRequest(parse_number("sample", sample), parse_number("at-rows", at_rows), show_values)
        with rehearsal_progress() as tell_progress:
            found, outcome = rehearse_and_check(locate_project(), request, tell_progress)
        print_lines(rehearsal_lines(found))
        if found.recording:
            write_report(outcome, "text")
        if outcome.is_failed:
            raise Exit(code=1)


@task(
    name="sum",
    help={
        "reason": "why a published revision is not what it was, as REV: TEXT",
        "base": "git reference that has what is published; default: the main branch",
    },
)
def sum_(_: Context, reason: str = "", base: str = "") -> None:
    """Write the file of the revisions' sums anew."""
    with reported():
        from dormatory.project.checksum_update import write_checksums

        print(write_checksums(locate_project(), reason=reason, reference=base))


@task
def shell(_: Context) -> None:
    """Open sqlite3 or psql on the database."""
    with reported():
        from dormatory.system.process import run_interactive

        project, target, backend = locate_target()
        if code := run_interactive(backend.shell_command(target), env=target.environment(), cwd=project.root):
            raise Exit(code=code)


def locate_project() -> Project:
    """Return the project to act on: ALEMBIC_CONFIG's, or the one these tasks belong to."""
    from dormatory.project.project import Project

    return Project.locate(HOME)


def locate_target() -> tuple[Project, Target, Backend]:
    """Return the project, its database and what knows that kind of database."""
    from dormatory.backends.registry import backend_for

    project = locate_project()
    target = project.target()
    return project, target, backend_for(target)


def selected_backends(names: str) -> tuple[str, ...]:
    """Return the backends that an option lists, all of them for an empty one."""
    from dormatory.backends.registry import BACKEND_NAMES, validate_backend_name

    return tuple(validate_backend_name(name.strip()) for name in names.split(",")) if names else BACKEND_NAMES


def parse_number(option: str, given: str) -> int:
    """Return the number that an option was given, 0 for none; raises NoNumberError."""
    from dormatory.errors import InvalidRowCountError

    if given and not (given.isascii() and given.isdecimal() and int(given)):
        raise InvalidRowCountError(option, given)
    return int(given or 0)


def ensure_database(target: Target, backend: Backend) -> bool:
    """Create the database if it is missing, print which it was, and return whether it is new."""
    exists = backend.exists(target)
    if not exists:
        backend.create(target)
    print(f"{target} {'exists' if exists else 'created'}")
    return not exists


def restore_and_report(project: Project, file: Path, *, action: str, confirm: str) -> None:
    """Replace the project's database by a backup, and print which and where it is then."""
    from dormatory.report.messages import run_result_line
    from dormatory.runtime.scratch import current_revisions as current_of
    from dormatory.safety import safeguard

    target = project.target()
    safeguard.back_up_and_restore(project, target, file, action=action, confirmed=confirm)
    print(f"{target} restored from {file}")
    print(run_result_line(target, current_of(project, target), moved=1))


def write_migration(project: Project, message: str, *, empty: bool) -> None:
    """Write the next migration, and print its file and the SQL it runs on each backend."""
    from dormatory.commands.revision import RevisionWriter
    from dormatory.report.messages import preview_lines

    with RevisionWriter(project) as desk:
        file = desk.write(message, empty=empty)
        if file is None:
            return
        print(file)
        for preview in desk.previews(file):
            print_lines(preview_lines(preview))


def run_alembic(project: Project, *arguments: str) -> None:
    """Run Alembic in a process of its own, which reads the URL by itself; its failure is this task's."""
    from dormatory.errors import ProgramKilledError
    from dormatory.system.process import run_in_foreground

    env = {**os.environ, "ALEMBIC_CONFIG": str(project.ini)}
    if is_debugging():
        env["DORMATORY_DEBUG"] = "1"
    code = run_in_foreground([sys.executable, "-m", "dormatory", *arguments], env=env, cwd=project.root)
    if code < 0:
        raise ProgramKilledError("alembic", -code)
    if code:
        raise Exit(code=code)


def print_lines(lines: Iterable[str]) -> None:
    """Print a result, line by line, as it comes."""
    for line in lines:
        print(line, flush=True)


def enabled_flags(**options: bool) -> list[str]:
    """Return the options that are on, as a command line has them."""
    return [f"--{name}" for name, is_on in options.items() if is_on]


def is_debugging() -> bool:
    """Say whether Invoke was asked for --debug."""
    return logging.getLogger("invoke").isEnabledFor(logging.DEBUG) or bool(os.environ.get("INVOKE_DEBUG"))


@contextmanager
def reported() -> Iterator[None]:
    """Turn whatever ends a task early into one line on standard error and an exit code."""
    from dormatory.cli.exit import EarlyExitError, convert_errors
    from dormatory.system.tuning import tune_process

    tune_process()
    try:
        with convert_errors(debug=is_debugging(), passthrough=(Exit,)):
            yield
    except EarlyExitError as ended:
        raise Exit(ended.message, code=int(ended.code)) from ended


def _refuse(machine: ParseMachine, msg: str) -> NoReturn:
    """Say what is wrong with a command line, and exit as wrong use does: Invoke itself would exit with 1."""
    name = machine.context.name if machine.context else None
    hint = f"options are flags, such as --to 003; see: inv --help {name}" if name else "see: inv --list"
    raise Exit(f"error: {msg.rstrip('!')}; {hint}", code=_USAGE_EXIT_CODE)


ParseMachine.error = _refuse  # type: ignore[method-assign,assignment]  # Invoke has no hook for it

_FIRST_TASKS = (create, init, revision, upgrade, downgrade, stamp, current, history, show, heads)
_MORE_TASKS = (status, reset, backup, backups_, restore, undo, schema_dump, check_, round_trip, rehearse, sum_, shell)
namespace = Collection(Collection("db", *_FIRST_TASKS, *_MORE_TASKS))
