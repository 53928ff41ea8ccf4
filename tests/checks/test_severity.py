"""A project's settings change severities, switch rules off, and leave old revisions alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.checks.finding import Severity
from dormatory.checks.registry import RULES
from dormatory.checks.severity import apply_settings, refuse_unknown_rules
from dormatory.errors import InvalidSettingError, UnknownRevisionError
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
    found = [RULES[name].finding("m", "h") for name in ("drift", "parity", "create-all")]
    assert [(item.rule, item.severity) for item in apply_settings(found, settings, EMPTY)] == [
        ("parity", Severity.ERROR),
        ("create-all", Severity.ERROR),
    ]


def test_a_rule_may_be_named_by_a_former_id(tmp_path: Path) -> None:
    settings = Settings(severities=(("live-drift", "note"),))
    refuse_unknown_rules(settings, tmp_path / "alembic.ini")
    (found,) = apply_settings([RULES["changed-by-hand"].finding("m", "h")], settings, EMPTY)
    assert found.severity is Severity.NOTE


def test_style_rules_do_not_apply_to_revisions_before_since(small_project: SmallProject) -> None:
    small_project.write_table_revisions("a", "b", "c")
    history = History.read(small_project.project)
    found = [
        RULES[rule].finding("m", "h", revision=name)
        for rule in ("create-all", "trace")
        for name in ("001", "002", "003")
    ]
    kept = apply_settings(found, Settings(since="002"), history)
    assert [(item.rule, item.revision) for item in kept] == [
        ("create-all", "002"),
        ("create-all", "003"),
        ("trace", "001"),
        ("trace", "002"),
        ("trace", "003"),
    ]


def test_an_unknown_revision_in_since_is_refused() -> None:
    with pytest.raises(UnknownRevisionError):
        list(apply_settings([], Settings(since="9"), EMPTY))


@pytest.mark.parametrize(
    ("pair", "words"),
    [(("drifd", "off"), "a rule drifd, which there is not"), (("drift", "bad"), "bad is no severity of drift")],
)
def test_unknown_rules_and_severities_are_refused(tmp_path: Path, pair: tuple[str, str], words: str) -> None:
    with pytest.raises(InvalidSettingError, match=words):
        refuse_unknown_rules(Settings(severities=(pair,)), tmp_path / "alembic.ini")
    refuse_unknown_rules(Settings(severities=(("drift", "off"),)), tmp_path / "alembic.ini")
