"""The position of a database as a reader sees it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.commands.status import Status
from dormatory.project.script import Revision
from dormatory.recording.model import ChangesByHand
from dormatory.report.status import status_text
from dormatory.report.styles import TextStyle

if TYPE_CHECKING:
    from tests.conftest import SmallProject


def revision(number: int, title: str) -> Revision:
    return Revision(f"{number:03}", (), (), (), title, title, Path(f"{number:03}.py"))


TITLES = ("Add user table.", "Give users an address.", "Rename users email to mail.", "Drop the fax number.")
PENDING = tuple(revision(number, title) for number, title in enumerate(TITLES, 14))
AT_HEAD = Status(
    target="postgresql://dorm:***@db/prod",
    is_file=False,
    server="PostgreSQL 15.18",
    environment="production",
    exists=True,
    current=("013",),
    heads=("013",),
    unknown=(),
    overlapping=(),
    pending=(),
    titles={"013": "Search objects by what their attributes contain."},
    by_hand=ChangesByHand(("013",), ()),
)


def test_nothing_pending_asks_for_nothing() -> None:
    assert status_text(AT_HEAD, TextStyle(width=80)) == (
        "database  postgresql://dorm:***@db/prod             PostgreSQL 15.18, production\n"
        "at        013  Search objects by what their attributes contain.\n"
        "pending   nothing\n"
        "changed   nothing by hand\n"
    )


def test_of_many_pending_revisions_the_first_and_the_last_are_named_in_whole_words() -> None:
    shown = status_text(replace(AT_HEAD, pending=PENDING), TextStyle(width=60))

    assert (
        "\npending   4: 014  Add user table. … 017  Drop the fax\n          number.  (--all lists them)\nchanged"
    ) in shown


def test_all_pending_revisions_are_listed_on_request() -> None:
    shown = status_text(replace(AT_HEAD, pending=PENDING), lists_all=True)

    assert (
        "\n".join(
            f"{'' if number > 14 else 'pending':<10}{number:03}  {title}" for number, title in enumerate(TITLES, 14)
        )
        in shown
    )


@pytest.mark.parametrize(
    ("change", "command"),
    [
        ({}, "inv db.rehearse, then inv db.upgrade"),
        ({"environment": "development"}, "inv db.upgrade"),
        ({"is_file": True, "environment": ""}, "inv db.upgrade"),
        ({"exists": False, "environment": ""}, "inv db.create, then inv db.upgrade"),
        ({"current": ("001", "013"), "overlapping": ("001",)}, "inv db.stamp --purge --to 013"),
    ],
    ids=["production", "development", "file", "missing", "overlap"],
)
def test_the_next_command_is_named(change: dict[str, object], command: str) -> None:
    shown = status_text(replace(AT_HEAD, pending=PENDING[:1], **change))  # type: ignore[arg-type]

    assert shown.splitlines()[-1] == f"next      {command}"


@pytest.mark.parametrize("change", [{"running": "pid 7"}, {"locked": "a lock"}, {"unknown": ("020",)}])
def test_no_command_is_named_where_somebody_else_is_at_it_or_the_history_lacks_something(
    change: dict[str, object],
) -> None:
    assert "next" not in status_text(replace(AT_HEAD, pending=PENDING[:1], **change))  # type: ignore[arg-type]


def test_differences_by_hand_are_counted_with_the_command_that_lists_them() -> None:
    shown = status_text(replace(AT_HEAD, by_hand=replace(AT_HEAD.by_hand, problem="no server")))  # type: ignore[type-var]

    assert "\nchanged   not compared: no server\n" in shown


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1"])
def test_a_locale_without_our_signs_gets_plain_ones(small_project: SmallProject, encoding: str) -> None:
    small_project.write_table_revisions(*"abcd")
    ended = small_project.inv("db.status", url=f"sqlite:///{small_project.root}/x.db", PYTHONIOENCODING=encoding)
    assert (ended.code, "4: 001  Do step 001. ... 004  Do step 004." in ended.out) == (0, True), ended
