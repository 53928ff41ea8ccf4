"""A project's settings change severities, switch rules off, and leave old revisions alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.checks.finding import Severity
from dormatory.checks.registry import finding
from dormatory.checks.severity import adjusted, refuse_unknown
from dormatory.errors import NoProjectError, UnknownRevisionError
from dormatory.project.history import History
from dormatory.project.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import SmallProject

EMPTY = History(())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "alembic.ini",
            "[alembic]\n[dormatory]\nseverities = drift = off, parity=error\nsince = 002\nlarge_tables = a b\n",
        ),
        (
            "pyproject.toml",
            (
                '[tool.dormatory]\nseverities = { drift = "off", parity = "error" }\n'
                'since = "002"\nlarge_tables = ["a", "b"]\n'
            ),
        ),
    ],
)
def test_they_are_read_from_either_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = Settings.read(tmp_path / name)
    assert (found.severities, found.since, found.large_tables) == (
        (("drift", "off"), ("parity", "error")),
        "002",
        ("a", "b"),
    )


def test_a_severity_is_what_the_project_says() -> None:
    settings = Settings(severities=(("drift", "off"), ("parity", "error")))
    found = [finding("drift", "m", "h"), finding("parity", "m", "h"), finding("create-all", "m", "h")]
    assert [(item.rule, item.severity) for item in adjusted(found, settings, EMPTY)] == [
        ("parity", Severity.ERROR),
        ("create-all", Severity.ERROR),
    ]


def test_old_revisions_are_not_held_to_how_a_revision_is_written(small_project: SmallProject) -> None:
    small_project.tables("a", "b", "c")
    history = History.read(small_project.project)
    found = [
        finding(rule, "m", "h", revision=name) for rule in ("create-all", "trace") for name in ("001", "002", "003")
    ]
    kept = adjusted(found, Settings(since="002"), history)
    assert [(item.rule, item.revision) for item in kept] == [
        ("create-all", "002"),
        ("create-all", "003"),
        ("trace", "001"),
        ("trace", "002"),
        ("trace", "003"),
    ]


def test_a_floor_that_is_no_revision_is_refused() -> None:
    with pytest.raises(UnknownRevisionError):
        list(adjusted([], Settings(since="9"), EMPTY))


@pytest.mark.parametrize(
    ("pair", "words"),
    [(("drifd", "off"), "a rule drifd, which there is not"), (("drift", "bad"), "bad is no severity of drift")],
)
def test_what_there_is_not_is_refused(tmp_path: Path, pair: tuple[str, str], words: str) -> None:
    with pytest.raises(NoProjectError, match=words):
        refuse_unknown(Settings(severities=(pair,)), tmp_path / "alembic.ini")
    refuse_unknown(Settings(severities=(("drift", "off"),)), tmp_path / "alembic.ini")
