"""Chooses how findings are shown, and shows them: on standard output, in a file, or to the build server."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from dormatory.errors import ReportNotWrittenError, UnknownFormatError
from dormatory.report.github import MAX_SUMMARY_BYTES, github_commands, job_summary
from dormatory.report.gitlab import gitlab_report
from dormatory.report.json_document import json_document
from dormatory.report.junit import junit_report
from dormatory.report.sarif import sarif_log
from dormatory.report.text import findings_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dormatory.checks.outcome import Outcome

_RENDERERS: Mapping[str, Callable[[Outcome, Path], str]] = {
    "text": findings_text,
    "json": json_document,
    "github": github_commands,
    "gitlab": gitlab_report,
    "sarif": sarif_log,
    "junit": junit_report,
}
FORMATS = tuple(_RENDERERS)


def chosen_format(given: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the format that was asked for, else the one that suits where this runs.

    Raises UnknownFormatError.
    """
    if given and given not in _RENDERERS:
        raise UnknownFormatError(given, known=FORMATS)
    return given or ("github" if environ.get("GITHUB_ACTIONS") == "true" else "text")


def write_report(outcome: Outcome, format_name: str = "", output: Path | None = None) -> None:
    """Show an outcome in a format; into a file, when one is given, and then on standard output for a reader, too.

    Raises UnknownFormatError, ReportNotWrittenError.
    """
    root = repository_root(outcome.configuration, os.environ)
    shown = chosen_format(format_name)
    if output is not None:
        # commands are of use on standard output only, so nobody wants them in a file without asking
        _write_file(output, _RENDERERS[format_name or "text"](outcome, root), mode="w")
        shown = chosen_format("")
    if shown == "github" and (page := os.environ.get("GITHUB_STEP_SUMMARY")):
        file = Path(page)
        taken = file.stat().st_size if file.is_file() else 0
        _write_file(file, job_summary(outcome, root, MAX_SUMMARY_BYTES - taken), mode="a")
    if shown == "text":
        _print(findings_text(outcome, Path.cwd(), colours=_has_colours(sys.stdout)))
    else:
        _print(_RENDERERS[shown](outcome, root))


def repository_root(configuration: Path, environ: Mapping[str, str]) -> Path:
    """Return the directory that a repository's paths start from: GitHub's, git's, else the current one."""
    start = configuration.absolute().parent
    workspace = environ.get("GITHUB_WORKSPACE", "")
    if workspace and start.is_relative_to(workspace):
        return Path(workspace)
    # a worktree has a file .git, a clone a directory
    return next((path for path in (start, *start.parents) if (path / ".git").exists()), Path.cwd())


def _has_colours(stream: TextIO) -> bool:
    """Say whether a stream shows colours: never unless it is a terminal, nor where NO_COLOR is set."""
    if os.environ.get("NO_COLOR") or not stream.isatty():
        return False
    from rich.console import Console  # noqa: PLC0415  # for a terminal only: it takes a while to load

    return Console(file=stream).color_system is not None


def _print(content: str) -> None:
    """Print what a locale without a character shows as its escape."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(content.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def _write_file(file: Path, content: str, *, mode: str) -> None:
    try:
        with file.open(mode, encoding="utf-8", newline="\n") as stream:
            stream.write(content)
    except OSError as error:
        raise ReportNotWrittenError(str(file), error.strerror or str(error)) from error
