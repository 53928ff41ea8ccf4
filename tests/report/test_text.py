"""Findings as a reader sees them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from dormatory.checks.finding import Finding, Severity
from dormatory.checks.outcome import CheckedServer, Outcome, Unchecked
from dormatory.checks.rule import Rule
from dormatory.errors.location import Location
from dormatory.report.styles import TextStyle
from dormatory.report.text import findings_text

ROOT = Path("/home/you/shop")
SERVERS = (CheckedServer("sqlite", "SQLite 3.40.1"), CheckedServer("postgresql", "PostgreSQL 18.6"))
INDEX_BUILD = Finding(
    "slow-index",
    Severity.WARNING,
    "ix_room_floor is built while nobody can write to room",
    "build it concurrently",
    "postgresql",
    "room",
    "003",
    Location(f"{ROOT}/versions/003.py", 41),
    sql="CREATE INDEX ix_room_floor\n    ON room (floor)",
)
LOST_ROWS = Finding(
    "rows-lost",
    Severity.ERROR,
    "2 rows of bed are lost",
    "copy them",
    "sqlite",
    "bed",
    "004",
    Location(f"{ROOT}/004.py", 12),
)
RULE = Rule(
    "slow-index",
    "locks",
    Severity.WARNING,
    "an index is built under a lock",
    "Nobody can write.",
    '\nwith op.get_context().autocommit_block():\n    op.create_index("ix", "room", postgresql_concurrently=True)',
)


def outcome_with(*findings: Finding) -> Outcome:
    return Outcome(
        findings,
        SERVERS,
        ("001", "002", "003", "004"),
        rules={RULE.id: RULE},
        titles={"004": "Give beds a number."},
    )


def test_no_findings_is_one_line() -> None:
    assert findings_text(outcome_with(), ROOT) == "no findings · 4 revisions on SQLite 3.40.1 and PostgreSQL 18.6\n"


def test_suppressed_findings_are_counted_in_the_verdict() -> None:
    quiet = replace(outcome_with(), suppressed=2)

    assert (
        findings_text(quiet, ROOT) == "no findings · 4 revisions on SQLite 3.40.1 and PostgreSQL 18.6 · 2 suppressed\n"
    )


def test_a_verdict_without_a_database_says_so() -> None:
    assert findings_text(Outcome(()), ROOT) == "no findings · no database was asked\n"


def test_revisions_are_listed_worst_first_with_all_details() -> None:
    both = replace(outcome_with(INDEX_BUILD, LOST_ROWS, replace(LOST_ROWS, backend="postgresql")), seconds=6.66)

    assert findings_text(both, ROOT) == (
        "004  Give beds a number.  004.py\n"
        "  ✗ 2 rows of bed are lost  :12  sqlite, postgresql  rows-lost\n"
        "      copy them\n"
        "\n"
        "003  versions/003.py\n"
        "  ! ix_room_floor is built while nobody can write to room  :41  postgresql  slow-index\n"
        "      build it concurrently\n"
        "\n"
        "1 error, 1 warning · 4 revisions on SQLite 3.40.1 and PostgreSQL 18.6 in 6.7 s"
        " · inv db.check --explain rows-lost\n"
    )


def test_lines_are_broken_between_words_with_places_at_the_right() -> None:
    both = replace(outcome_with(INDEX_BUILD, LOST_ROWS, replace(LOST_ROWS, backend="postgresql")), seconds=6.66)

    assert findings_text(both, ROOT, TextStyle(width=60)) == (
        "004  Give beds a number.                              004.py\n"
        "  ✗ 2 rows of bed are lost\n"
        "                          :12  sqlite, postgresql  rows-lost\n"
        "      copy them\n"
        "\n"
        "003                                          versions/003.py\n"
        "  ! ix_room_floor is built while nobody can write to room\n"
        "                                 :41  postgresql  slow-index\n"
        "      build it concurrently\n"
        "\n"
        "1 error, 1 warning\n"
        "  4 revisions on SQLite 3.40.1 and PostgreSQL 18.6 in 6.7 s\n"
        "  inv db.check --explain rows-lost\n"
    )


def test_a_place_in_another_file_is_named_in_full() -> None:
    elsewhere = replace(LOST_ROWS, message="bed is not mapped", location=Location(f"{ROOT}/models.py", 3))

    shown = findings_text(outcome_with(LOST_ROWS, replace(LOST_ROWS, backend="postgresql"), elsewhere), ROOT)

    assert "  ✗ bed is not mapped  models.py:3  sqlite  rows-lost\n" in shown


def test_advice_that_is_the_same_for_several_is_given_once_after_the_last() -> None:
    other = replace(LOST_ROWS, message="1 row of room is lost", location=Location(f"{ROOT}/004.py", 13))

    assert findings_text(outcome_with(LOST_ROWS, other), ROOT).startswith(
        "004  Give beds a number.  004.py\n"
        "  ✗ 2 rows of bed are lost  :12  sqlite  rows-lost\n"
        "  ✗ 1 row of room is lost  :13  sqlite  rows-lost\n"
        "      copy them\n"
    )


def test_what_concerns_the_project_comes_after_the_revisions_that_may_be_the_cause() -> None:
    drift = Finding("drift", Severity.ERROR, "column bed.number: added", "write it", "sqlite")

    heads = re.findall(r"^\w+ \w*", findings_text(outcome_with(drift, LOST_ROWS, INDEX_BUILD), ROOT), re.MULTILINE)

    assert heads[:3] == ["004 ", "the project", "003 "]


def test_groups_of_the_same_severity_follow_history() -> None:
    early = replace(LOST_ROWS, revision="002")
    noted = replace(INDEX_BUILD, revision="004", severity=Severity.NOTE)

    heads = re.findall(r"^\d{3}", findings_text(outcome_with(INDEX_BUILD, noted, LOST_ROWS, early), ROOT), re.MULTILINE)

    assert heads == ["002", "004", "003"]


def indexes(number: int, severity: Severity = Severity.WARNING) -> tuple[Finding, ...]:
    """Return findings of one rule, each on another table and in another revision."""
    return tuple(
        replace(
            INDEX_BUILD, severity=severity, message=f"ix_{item} is built", object=f"t{item}", revision=f"{item:03d}",
            location=Location(f"{ROOT}/{item:03d}.py", 7), sql="",
        )
        for item in range(1, number + 1)
    )  # fmt: skip


class TestFolding:
    def test_of_many_warnings_of_one_rule_one_is_in_full_and_the_others_listed(self) -> None:
        shown = findings_text(outcome_with(*indexes(10)), ROOT)

        assert shown.count("      build it concurrently") == 1
        assert (
            "more like these, in full with --verbose\n"
            "  ! slow-index: 9 more\n"
            "      ix_2 is built  002.py:7\n"
            "      ix_3 is built  003.py:7\n"
            "      ix_4 is built  004.py:7\n"
            "      ix_5 is built  005.py:7\n"
            "      ix_6 is built  006.py:7\n"
            "      and 4 more, in 007, 008, 009, 010\n"
        ) in shown
        assert "\n10 warnings · 4 revisions on SQLite 3.40.1 and PostgreSQL 18.6 · inv" in shown

    def test_of_many_errors_of_one_rule_three_are_in_full_and_all_others_listed(self) -> None:
        shown = findings_text(outcome_with(*indexes(15, Severity.ERROR)), ROOT)

        assert shown.count("      build it concurrently") == 3
        assert shown.count("\n      ix_") == 12

    def test_one_more_than_is_shown_is_shown_as_well(self) -> None:
        assert findings_text(outcome_with(*indexes(2)), ROOT).count("      build it concurrently") == 2

    def test_each_failing_revision_is_in_full_before_any_warning(self) -> None:
        failures = [replace(found, rule="upgrade-fails") for found in indexes(18, Severity.ERROR)]
        warnings = [replace(found, rule=f"rule-{rule}") for rule in range(5) for found in indexes(4)]

        shown = findings_text(outcome_with(*warnings, *failures), ROOT)

        assert len(re.findall(r"✗ ix_\d+ is built  :7  postgresql  upgrade-fails\n", shown)) == 18
        assert len(re.findall(r"^  [✗!] ix_", shown, re.MULTILINE)) == 20

    def test_of_notes_one_is_shown_and_the_others_are_counted(self) -> None:
        shown = findings_text(outcome_with(*indexes(30, Severity.NOTE)), ROOT)

        assert shown.count("· ix_") == 1
        assert "  · slow-index: 29 more\n\n" in shown

    def test_at_most_twenty_are_in_full_and_every_rule_is_among_them(self) -> None:
        many = [replace(found, rule=f"rule-{rule}") for rule in range(12) for found in indexes(5, Severity.ERROR)]

        shown = findings_text(outcome_with(*many), ROOT)

        assert len(re.findall(r"^  [✗!] ix_", shown, re.MULTILINE)) == 20
        assert all(f"✗ ix_1 is built  :7  postgresql  rule-{rule}\n" in shown for rule in range(12))

    def test_everything_is_in_full_where_that_is_asked_for(self) -> None:
        shown = findings_text(outcome_with(*indexes(10)), ROOT, verbose=True)

        assert shown.count("      build it concurrently") == 10
        assert "more like these" not in shown


def test_recipes_are_left_to_the_explanation_of_the_rule() -> None:
    assert "autocommit_block" not in findings_text(outcome_with(INDEX_BUILD), ROOT)


def test_what_was_not_looked_at_is_in_the_verdict_and_named_with_its_reason() -> None:
    reason = "the upgrade of one before it fails"
    gaps = tuple(Unchecked("revision", name, "sqlite", reason) for name in ("003", "004"))
    table = Unchecked("table", "audit", "postgresql", "it holds no rows, it has no columns")

    shown = findings_text(replace(outcome_with(), unchecked=(*gaps, table)), ROOT)

    assert shown == (
        "not looked at: 2 revisions on sqlite: 003, 004 (the upgrade of one before it fails)\n"
        "not looked at: 1 table on postgresql: audit (it holds no rows, it has no columns)\n"
        "no findings · 4 revisions on SQLite 3.40.1 and PostgreSQL 18.6 · not looked at: 2 revisions and 1 table\n"
    )


def test_a_long_statement_is_cut_after_a_few_lines() -> None:
    long = replace(INDEX_BUILD, sql="\n".join(["SELECT 1", *(f"     + {number}" for number in range(20))]))

    shown = findings_text(outcome_with(long), ROOT, verbose=True)

    assert "      SELECT 1\n           + 0\n           + 1\n           + 2\n      … 17 more lines\n" in shown


def test_a_statement_loses_the_indentation_that_all_its_lines_share() -> None:
    shown = findings_text(
        outcome_with(replace(INDEX_BUILD, sql="\n        SELECT 1\n\n          + 2\n    ")), ROOT, verbose=True
    )

    assert "      SELECT 1\n        + 2\n      build" in shown


def test_a_wide_statement_is_cut_at_its_end() -> None:
    shown = findings_text(outcome_with(replace(INDEX_BUILD, sql="INSERT " + "x" * 5000)), ROOT, verbose=True)

    assert max(map(len, shown.splitlines())) < 200
    assert "x…\n" in shown


def test_foreign_lines_cannot_look_like_ours_or_like_commands() -> None:
    sly = replace(
        LOST_ROWS,
        message="a\n::add-mask::b",
        hint="c\n::d",
        sql="::e\n::f",
        revision="::g",
        location=replace(LOST_ROWS.location, path="::h"),
    )

    lines = findings_text(outcome_with(sly), ROOT).splitlines()

    assert [line for line in lines if line.strip().startswith("::")] == []


def test_a_finding_of_no_revision_concerns_the_project() -> None:
    shown = findings_text(outcome_with(Finding("models-missing", Severity.ERROR, "no models", "import them")), ROOT)

    assert shown.startswith("the project\n  ✗ no models  models-missing\n      import them\n")


def test_colours_leave_the_same_text() -> None:
    everything = outcome_with(INDEX_BUILD, LOST_ROWS, replace(LOST_ROWS, severity=Severity.NOTE))

    coloured = findings_text(everything, ROOT, TextStyle(colours=True))

    assert "\x1b[1;31m  ✗ \x1b[0m2 rows of bed are lost\x1b[2m  :12" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == findings_text(everything, ROOT)
