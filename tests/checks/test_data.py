"""Losses become findings: which are errors, what `lossy` covers, and where they are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dormatory.checks.data import check_data_loss
from dormatory.checks.finding import Severity
from dormatory.recording.leg import Direction, Leg
from dormatory.recording.loss import Loss, LossKind
from dormatory.schema.snapshot import Column, Snapshot, Table
from tests.checks.replay_examples import SECOND, recorded_history, statement, step

if TYPE_CHECKING:
    from dormatory.checks.finding import Finding

GUESTS = Snapshot(
    (Table(None, "guest", columns=(Column("name", "text"), Column("mail", "text"), Column("size", "int"))),)
)
NAME = Loss(LossKind.TRUNCATED, Direction.UPGRADE, "guest", "name", 1, 2, "UPDATE in line 7", line=7)
MAIL = Loss(LossKind.REENCODED, Direction.UPGRADE, "guest", "mail", 1, 2)
ROWS = Loss(LossKind.ROWS_DELETED, Direction.UPGRADE, "guest", "", 1, 2)


def findings(*losses: Loss, lossy: str = "", assumes: str = "", drops: tuple[Loss, ...] = ()) -> list[Finding]:
    played = replace(step(), before=GUESTS, after=GUESTS, losses=losses, drops=drops)
    revision = replace(SECOND, lossy=lossy, assumes=assumes)
    return list(check_data_loss(*recorded_history(played, revision=revision)))


@pytest.mark.parametrize(
    ("lossy", "noted"),
    [
        ("", set()),
        ("whatever is too long", {"truncated", "reencoded", "rows-deleted"}),
        ("guest.name is cut to 50 characters", {"truncated"}),
        ("guest.name is cut. guest.mail is lower.", {"truncated", "reencoded"}),
        ("guest.name, and guest rows that are alike", {"truncated", "reencoded", "rows-deleted"}),
        ("guest.size is rounded", set()),
        ("see example.com, names are cut", {"truncated", "reencoded", "rows-deleted"}),
        ("guest.names", {"truncated", "reencoded", "rows-deleted"}),
    ],
)
def test_a_declaration_that_names_columns_covers_only_what_it_names(lossy: str, noted: set[str]) -> None:
    found = findings(NAME, MAIL, ROWS, lossy=lossy)
    assert {it.rule for it in found if it.severity is Severity.NOTE} == noted
    assert {it.rule for it in found if it.severity is Severity.ERROR} == {
        "truncated",
        "reencoded",
        "rows-deleted",
    } - noted


@pytest.mark.parametrize("kind", [LossKind.COUNTER_BEHIND, LossKind.MISPLACED])
def test_a_declaration_does_not_cover_what_can_be_set_right(kind: LossKind) -> None:
    (found,) = findings(replace(NAME, kind=kind, remedy="op.execute(...)"), lossy="the lot")
    assert (found.severity, found.hint) == (Severity.ERROR, "write: op.execute(...)")


@pytest.mark.parametrize("is_narrowed", [False, True])
def test_extreme_values_are_a_warning_unless_a_narrower_type_cuts_them(*, is_narrowed: bool) -> None:
    (found,) = findings(replace(NAME, is_narrowed=is_narrowed, is_extreme=True))
    assert (found.severity is Severity.ERROR) == is_narrowed


def test_a_finding_stands_at_the_line_of_the_statement_and_says_what_to_declare() -> None:
    (found,) = findings(replace(NAME, example="such as 'abc' → 'ab'", remedy='lossy = "guest.name is cut"'))
    assert found.location.line == 7
    assert found.message == (
        "1 of 2 values of guest.name is cut off after the upgrade (such as 'abc' → 'ab'; UPDATE in line 7)"
    )
    assert found.hint == 'carry it over, or declare it at the top of the revision: lossy = "guest.name is cut"'


@pytest.mark.parametrize(("loss", "line"), [(MAIL, 5), (replace(MAIL, table="room"), 6), (NAME, 7)])
def test_a_finding_without_a_line_stands_at_the_last_statement_on_its_table(loss: Loss, line: int) -> None:
    sent = ("UPDATE guest SET size = 1", "UPDATE guest SET mail = ''", "ALTER TABLE stay ADD word text")
    statements = tuple(replace(statement(sql), line=number) for number, sql in enumerate(sent, 4))
    played = replace(step(), legs=(Leg(Direction.UPGRADE, 0.1, statements),), losses=(loss,))
    (found,) = check_data_loss(*recorded_history(played))
    assert found.location.line == line


LOST = replace(NAME, kind=LossKind.VALUES_LOST)


def test_columns_that_one_statement_empties_are_one_finding_that_names_them_all() -> None:
    (found,) = findings(LOST, replace(LOST, column="mail", count=2))
    assert found.message.split("\n") == [str(LOST), str(replace(LOST, column="mail", count=2))]
    assert found.object == "column guest.name, column guest.mail"
    assert found.hint.endswith('lossy = "guest.name, guest.mail: why that is right"')


@pytest.mark.parametrize(
    "other",
    [
        replace(LOST, column="mail", line=8),
        replace(LOST, column="mail", line=0),
        replace(LOST, column="mail", table="room"),
        replace(LOST, column="mail", is_stated=True),
        replace(LOST, column="mail", direction=Direction.DOWNGRADE),
        replace(LOST, column="mail", kind=LossKind.TRUNCATED),
    ],
    ids=["line", "no line", "table", "stated", "leg", "kind"],
)
def test_what_something_else_lost_stays_a_finding_of_its_own(other: Loss) -> None:
    assert len(findings(LOST, other)) == 2


def test_one_of_several_columns_may_be_declared() -> None:
    found = findings(LOST, replace(LOST, column="mail"), lossy="guest.mail is known")
    assert [it.severity for it in found] == [Severity.ERROR, Severity.NOTE]


def test_keys_that_one_leg_leaves_without_rows_are_one_finding() -> None:
    key = replace(NAME, kind=LossKind.DANGLING, line=0)
    (found,) = findings(key, replace(key, table="room", column="guest"))
    assert found.object == "column guest.name, column room.guest"


REFUSED_KEY = replace(NAME, kind=LossKind.DANGLING, line=0, is_narrowed=True)


def test_rows_that_a_new_key_refuses_are_an_error_unless_the_revision_assumes_that_there_are_none() -> None:
    (found,), (assumed,) = findings(REFUSED_KEY), findings(REFUSED_KEY, assumes="all guests are known")
    assert (found.severity, assumed.severity) == (Severity.ERROR, Severity.NOTE)
    assert found.hint.endswith('write why there are none: assumes = "..."')
    assert assumed.message.endswith("; it assumes: all guests are known")


def test_rows_that_only_the_upgraded_schema_allows_are_a_warning_on_the_way_back() -> None:
    (found,) = findings(replace(REFUSED_KEY, direction=Direction.DOWNGRADE), assumes="all guests are known")
    assert (found.severity, found.hint) == (
        Severity.WARNING,
        "correct such rows in the downgrade before this statement",
    )


@pytest.mark.parametrize("lossy", ["", "the sizes"])
def test_plain_drops_are_one_note_that_says_what_to_declare(lossy: str) -> None:
    size = Loss(LossKind.DROPPED, Direction.UPGRADE, "guest", "size", 2, 2)
    found = findings(drops=(size, replace(size, table="room", column="")), lossy=lossy)
    assert [(it.rule, it.severity) for it in found] == [("values-dropped", Severity.NOTE)] * (not lossy)
    if found:
        assert found[0].hint.endswith('lossy = "guest.size, table room"')
