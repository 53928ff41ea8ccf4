"""Findings as a reader sees them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from dormatory.checks.finding import Finding, Severity
from dormatory.checks.outcome import CheckedServer, Outcome, Unchecked
from dormatory.checks.rule import Rule
from dormatory.errors.location import Location
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
    return Outcome(findings, SERVERS, ("001", "002", "003", "004"), rules={RULE.id: RULE})


def test_no_findings_is_one_line() -> None:
    assert findings_text(outcome_with(), ROOT) == "no findings on SQLite 3.40.1, PostgreSQL 18.6\n"


def test_suppressed_findings_are_counted_in_the_verdict() -> None:
    quiet = replace(outcome_with(), suppressed=2)

    assert findings_text(quiet, ROOT) == "no findings on SQLite 3.40.1, PostgreSQL 18.6 (2 suppressed)\n"


def test_a_verdict_without_a_database_says_so() -> None:
    assert findings_text(Outcome(()), ROOT) == "no findings, no database was asked\n"


def test_revisions_are_listed_worst_first_with_all_details() -> None:
    both = outcome_with(INDEX_BUILD, LOST_ROWS, replace(LOST_ROWS, backend="postgresql"))

    assert findings_text(both, ROOT) == (
        "revision 004: 1 error\n"
        "  error[rows-lost] 2 rows of bed are lost\n"
        "    at 004.py:12 on sqlite and postgresql\n"
        "    fix: copy them\n"
        "\n"
        "revision 003: 1 warning\n"
        "  warning[slow-index] ix_room_floor is built while nobody can write to room\n"
        "    at versions/003.py:41 on postgresql\n"
        "    | CREATE INDEX ix_room_floor\n"
        "    |     ON room (floor)\n"
        "    fix: build it concurrently\n"
        "\n"
        "what a rule means, and how it is done right: inv db.check --explain rows-lost\n"
        "1 error, 1 warning on SQLite 3.40.1, PostgreSQL 18.6\n"
    )


def test_groups_of_the_same_severity_follow_history() -> None:
    early = replace(LOST_ROWS, revision="002")
    noted = replace(INDEX_BUILD, revision="004", severity=Severity.NOTE)

    heads = re.findall(
        r"^revision \d+", findings_text(outcome_with(INDEX_BUILD, noted, LOST_ROWS, early), ROOT), re.MULTILINE
    )

    assert heads == ["revision 002", "revision 004", "revision 003"]


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

        assert shown.count("fix: build it concurrently") == 1
        assert (
            "more like these, in full with --verbose\n"
            "  warning[slow-index] 9 more\n"
            "    - ix_2 is built at 002.py:7\n"
            "    - ix_3 is built at 003.py:7\n"
            "    - ix_4 is built at 004.py:7\n"
            "    - ix_5 is built at 005.py:7\n"
            "    - ix_6 is built at 006.py:7\n"
            "    and 4 more, in 007, 008, 009, 010\n"
        ) in shown
        assert shown.endswith("10 warnings on SQLite 3.40.1, PostgreSQL 18.6\n")

    def test_of_many_errors_of_one_rule_three_are_in_full_and_all_others_listed(self) -> None:
        shown = findings_text(outcome_with(*indexes(15, Severity.ERROR)), ROOT)

        assert shown.count("fix: build it concurrently") == 3
        assert shown.count("\n    - ix_") == 12

    def test_one_more_than_is_shown_is_shown_as_well(self) -> None:
        assert findings_text(outcome_with(*indexes(2)), ROOT).count("fix: build it concurrently") == 2

    def test_each_failing_revision_is_in_full_before_any_warning(self) -> None:
        failures = [replace(found, rule="upgrade-fails") for found in indexes(18, Severity.ERROR)]
        warnings = [replace(found, rule=f"rule-{rule}") for rule in range(5) for found in indexes(4)]

        shown = findings_text(outcome_with(*warnings, *failures), ROOT)

        assert shown.count("error[upgrade-fails] ix_") == 18
        assert shown.count("fix:") == 20

    def test_of_notes_one_is_shown_and_the_others_are_counted(self) -> None:
        shown = findings_text(outcome_with(*indexes(30, Severity.NOTE)), ROOT)

        assert shown.count("fix:") == 1
        assert "  note[slow-index] 29 more\n\n" in shown

    def test_at_most_twenty_are_in_full_and_every_rule_is_among_them(self) -> None:
        many = [replace(found, rule=f"rule-{rule}") for rule in range(12) for found in indexes(5, Severity.ERROR)]

        shown = findings_text(outcome_with(*many), ROOT)

        assert shown.count("fix:") == 20
        assert all(f"error[rule-{rule}] ix_1 is built" in shown for rule in range(12))

    def test_everything_is_in_full_where_that_is_asked_for(self) -> None:
        shown = findings_text(outcome_with(*indexes(10)), ROOT, verbose=True)

        assert shown.count("fix: build it concurrently") == 10
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
        "no findings on SQLite 3.40.1, PostgreSQL 18.6; not looked at: 2 revisions and 1 table\n"
    )


def test_a_long_statement_is_cut_after_a_few_lines() -> None:
    long = replace(INDEX_BUILD, sql="\n".join(["SELECT 1", *(f"     + {number}" for number in range(20))]))

    shown = findings_text(outcome_with(long), ROOT)

    assert "    | SELECT 1\n    |      + 0\n    |      + 1\n    |      + 2\n    | … 17 more lines\n" in shown


def test_a_statement_loses_the_indentation_that_all_its_lines_share() -> None:
    shown = findings_text(outcome_with(replace(INDEX_BUILD, sql="\n        SELECT 1\n\n          + 2\n    ")), ROOT)

    assert "    | SELECT 1\n    |   + 2\n    fix" in shown


def test_a_wide_statement_is_cut_at_its_end() -> None:
    shown = findings_text(outcome_with(replace(INDEX_BUILD, sql="INSERT " + "x" * 5000)), ROOT)

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

    assert shown.startswith("the project: 1 error\n  error[models-missing] no models\n    fix: import them\n")


def test_colours_leave_the_same_text() -> None:
    everything = outcome_with(INDEX_BUILD, LOST_ROWS, replace(LOST_ROWS, severity=Severity.NOTE))

    coloured = findings_text(everything, ROOT, colours=True)

    assert "\x1b[1;31merror[rows-lost]\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == findings_text(everything, ROOT)
