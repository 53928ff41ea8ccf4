"""What every renderer starts from: findings merged, ordered, safe to show and with a fingerprint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dormatory.checks.acceptance import AcceptedFinding
from dormatory.checks.finding import Finding, Severity
from dormatory.checks.outcome import Outcome
from dormatory.errors.location import Location
from dormatory.project.accepted_file import AcceptedEntry
from dormatory.report.grouping import accepted_problems, problems

ROOT = Path("/home/you/shop")
LEFTOVER = Finding(
    "leftover",
    Severity.ERROR,
    "table room is left",
    "drop it",
    "sqlite",
    "room",
    "002",
    Location(f"{ROOT}/versions/002.py", 7),
)


def changed_in(field: str) -> Finding:
    """Return the finding with another text in one field."""
    if field == "path":
        return replace(LEFTOVER, location=replace(LEFTOVER.location, path="another"))
    other: dict[str, Any] = {field: "another"}
    return replace(LEFTOVER, **other)


def messages(*findings: Finding, revisions: tuple[str, ...] = ("001", "002", "003")) -> tuple[str, ...]:
    return tuple(problem.finding.message for problem in problems(Outcome(findings, revisions=revisions), ROOT))


def fingerprints(*findings: Finding) -> list[str]:
    return [problem.fingerprint for problem in problems(Outcome(findings), ROOT)]


class TestMerging:
    def test_the_same_finding_of_two_backends_is_one_problem(self) -> None:
        both = (replace(LEFTOVER, sql="DROP TABLE a"), replace(LEFTOVER, backend="postgresql", sql='DROP TABLE "a"'))

        (problem,) = problems(Outcome(both), ROOT)

        assert problem.backends == ("sqlite", "postgresql")
        assert problem.statements == ((("sqlite",), "DROP TABLE a"), (("postgresql",), 'DROP TABLE "a"'))

    def test_the_same_statement_is_kept_once(self) -> None:
        both = (replace(LEFTOVER, sql="DROP TABLE a"), replace(LEFTOVER, backend="postgresql", sql="DROP TABLE a"))

        (problem,) = problems(Outcome(both), ROOT)

        assert problem.statements == ((("sqlite", "postgresql"), "DROP TABLE a"),)

    @pytest.mark.parametrize("field", ["rule", "message", "hint", "object", "revision", "path"])
    def test_findings_that_differ_in_more_than_the_backend_stay_apart(self, field: str) -> None:
        other = replace(changed_in(field), backend="postgresql")

        assert len(problems(Outcome((LEFTOVER, other)), ROOT)) == 2

    def test_repeated_findings_of_one_backend_are_kept(self) -> None:
        seen = problems(Outcome((LEFTOVER, LEFTOVER, replace(LEFTOVER, backend="postgresql"))), ROOT)

        assert [problem.backends for problem in seen] == [("sqlite", "postgresql"), ("sqlite",)]


class TestOrder:
    def test_the_worst_stands_first_then_history_then_lines(self) -> None:
        late, early = (
            replace(LEFTOVER, message="late", revision="003"),
            replace(LEFTOVER, message="early", revision="001"),
        )
        below = replace(LEFTOVER, message="below", location=replace(LEFTOVER.location, line=8))
        warning = replace(early, message="warning", severity=Severity.WARNING)
        project = replace(LEFTOVER, message="project", revision="")

        shown = messages(warning, late, below, LEFTOVER, early, project)

        assert shown == ("early", "table room is left", "below", "late", "project", "warning")

    def test_revisions_that_were_not_checked_come_after_those_that_were(self) -> None:
        stray = replace(LEFTOVER, message="stray", revision="000")

        assert messages(stray, LEFTOVER) == ("table room is left", "stray")


class TestFiles:
    def test_a_file_below_the_root_is_named_from_there(self) -> None:
        (problem,) = problems(Outcome((LEFTOVER,)), ROOT)

        assert str(problem.finding.location) == "versions/002.py:7"

    def test_a_file_elsewhere_keeps_its_whole_name(self) -> None:
        (problem,) = problems(
            Outcome(
                (replace(LEFTOVER, location=replace(LEFTOVER.location, path="/home/you/shopping/002.py", line=0)),)
            ),
            ROOT,
        )

        assert str(problem.finding.location) == "/home/you/shopping/002.py"

    def test_a_column_follows_its_line(self) -> None:
        (problem,) = problems(Outcome((replace(LEFTOVER, location=replace(LEFTOVER.location, column=3)),)), ROOT)

        assert str(problem.finding.location) == "versions/002.py:7:3"


class TestFingerprints:
    def test_it_stays_when_the_line_moves_and_the_words_change(self) -> None:
        moved = replace(
            LEFTOVER,
            location=replace(LEFTOVER.location, line=90, column=2),
            message="table room is left over",
            hint="remove it",
        )

        assert fingerprints(LEFTOVER) == fingerprints(moved)

    def test_it_stays_when_the_file_is_renamed_or_another_backend_joins(self) -> None:
        renamed = replace(LEFTOVER, location=replace(LEFTOVER.location, path=f"{ROOT}/versions/002_room.py"))

        assert fingerprints(LEFTOVER) == fingerprints(renamed, replace(renamed, backend="postgresql"))

    def test_it_is_the_same_in_another_checkout(self) -> None:
        here = replace(LEFTOVER, revision="")
        there = replace(here, location=replace(here.location, path="/builds/7/shop/versions/002.py"))

        other = problems(Outcome((there,)), Path("/builds/7/shop"))

        assert fingerprints(here) == [problem.fingerprint for problem in other]

    @pytest.mark.parametrize("field", ["rule", "object", "revision"])
    def test_it_differs_for_another_rule_object_or_revision(self, field: str) -> None:
        assert fingerprints(LEFTOVER) != fingerprints(changed_in(field))

    def test_accepting_one_of_several_does_not_change_the_others(self) -> None:
        below = replace(LEFTOVER, location=replace(LEFTOVER.location, line=9))
        both = Outcome((LEFTOVER, below))
        accepted = Outcome((below,), accepted=(AcceptedFinding(LEFTOVER, AcceptedEntry("leftover", "002")),))

        (left,), (hidden,) = problems(accepted, ROOT), accepted_problems(accepted, ROOT)

        assert [hidden.fingerprint, left.fingerprint] == [problem.fingerprint for problem in problems(both, ROOT)]

    def test_without_a_revision_the_file_tells_problems_apart(self) -> None:
        here = replace(LEFTOVER, revision="")

        assert fingerprints(here) != fingerprints(
            replace(here, location=replace(here.location, path=f"{ROOT}/other.sql"))
        )

    def test_several_of_the_same_are_counted_by_line(self) -> None:
        upper, lower = (
            replace(LEFTOVER, message="upper"),
            replace(LEFTOVER, message="lower", location=replace(LEFTOVER.location, line=9)),
        )

        alone, together = fingerprints(upper), fingerprints(lower, upper)

        assert alone[0] == together[0] != together[1]

    def test_a_fingerprint_separates_its_parts(self) -> None:
        assert fingerprints(replace(LEFTOVER, rule="ab", object="c")) != fingerprints(
            replace(LEFTOVER, rule="a", object="bc")
        )


class TestLegible:
    @pytest.mark.parametrize(
        ("raw", "shown"),
        [
            ("red \x1b[31m", r"red \x1b[31m"),
            ("over\rwritten", r"over\x0dwritten"),
            ("one\r\ntwo", "one\ntwo"),
            ("half \udc80", r"half \udc80"),
            ("turned \u202e", r"turned \u202e"),
            ("zero \x00", r"zero \x00"),
            ("🛏 ist größer", "🛏 ist größer"),
        ],
    )
    def test_control_characters_are_escaped(self, raw: str, shown: str) -> None:
        assert messages(replace(LEFTOVER, message=raw)) == (shown,)

    def test_a_name_stays_in_one_line(self) -> None:
        (problem,) = problems(Outcome((replace(LEFTOVER, object="a\nb\tc"),)), ROOT)

        assert problem.finding.object == r"a\nb\tc"
