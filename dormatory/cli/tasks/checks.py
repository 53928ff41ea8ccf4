"""Tasks that look for problems: rules, round trips, a rehearsal on a copy of the database."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from invoke.tasks import task

from dormatory.cli.current_project import current_project
from dormatory.cli.next_step import say_next
from dormatory.cli.options import (
    BACKENDS_HELP,
    FORMAT_HELP,
    X_HELP,
    refuse_unused_options,
    row_count,
    selected_backends,
)
from dormatory.cli.report_target import ReportTarget
from dormatory.cli.reporting import print_lines, reported

if TYPE_CHECKING:
    from invoke.context import Context


@task(
    help={
        "backend": BACKENDS_HELP,
        "only": "comma-separated families of rules to check; default: all",
        "skip": "comma-separated families of rules to leave out",
        "since": "check only what this git reference does not have yet",
        "base": "check also the result of a merge with this git reference",
        "strict": "exit with 1 for warnings, too",
        "accept": "write the errors and warnings of this run into accepted.toml: later runs do not count them",
        "reason": "why they are accepted",
        "format": FORMAT_HELP,
        "output": "file to write to",
        "explain": "print what a rule means, why, and what to do instead",
        "live": "check the database itself: was it changed by hand?",
        "verbose": "show every finding in full, also many of one kind",
        "x": X_HELP,
    },
    iterable=["x"],
)
@reported
def check(
    context: Context,
    backend: str = "",
    only: str = "",
    skip: str = "",
    since: str = "",
    *,
    base: str = "",
    strict: bool = False,
    accept: bool = False,
    reason: str = "",
    format: str = "",  # noqa: A002  # the name of the option
    output: str = "",
    explain: str = "",
    live: bool = False,
    verbose: bool = False,
    x: list[str] | None = None,
) -> int | None:
    """Check everything that can be wrong with a migration."""
    from dormatory.cli.exit import findings_exit_code
    from dormatory.commands.check import CheckRequest, check_project, selected_families
    from dormatory.commands.check_live import check_live_database
    from dormatory.project.accepted_file import accepted_path
    from dormatory.report.explain import rule_explanation
    from dormatory.report.progress import show_progress

    if explain:
        print(rule_explanation(explain))
        return None
    report = ReportTarget.of(format, output, verbose=verbose)
    refuse_unused_options(accept=accept, reason=reason, live=live)
    families, names = selected_families(only, skip), selected_backends(backend)
    accepting = reason if accept else None
    request = CheckRequest(names, families, since, base, is_strict=strict, accepting_reason=accepting)
    with report.write_error():
        project = current_project(context, x)
        if live:
            outcome = check_live_database(project)
        else:
            with show_progress() as progress:
                outcome, _recordings = check_project(project, request, progress)
    report.write(outcome)
    if accept:
        print(f"{accepted_path(project)} written", file=sys.stderr)
    return findings_exit_code(has_findings=outcome.is_failed)


@task(
    help={
        "backend": BACKENDS_HELP,
        "revision": "only this one",
        "since": "only those that this git reference does not have yet",
        "format": FORMAT_HELP,
        "output": "file to write to",
        "verbose": "show every finding in full, also many of one kind",
        "x": X_HELP,
    },
    iterable=["x"],
)
@reported
def round_trip(
    context: Context,
    backend: str = "",
    revision: str = "",
    since: str = "",
    *,
    format: str = "",  # noqa: A002  # the name of the option
    output: str = "",
    verbose: bool = False,
    x: list[str] | None = None,
) -> int:
    """Play every revision up, down and up again."""
    from dormatory.cli.exit import findings_exit_code
    from dormatory.commands.check import CheckRequest, check_project
    from dormatory.report.failed_step import failed_step_lines
    from dormatory.report.progress import show_progress

    report = ReportTarget.of(format, output, verbose=verbose)
    families = frozenset({"roundtrip", "data"})
    request = CheckRequest(selected_backends(backend), families, since, revision=revision)
    with report.write_error(), show_progress(shows_steps=True) as progress:
        outcome, recordings = check_project(current_project(context, x), request, progress)
    if report.is_readable:
        print_lines(failed_step_lines(outcome.findings, recordings))
    report.write(outcome)
    return findings_exit_code(has_findings=outcome.is_failed)


@task(
    help={
        "sample": "copy this many rows of each table, and what they refer to; default: all",
        "at-rows": "forecast the time at this many rows, measured at two sizes",
        "show-values": "show the keys of rows that a revision fails on",
        "x": X_HELP,
    },
    iterable=["x"],
)
@reported
def rehearse(
    context: Context, sample: str = "", at_rows: str = "", *, show_values: bool = False, x: list[str] | None = None
) -> int:
    """Play what is pending on a copy of the database."""
    from dormatory.cli.exit import findings_exit_code
    from dormatory.commands.rehearse import rehearse_and_check
    from dormatory.rehearsal.rehearse import RehearsalRequest
    from dormatory.report.formats import write_report
    from dormatory.report.progress import show_progress
    from dormatory.report.rehearsal import rehearsal_lines

    request = RehearsalRequest(row_count("sample", sample), row_count("at-rows", at_rows), show_values)
    with show_progress() as progress:
        rehearsal, outcome = rehearse_and_check(current_project(context, x), request, progress)
    print_lines(rehearsal_lines(rehearsal))
    if rehearsal.recordings:
        write_report(outcome, "text", verbose=True)
        if not outcome.is_failed:
            say_next("inv db.upgrade")
    return findings_exit_code(has_findings=outcome.is_failed)
