"""Write findings in the chosen format: to standard output, to a file, or for the build server."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.errors import UnknownFormatError, UnwritableFileError
from dormatory.report.github import MAX_SUMMARY_BYTES, github_commands, job_summary
from dormatory.report.gitlab import gitlab_report
from dormatory.report.json_document import json_document
from dormatory.report.junit import junit_report
from dormatory.report.manual_url import manual_url
from dormatory.report.sarif import sarif_log
from dormatory.report.styles import TextStyle
from dormatory.report.text import findings_text
from dormatory.system.standard_streams import write_any_character

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dormatory.checks.outcome import Outcome

_RENDERERS: Mapping[str, Callable[[Outcome, Path], str]] = {
    "text": partial(findings_text, verbose=True),
    "json": json_document,
    "github": github_commands,
    "gitlab": gitlab_report,
    "sarif": sarif_log,
    "junit": junit_report,
}
FORMATS = tuple(_RENDERERS)


def chosen_format(given: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the given format, or the default: github in GitHub Actions, else text.

    Raises UnknownFormatError.
    """
    if given and given not in _RENDERERS:
        raise UnknownFormatError(given, known=FORMATS)
    return given or ("github" if environ.get("GITHUB_ACTIONS") == "true" else "text")


def write_report(outcome: Outcome, format_name: str = "", output: Path | None = None, *, verbose: bool = False) -> None:
    """Write an outcome in a format to standard output, or to a file and a readable form to standard output.

    With `verbose`, a text on standard output shows every finding in full; one in a file always does.
    Raises UnknownFormatError, UnwritableFileError.
    """
    root = repository_root(outcome.configuration, os.environ)
    outcome = outcome if outcome.manual else replace(outcome, manual=manual_url(os.environ))
    shown = chosen_format(format_name)
    if output is not None:
        # GitHub reads its commands from standard output only, so a file gets them only on request
        _write_file(output, _RENDERERS[format_name or "text"](outcome, root), mode="w")
        shown = chosen_format("")
    if shown == "github" and (page := os.environ.get("GITHUB_STEP_SUMMARY")):
        file = Path(page)
        taken = file.stat().st_size if file.is_file() else 0
        _write_file(file, job_summary(outcome, root, MAX_SUMMARY_BYTES - taken), mode="a")
    if shown == "text":
        _print(findings_text(outcome, Path.cwd(), TextStyle.of(sys.stdout), verbose=verbose))
    else:
        _print(_RENDERERS[shown](outcome, root))


def repository_root(configuration: Path, environ: Mapping[str, str]) -> Path:
    """Return the root of the repository: GitHub's workspace, the directory with .git, else the current one."""
    start = configuration.absolute().parent
    workspace = environ.get("GITHUB_WORKSPACE", "")
    if workspace and start.is_relative_to(workspace):
        return Path(workspace)
    # a worktree has a file .git, a clone a directory
    return next((path for path in (start, *start.parents) if (path / ".git").exists()), Path.cwd())


def _print(content: str) -> None:
    """Print a text, whatever its characters and the locale."""
    write_any_character(sys.stdout)
    sys.stdout.write(content)
    sys.stdout.flush()


def _write_file(file: Path, content: str, *, mode: str) -> None:
    try:
        with file.open(mode, encoding="utf-8", newline="\n") as stream:
            stream.write(content)
    except OSError as error:
        raise UnwritableFileError(str(file), error.strerror or str(error)) from error
