"""The address of the page of rules, whose headings are their ids."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

RULES_FILE = Path(__file__).resolve().parents[2] / "RULES.md"


def manual_url(environ: Mapping[str, str], manual: Path = RULES_FILE) -> str:
    """Return where a reader of a report finds the page of rules, "" where it is not installed.

    In GitHub Actions and GitLab CI/CD this is the page of the commit that is checked, elsewhere the file itself.
    """
    if not manual.is_file():
        return ""
    if {"GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_SHA", "GITHUB_WORKSPACE"} <= environ.keys():
        server, repository = environ["GITHUB_SERVER_URL"], environ["GITHUB_REPOSITORY"]
        pages, checkout = f"{server}/{repository}/blob/{environ['GITHUB_SHA']}", environ["GITHUB_WORKSPACE"]
    elif {"CI_PROJECT_URL", "CI_COMMIT_SHA", "CI_PROJECT_DIR"} <= environ.keys():
        pages, checkout = f"{environ['CI_PROJECT_URL']}/-/blob/{environ['CI_COMMIT_SHA']}", environ["CI_PROJECT_DIR"]
    else:
        return manual.as_uri()
    path = manual.relative_to(checkout).as_posix() if manual.is_relative_to(checkout) else ""
    return f"{pages}/{path}" if path else manual.as_uri()
