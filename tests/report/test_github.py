"""Annotations and the summary of a job, read as the runner of GitHub Actions reads them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from dormatory.checks.finding import Finding, Severity
from dormatory.checks.outcome import CheckedServer, Outcome
from dormatory.errors.location import Location
from dormatory.report.github import MAX_SUMMARY_BYTES, github_commands, job_summary

ROOT = Path("/home/you/shop")
SERVERS = (CheckedServer("sqlite", "SQLite 3.40.1"),)
FAILED_UPGRADE = Finding(
    "upgrade-fails",
    Severity.ERROR,
    "no table room",
    "make it",
    "sqlite",
    "room",
    "002",
    Location(f"{ROOT}/versions/002.py", 9),
)


def repeated_findings(number: int, severity: Severity) -> tuple[Finding, ...]:
    return tuple(
        replace(
            FAILED_UPGRADE,
            severity=severity,
            object=f"room_{item}",
            location=replace(FAILED_UPGRADE.location, line=item + 1),
        )
        for item in range(number)
    )


def annotation_levels(text: str) -> Counter[str]:
    return Counter(re.findall(r"^::(\w+) ", text, re.MULTILINE))


class TestAnnotations:
    def test_a_problem_is_a_command_and_the_verdict_ends_it(self) -> None:
        assert github_commands(Outcome((FAILED_UPGRADE,), SERVERS), ROOT) == (
            "::error file=versions/002.py,line=9,title=upgrade-fails::no table room%0Aon sqlite%0Afix: make it\n"
            "1 error on SQLite 3.40.1\n"
        )

    def test_columns_and_last_lines_are_given_when_known(self) -> None:
        shown = github_commands(
            Outcome(
                (replace(FAILED_UPGRADE, end_line=11, location=replace(FAILED_UPGRADE.location, column=4)),), SERVERS
            ),
            ROOT,
        )

        assert shown.startswith("::error file=versions/002.py,line=9,endLine=11,col=4,title=upgrade-fails::")

    def test_a_very_long_message_is_cut(self) -> None:
        shown = github_commands(Outcome((replace(FAILED_UPGRADE, message="x" * 90_000),), SERVERS), ROOT)

        assert "xx…%0Aon sqlite%0A" in shown
        assert len(shown) < 5000

    def test_without_a_file_there_is_no_place(self) -> None:
        shown = github_commands(
            Outcome(
                (replace(FAILED_UPGRADE, location=replace(FAILED_UPGRADE.location, path=""), backend=""),), SERVERS
            ),
            ROOT,
        )

        assert shown.startswith("::error title=upgrade-fails::no table room%0Afix: make it\n")

    def test_characters_that_end_a_command_are_escaped(self) -> None:
        sly = replace(
            FAILED_UPGRADE,
            message="100%\n::stop-commands::x",
            location=replace(FAILED_UPGRADE.location, path="a,line=1::b.py"),
            hint="",
            backend="",
        )

        assert github_commands(Outcome((sly,)), ROOT).splitlines()[0] == (
            "::error file=a%2Cline=1%3A%3Ab.py,line=9,title=upgrade-fails::100%25%0A::stop-commands::x"
        )

    def test_severities_are_levels_with_the_worst_first(self) -> None:
        mixed = (
            *repeated_findings(1, Severity.NOTE),
            *repeated_findings(1, Severity.WARNING),
            *repeated_findings(1, Severity.ERROR),
        )

        assert list(annotation_levels(github_commands(Outcome(mixed), ROOT))) == ["error", "warning", "notice"]

    def test_all_are_shown_up_to_the_limits(self) -> None:
        full = (
            *repeated_findings(10, Severity.ERROR),
            *repeated_findings(10, Severity.WARNING),
            *repeated_findings(9, Severity.NOTE),
        )

        shown = github_commands(Outcome(full), ROOT)

        assert annotation_levels(shown) == {"error": 10, "warning": 10, "notice": 9}
        assert "more finding" not in shown

    def test_findings_beyond_the_limits_are_counted_in_the_last_notice(self) -> None:
        over = (
            *repeated_findings(13, Severity.ERROR),
            *repeated_findings(12, Severity.WARNING),
            *repeated_findings(10, Severity.NOTE),
        )

        shown = github_commands(Outcome(over), ROOT)

        assert annotation_levels(shown) == {"error": 10, "warning": 10, "notice": 10}
        assert shown.splitlines()[-2:] == [
            "::notice title=dormatory::6 more findings not annotated here; the summary of the job lists them",
            "13 errors, 12 warnings, 10 notes · no database was asked",
        ]

    def test_nothing_found_is_the_verdict_alone(self) -> None:
        assert github_commands(Outcome((), SERVERS), ROOT) == "no findings on SQLite 3.40.1\n"


class TestSummary:
    def test_it_is_a_table_under_the_verdict(self) -> None:
        assert job_summary(
            Outcome(
                (replace(FAILED_UPGRADE, location=replace(FAILED_UPGRADE.location, path=""), message="lost"),), SERVERS
            ),
            ROOT,
        ) == (
            "### Migrations: 1 error on SQLite 3\\.40\\.1\n\n"
            "| severity | rule | revision | place | what | fix |\n| --- | --- | --- | --- | --- | --- |\n"
            "| error | upgrade\\-fails | 002 |  on sqlite | lost | make it |\n"
        )

    def test_markdown_and_html_are_escaped(self) -> None:
        sly = replace(FAILED_UPGRADE, message="a | b `c` <img>\n[d](e)")

        shown = job_summary(Outcome((sly,)), ROOT)

        assert r"| a \| b \`c\` &lt;img&gt;<br>\[d\]\(e\) |" in shown

    def test_a_long_one_is_cut_and_says_how_much_is_missing(self) -> None:
        shown = job_summary(Outcome(repeated_findings(20_000, Severity.ERROR)), ROOT)

        rows, left = shown.count("\n| error |"), re.search(r"\n\n(\d+) more findings left out", shown)
        assert MAX_SUMMARY_BYTES * 0.99 < len(shown.encode()) < MAX_SUMMARY_BYTES
        assert left
        assert rows + int(left[1]) == 20_000

    def test_where_there_is_no_room_nothing_is_written(self) -> None:
        assert job_summary(Outcome((FAILED_UPGRADE,)), ROOT, limit=40) == ""
