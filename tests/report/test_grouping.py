"""What every renderer starts from: findings merged, ordered, made legible and given a fingerprint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dormatory.checks.finding import Finding, Severity
from dormatory.checks.outcome import Outcome
from dormatory.report.grouping import problems

ROOT = Path("/home/you/shop")
LEFT = Finding(
    "leftover", Severity.ERROR, "table room is left", "drop it", "sqlite", "room", "002", f"{ROOT}/versions/002.py", 7
)


def changed(field: str) -> Finding:
    """Return the finding with another text in one field."""
    other: dict[str, Any] = {field: "another"}
    return replace(LEFT, **other)


def found(*findings: Finding, revisions: tuple[str, ...] = ("001", "002", "003")) -> tuple[str, ...]:
    return tuple(problem.message for problem in problems(Outcome(findings, revisions=revisions), ROOT))


def fingerprints(*findings: Finding) -> list[str]:
    return [problem.fingerprint for problem in problems(Outcome(findings), ROOT)]


class TestMerging:
    def test_what_two_backends_say_in_the_same_words_is_one_problem(self) -> None:
        both = (replace(LEFT, sql="DROP TABLE a"), replace(LEFT, backend="postgresql", sql='DROP TABLE "a"'))

        (problem,) = problems(Outcome(both), ROOT)

        assert problem.backends == ("sqlite", "postgresql")
        assert problem.statements == ((("sqlite",), "DROP TABLE a"), (("postgresql",), 'DROP TABLE "a"'))

    def test_the_same_statement_is_kept_once(self) -> None:
        both = (replace(LEFT, sql="DROP TABLE a"), replace(LEFT, backend="postgresql", sql="DROP TABLE a"))

        (problem,) = problems(Outcome(both), ROOT)

        assert problem.statements == ((("sqlite", "postgresql"), "DROP TABLE a"),)

    @pytest.mark.parametrize("field", ["rule", "message", "hint", "object", "revision", "file"])
    def test_what_differs_in_more_than_the_backend_stays_apart(self, field: str) -> None:
        other = replace(changed(field), backend="postgresql")

        assert len(problems(Outcome((LEFT, other)), ROOT)) == 2

    def test_what_one_backend_says_twice_is_said_twice(self) -> None:
        seen = problems(Outcome((LEFT, LEFT, replace(LEFT, backend="postgresql"))), ROOT)

        assert [problem.backends for problem in seen] == [("sqlite", "postgresql"), ("sqlite",)]


class TestOrder:
    def test_the_worst_stands_first_then_history_then_lines(self) -> None:
        late, early = replace(LEFT, message="late", revision="003"), replace(LEFT, message="early", revision="001")
        below = replace(LEFT, message="below", line=8)
        warning = replace(early, message="warning", severity=Severity.WARNING)
        project = replace(LEFT, message="project", revision="")

        shown = found(warning, late, below, LEFT, early, project)

        assert shown == ("project", "early", "table room is left", "below", "late", "warning")

    def test_revisions_that_were_not_judged_come_after_those_that_were(self) -> None:
        stray = replace(LEFT, message="stray", revision="000")

        assert found(stray, LEFT) == ("table room is left", "stray")


class TestFiles:
    def test_a_file_below_the_root_is_named_from_there(self) -> None:
        (problem,) = problems(Outcome((LEFT,)), ROOT)

        assert problem.place == "versions/002.py:7"

    def test_a_file_elsewhere_keeps_its_whole_name(self) -> None:
        (problem,) = problems(Outcome((replace(LEFT, file="/home/you/shopping/002.py", line=0),)), ROOT)

        assert problem.place == "/home/you/shopping/002.py"

    def test_a_column_follows_its_line(self) -> None:
        (problem,) = problems(Outcome((replace(LEFT, column=3),)), ROOT)

        assert problem.place == "versions/002.py:7:3"


class TestFingerprints:
    def test_it_stays_when_the_line_moves_and_the_words_change(self) -> None:
        moved = replace(LEFT, line=90, column=2, message="table room is left over", hint="remove it")

        assert fingerprints(LEFT) == fingerprints(moved)

    def test_it_stays_when_the_file_is_renamed_or_another_backend_joins(self) -> None:
        renamed = replace(LEFT, file=f"{ROOT}/versions/002_room.py")

        assert fingerprints(LEFT) == fingerprints(renamed, replace(renamed, backend="postgresql"))

    def test_it_is_the_same_in_another_checkout(self) -> None:
        here = replace(LEFT, revision="")
        there = replace(here, file="/builds/7/shop/versions/002.py")

        other = problems(Outcome((there,)), Path("/builds/7/shop"))

        assert fingerprints(here) == [problem.fingerprint for problem in other]

    @pytest.mark.parametrize("field", ["rule", "object", "revision"])
    def test_it_differs_for_another_rule_object_or_revision(self, field: str) -> None:
        assert fingerprints(LEFT) != fingerprints(changed(field))

    def test_without_a_revision_the_file_tells_problems_apart(self) -> None:
        here = replace(LEFT, revision="")

        assert fingerprints(here) != fingerprints(replace(here, file=f"{ROOT}/other.sql"))

    def test_several_of_the_same_are_counted_by_line(self) -> None:
        upper, lower = replace(LEFT, message="upper"), replace(LEFT, message="lower", line=9)

        alone, together = fingerprints(upper), fingerprints(lower, upper)

        assert alone[0] == together[0] != together[1]

    def test_parts_do_not_run_into_each_other(self) -> None:
        assert fingerprints(replace(LEFT, rule="ab", object="c")) != fingerprints(replace(LEFT, rule="a", object="bc"))


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
    def test_what_steers_a_terminal_is_written_as_its_escape(self, raw: str, shown: str) -> None:
        assert found(replace(LEFT, message=raw)) == (shown,)

    def test_a_name_stays_in_one_line(self) -> None:
        (problem,) = problems(Outcome((replace(LEFT, object="a\nb\tc"),)), ROOT)

        assert problem.object == r"a\nb\tc"
