"""Where findings are shown: on standard output, in a file, and to GitHub."""

from __future__ import annotations

import io
import json
import os
import pty
import sys
from typing import TYPE_CHECKING

import pytest

from dormatory.checks.finding import Finding, Severity
from dormatory.checks.outcome import CheckedServer, Outcome
from dormatory.errors import UnknownFormatError, UnwritableFileError
from dormatory.errors.location import Location
from dormatory.report.formats import FORMATS, chosen_format, repository_root, write_report

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def neutral_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in a directory without a repository, outside of any build server."""
    for name in (
        "GITHUB_ACTIONS",
        "GITHUB_WORKSPACE",
        "GITHUB_STEP_SUMMARY",
        "NO_COLOR",
        "FORCE_COLOR",
        "TTY_COMPATIBLE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def outcome(tmp_path: Path) -> Outcome:
    """One error in a revision of a project that lies below a repository."""
    file = tmp_path / "db" / "versions" / "002.py"
    found = Finding(
        "upgrade-fails", Severity.ERROR, "no table größe", "make it", "sqlite", "", "002", Location(str(file), 9)
    )
    return Outcome(
        (found,), (CheckedServer("sqlite", "SQLite 3.40.1"),), ("002",), configuration=tmp_path / "db" / "alembic.ini"
    )


def test_text_is_the_default_format(outcome: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    write_report(outcome)

    assert "002  db/versions/002.py\n  ✗ no table größe  :9  sqlite  upgrade-fails\n" in capsys.readouterr().out


def test_files_are_relative_to_the_working_directory(
    outcome: Outcome, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "db").mkdir()
    monkeypatch.chdir(tmp_path / "db")

    write_report(outcome)

    assert "002  versions/002.py\n" in capsys.readouterr().out


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_can_be_chosen(form: str, outcome: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    write_report(outcome, form)

    assert "upgrade-fails" in capsys.readouterr().out


def test_an_unknown_format_is_refused(outcome: Outcome) -> None:
    with pytest.raises(UnknownFormatError) as caught:
        write_report(outcome, "yaml")

    assert str(caught.value) == (
        "there is no format yaml (the formats are text, json, github, gitlab, sarif, junit); ask for one of these,"
        " such as: --format text"
    )


@pytest.mark.parametrize(
    ("given", "environ", "chosen"),
    [
        ("", {}, "text"),
        ("", {"GITHUB_ACTIONS": "true"}, "github"),
        ("text", {"GITHUB_ACTIONS": "true"}, "text"),
        ("", {"GITHUB_ACTIONS": "false"}, "text"),
    ],
)
def test_github_is_chosen_in_its_own_jobs(given: str, environ: dict[str, str], chosen: str) -> None:
    assert chosen_format(given, environ) == chosen


def test_a_file_holds_the_document_and_the_reader_still_sees_text(
    outcome: Outcome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_report(outcome, "json", tmp_path / "found.json")

    assert json.loads((tmp_path / "found.json").read_text("ascii"))["verdict"]["errors"] == 1
    assert capsys.readouterr().out.endswith(
        "1 error · 1 revision on SQLite 3.40.1 · inv db.check --explain upgrade-fails\n"
    )


def test_a_file_without_a_format_holds_text(
    outcome: Outcome, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")

    write_report(outcome, output=tmp_path / "found.txt")

    first, second, *_ = (tmp_path / "found.txt").read_text("utf-8").splitlines()
    assert (first, second) == ("002  db/versions/002.py", "  ✗ no table größe  :9  sqlite  upgrade-fails")
    assert capsys.readouterr().out.startswith("::error ")


def test_a_file_that_cannot_be_written_is_an_error_of_its_own(outcome: Outcome, tmp_path: Path) -> None:
    with pytest.raises(UnwritableFileError) as caught:
        write_report(outcome, "json", tmp_path / "nowhere" / "found.json")

    assert str(caught.value) == (
        f"{tmp_path}/nowhere/found.json cannot be written (No such file or directory);"
        " check that its directory exists, and owner, mode and free space there"
    )


class TestGitHub:
    def test_a_summary_is_added_to_the_page_of_the_step(
        self, outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        page = tmp_path / "page.md"
        page.write_text("before\n")
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))

        write_report(outcome)

        assert page.read_text("utf-8").startswith("before\n### Migrations: 1 error")

    def test_a_page_that_is_full_is_not_changed(
        self, outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        page = tmp_path / "page.md"
        page.write_text("x" * (1024 * 1024 - 20))
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))

        write_report(outcome, "github")

        assert page.stat().st_size == 1024 * 1024 - 20

    def test_no_summary_is_written_for_another_format(
        self, outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "page.md"))

        write_report(outcome, "json")

        assert not (tmp_path / "page.md").exists()


class TestRoot:
    def test_paths_start_from_the_workspace(self, tmp_path: Path) -> None:
        (tmp_path / "db" / ".git").mkdir(parents=True)

        root = repository_root(tmp_path / "db" / "alembic.ini", {"GITHUB_WORKSPACE": str(tmp_path)})

        assert root == tmp_path

    def test_a_workspace_elsewhere_does_not_count(self, tmp_path: Path) -> None:
        (tmp_path / "db" / ".git").mkdir(parents=True)

        root = repository_root(tmp_path / "db" / "x" / "alembic.ini", {"GITHUB_WORKSPACE": "/github/workspace"})

        assert root == tmp_path / "db"

    def test_a_worktree_is_a_root_too(self, tmp_path: Path) -> None:
        (tmp_path / ".git").write_text("gitdir: /elsewhere\n")

        assert repository_root(tmp_path / "db" / "alembic.ini", {}) == tmp_path

    def test_without_a_repository_it_is_the_current_directory(self, tmp_path: Path) -> None:
        assert repository_root(tmp_path / "db" / "alembic.ini", {}) == tmp_path


class TestStreams:
    @pytest.mark.parametrize(
        ("name", "value", "first"),
        [
            ("TERM", "xterm", "\x1b[1m002\x1b[0m\x1b[2m  db/versions/002.py\x1b[0m"),
            ("NO_COLOR", "1", "002  db/versions/002.py"),
            ("TERM", "dumb", "002  db/versions/002.py"),
        ],
    )
    def test_colours_depend_on_the_terminal_and_on_no_color(
        self, name: str, value: str, first: str, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(name, value)
        ours, theirs = pty.openpty()
        with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
            monkeypatch.setattr(sys, "stdout", terminal)
            write_report(outcome)

            shown = os.read(ours, 4096).decode()
        os.close(ours)
        assert shown.splitlines()[0] == first
        assert ("\x1b" in shown) == ("\x1b" in first)

    def test_a_locale_without_a_character_shows_its_escape(
        self, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))

        write_report(outcome)

        assert rb"no table gr\xf6\xdfe" in raw.getvalue()
        assert b"  x no table" in raw.getvalue()


def test_sarif_links_each_rule_to_its_heading_in_the_manual(
    outcome: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    write_report(outcome, "sarif")

    (rule,) = json.loads(capsys.readouterr().out)["runs"][0]["tool"]["driver"]["rules"]
    assert rule["helpUri"].endswith("/RULES.md#upgrade-fails")
