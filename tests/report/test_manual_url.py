"""Reports link each rule to its heading in the manual."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.report.manual_url import RULES_FILE, manual_url

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def manual(tmp_path: Path) -> Path:
    file = tmp_path / "shop" / "RULES.md"
    file.parent.mkdir()
    file.touch()
    return file


def test_the_manual_is_that_of_the_project() -> None:
    assert manual_url({}) == RULES_FILE.as_uri()
    assert RULES_FILE.is_file()


def test_in_github_actions_it_is_the_page_of_the_commit(manual: Path) -> None:
    github = {
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "you/shop",
        "GITHUB_SHA": "0f3c",
        "GITHUB_WORKSPACE": str(manual.parent.parent),
    }
    assert manual_url(github, manual) == "https://github.com/you/shop/blob/0f3c/shop/RULES.md"


def test_in_gitlab_it_is_the_page_of_the_commit(manual: Path) -> None:
    gitlab = {
        "CI_PROJECT_URL": "https://gitlab.com/you/shop",
        "CI_COMMIT_SHA": "0f3c",
        "CI_PROJECT_DIR": str(manual.parent),
    }
    assert manual_url(gitlab, manual) == "https://gitlab.com/you/shop/-/blob/0f3c/RULES.md"


def test_a_manual_outside_of_the_checkout_is_a_file(manual: Path, tmp_path: Path) -> None:
    gitlab = {"CI_PROJECT_URL": "https://gitlab.com/x", "CI_COMMIT_SHA": "0", "CI_PROJECT_DIR": str(tmp_path / "else")}
    assert manual_url(gitlab, manual) == manual.as_uri()


def test_without_the_manual_there_is_no_address(tmp_path: Path) -> None:
    assert manual_url({}, tmp_path / "RULES.md") == ""
