"""Findings as a reader sees them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from dormatory.checks.finding import Finding, Severity
from dormatory.checks.outcome import Outcome, Server
from dormatory.checks.registry import RULES, Rule
from dormatory.report.text import text

ROOT = Path("/home/you/shop")
SERVERS = (Server("sqlite", "SQLite 3.40.1"), Server("postgresql", "PostgreSQL 18.6"))
INDEX = Finding(
    "slow-index",
    Severity.WARNING,
    "ix_room_floor is built while nobody can write to room",
    "build it concurrently",
    "postgresql",
    "room",
    "003",
    f"{ROOT}/versions/003.py",
    41,
    sql="CREATE INDEX ix_room_floor\n    ON room (floor)",
)
LOST = Finding(
    "rows-lost", Severity.ERROR, "2 rows of bed are lost", "copy them", "sqlite", "bed", "004", f"{ROOT}/004.py", 12
)
RULE = Rule(
    "slow-index",
    "locks",
    Severity.WARNING,
    "an index is built under a lock",
    "Nobody can write.",
    '\nwith op.get_context().autocommit_block():\n    op.create_index("ix", "room", postgresql_concurrently=True)',
)


def outcome(*findings: Finding) -> Outcome:
    return Outcome(findings, SERVERS, ("001", "002", "003", "004"), rules={RULE.id: RULE})


def test_all_well_is_one_line() -> None:
    assert text(outcome(), ROOT) == "no findings on SQLite 3.40.1, PostgreSQL 18.6\n"


def test_suppressed_findings_are_counted_in_the_verdict() -> None:
    quiet = replace(outcome(), suppressed=2)

    assert text(quiet, ROOT) == "no findings on SQLite 3.40.1, PostgreSQL 18.6 (2 suppressed)\n"


def test_a_verdict_without_a_database_says_so() -> None:
    assert text(Outcome(()), ROOT) == "no findings, no database was asked\n"


def test_revisions_are_told_with_the_worst_first_and_all_that_is_known() -> None:
    both = outcome(INDEX, LOST, replace(LOST, backend="postgresql"))

    assert text(both, ROOT) == (
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
        "      with op.get_context().autocommit_block():\n"
        '          op.create_index("ix", "room", postgresql_concurrently=True)\n'
        "\n"
        "1 error, 1 warning on SQLite 3.40.1, PostgreSQL 18.6\n"
    )


def test_groups_of_the_same_severity_follow_history() -> None:
    early = replace(LOST, revision="002")
    noted = replace(INDEX, revision="004", severity=Severity.NOTE)

    heads = re.findall(r"^revision \d+", text(outcome(INDEX, noted, LOST, early), ROOT), re.MULTILINE)

    assert heads == ["revision 002", "revision 004", "revision 003"]


def test_a_recipe_is_shown_once_for_its_rule() -> None:
    shown = text(outcome(INDEX, replace(INDEX, line=50), replace(INDEX, revision="004")), ROOT)

    assert shown.count("autocommit_block") == 1
    assert shown.count("fix: build it concurrently") == 3


def test_the_catalogue_gives_the_recipes_unless_told_otherwise() -> None:
    shown = text(Outcome((replace(LOST, rule="several-heads"),)), ROOT)

    assert all(line in shown for line in RULES["several-heads"].recipe.splitlines())


def test_a_long_statement_is_cut_after_a_few_lines() -> None:
    long = replace(INDEX, sql="\n".join(["SELECT 1", *(f"     + {number}" for number in range(20))]))

    shown = text(outcome(long), ROOT)

    assert "    | SELECT 1\n    |      + 0\n    |      + 1\n    |      + 2\n    | … 17 more lines\n" in shown


def test_a_statement_loses_the_indentation_that_all_its_lines_share() -> None:
    shown = text(outcome(replace(INDEX, sql="\n        SELECT 1\n\n          + 2\n    ")), ROOT)

    assert "    | SELECT 1\n    |   + 2\n    fix" in shown


def test_a_wide_statement_is_cut_at_its_end() -> None:
    shown = text(outcome(replace(INDEX, sql="INSERT " + "x" * 5000)), ROOT)

    assert max(map(len, shown.splitlines())) < 200
    assert "x…\n" in shown


def test_no_line_of_others_can_be_taken_for_ours_or_for_a_command() -> None:
    sly = replace(LOST, message="a\n::add-mask::b", hint="c\n::d", sql="::e\n::f", revision="::g", file="::h")

    lines = text(outcome(sly), ROOT).splitlines()

    assert [line for line in lines if line.strip().startswith("::")] == []


def test_a_finding_of_no_revision_concerns_the_project() -> None:
    shown = text(outcome(Finding("models-missing", Severity.ERROR, "no models", "import them")), ROOT)

    assert shown.startswith("the project: 1 error\n  error[models-missing] no models\n    fix: import them\n")


def test_colours_leave_the_same_text() -> None:
    everything = outcome(INDEX, LOST, replace(LOST, severity=Severity.NOTE))

    coloured = text(everything, ROOT, colours=True)

    assert "\x1b[1;31merror[rows-lost]\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == text(everything, ROOT)
