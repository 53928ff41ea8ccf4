"""Findings as JSON, for GitLab and as JUnit, read back as their readers read them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

from dormatory.checks.acceptance import AcceptedFinding
from dormatory.checks.finding import Finding, Severity
from dormatory.checks.outcome import CheckedServer, Outcome
from dormatory.checks.registry import RULES
from dormatory.errors.location import Location
from dormatory.project.accepted_file import AcceptedEntry
from dormatory.report.gitlab import gitlab_report
from dormatory.report.grouping import problems
from dormatory.report.json_document import json_document
from dormatory.report.junit import junit_report

ROOT = Path("/home/you/shop")
SERVERS = (
    CheckedServer("sqlite", "SQLite 3.40.1", (("001", 0.25), ("002", 0.5))),
    CheckedServer("postgresql", "PostgreSQL 18.6", (("001", 0.125),)),
)
FAILED_UPGRADE = Finding(
    "upgrade-fails",
    Severity.ERROR,
    "no such table: room",
    "make it first",
    "sqlite",
    "room",
    "002",
    Location(f"{ROOT}/versions/002.py", 9, 5),
    10,
    "SELECT 1",
)
SEVERAL_HEADS = Finding("several-heads", Severity.ERROR, "the history has 2 heads", "join them")
COLUMN_ORDER_NOTE = replace(
    FAILED_UPGRADE, rule="column-order", severity=Severity.NOTE, message="another order", sql=""
)
ALL_FINDINGS = Outcome(
    (COLUMN_ORDER_NOTE, FAILED_UPGRADE, replace(FAILED_UPGRADE, backend="postgresql"), SEVERAL_HEADS),
    SERVERS,
    ("001", "002"),
    suppressed=1,
)
ENTRY = AcceptedEntry("upgrade-fails", "002", object="room", reason="it never ran there")
ACCEPTED = replace(
    ALL_FINDINGS,
    findings=(COLUMN_ORDER_NOTE,),
    accepted=tuple(
        AcceptedFinding(replace(FAILED_UPGRADE, backend=backend), ENTRY) for backend in ("sqlite", "postgresql")
    ),
)


def junit_cases(outcome: Outcome) -> dict[tuple[str, str], ET.Element]:
    """Return the cases of a report by class and name."""
    root = ET.fromstring(junit_report(outcome, ROOT))  # noqa: S314  # we have just written it
    return {(case.attrib["classname"], case.attrib["name"]): case for case in root.iter("testcase")}


def failed_cases(outcome: Outcome) -> set[tuple[str, str]]:
    return {name for name, case in junit_cases(outcome).items() if case.find("failure") is not None}


class TestJSON:
    def test_the_document_holds_all_that_is_known(self) -> None:
        read = json.loads(json_document(ALL_FINDINGS, ROOT))

        fails, heads, noted = read.pop("findings")
        rules = read.pop("rules")
        assert read == {
            "version": 1,
            "verdict": {
                "failed": True,
                "complete": True,
                "strict": False,
                "errors": 2,
                "warnings": 0,
                "notes": 1,
                "suppressed": 1,
                "accepted": 0,
            },
            "servers": [
                {"backend": "sqlite", "name": "SQLite 3.40.1"},
                {"backend": "postgresql", "name": "PostgreSQL 18.6"},
            ],
            "revisions": [
                {"revision": "001", "seconds": {"sqlite": 0.25, "postgresql": 0.125}},
                {"revision": "002", "seconds": {"sqlite": 0.5}},
            ],
            "accepted": [],
            "unchecked": [],
        }
        assert (heads["rule"], heads["file"], heads["line"], heads["backends"]) == ("several-heads", "", 0, [])
        assert noted["severity"] == "note"
        assert len(fails.pop("fingerprint")) == 64
        assert fails == {
            "rule": "upgrade-fails",
            "severity": "error",
            "message": "no such table: room",
            "hint": "make it first",
            "revision": "002",
            "object": "room",
            "file": "versions/002.py",
            "line": 9,
            "end_line": 10,
            "column": 5,
            "backends": ["sqlite", "postgresql"],
            "statements": [{"backends": ["sqlite", "postgresql"], "sql": "SELECT 1"}],
        }
        assert rules["several-heads"] == {
            "family": "graph",
            "severity": "error",
            "meaning": RULES["several-heads"].meaning,
            "why": RULES["several-heads"].why,
            "recipe": RULES["several-heads"].recipe,
        }

    def test_the_manual_shows_the_keys_that_there_are(self) -> None:
        manual = (Path(__file__).resolve().parents[2] / "MIGRATIONS.md").read_text(encoding="utf-8")
        shown = json.loads(manual.partition("```json\n")[2].partition("```")[0])
        read = json.loads(json_document(ALL_FINDINGS, ROOT))
        assert [*shown] == [*read]
        assert [*shown["verdict"]] == [*read["verdict"]]
        assert [*shown["findings"][0]] == [*read["findings"][0]]
        assert [*shown["rules"]["trace"]] == [*read["rules"]["several-heads"]]

    def test_accepted_findings_are_listed_with_their_reason_and_not_counted(self) -> None:
        read = json.loads(json_document(ACCEPTED, ROOT))
        (found,), (accepted,) = read["findings"], read["accepted"]
        assert (read["verdict"]["failed"], read["verdict"]["errors"], read["verdict"]["accepted"]) == (False, 0, 1)
        assert found["rule"] == "column-order"
        assert (accepted["rule"], accepted["backends"], accepted["reason"]) == (
            "upgrade-fails",
            ["sqlite", "postgresql"],
            "it never ran there",
        )
        assert "upgrade-fails" in read["rules"]

    def test_the_verdict_fails_for_blocking_severities(self) -> None:
        warned = Outcome((replace(SEVERAL_HEADS, severity=Severity.WARNING),))

        verdicts = [
            json.loads(json_document(item, ROOT))["verdict"] for item in (warned, replace(warned, is_strict=True))
        ]

        assert [verdict["failed"] for verdict in verdicts] == [False, True]


class TestGitLab:
    def test_every_problem_has_what_code_quality_asks_for(self) -> None:
        fails, heads, noted = json.loads(gitlab_report(ALL_FINDINGS, ROOT))

        assert fails == {
            "description": "no such table: room (on sqlite and postgresql); make it first",
            "check_name": "upgrade-fails",
            "fingerprint": problems(ALL_FINDINGS, ROOT)[0].fingerprint,
            "severity": "major",
            "location": {"path": "versions/002.py", "lines": {"begin": 9, "end": 10}},
        }
        assert noted["severity"] == "info"
        assert heads["location"] == {"path": "alembic.ini", "lines": {"begin": 1}}

    def test_the_configuration_replaces_a_missing_file(self) -> None:
        (entry,) = json.loads(gitlab_report(Outcome((SEVERAL_HEADS,), configuration=ROOT / "db" / "alembic.ini"), ROOT))

        assert entry["location"]["path"] == "db/alembic.ini"

    def test_accepted_findings_are_left_out(self) -> None:
        assert [entry["check_name"] for entry in json.loads(gitlab_report(ACCEPTED, ROOT))] == ["column-order"]

    def test_nothing_found_is_an_empty_list(self) -> None:
        assert json.loads(gitlab_report(Outcome((), SERVERS), ROOT)) == []


class TestJUnit:
    def test_there_is_a_case_for_each_revision_and_backend_with_its_seconds(self) -> None:
        found = junit_cases(replace(ALL_FINDINGS, findings=()))

        assert {name: case.attrib["time"] for name, case in found.items()} == {
            ("sqlite", "001"): "0.250",
            ("sqlite", "002"): "0.500",
            ("postgresql", "001"): "0.125",
            ("postgresql", "002"): "0.000",
        }

    def test_a_case_fails_for_errors_only(self) -> None:
        warned = replace(COLUMN_ORDER_NOTE, severity=Severity.WARNING, revision="001")

        assert failed_cases(replace(ALL_FINDINGS, findings=(FAILED_UPGRADE, warned, COLUMN_ORDER_NOTE))) == {
            ("sqlite", "002")
        }

    def test_a_case_fails_for_warnings_where_strict(self) -> None:
        warned = replace(COLUMN_ORDER_NOTE, severity=Severity.WARNING, revision="001")

        assert failed_cases(replace(ALL_FINDINGS, findings=(FAILED_UPGRADE, warned), is_strict=True)) == {
            ("sqlite", "001"),
            ("sqlite", "002"),
        }

    def test_one_failure_lists_all_errors_and_the_rest_is_output(self) -> None:
        more = replace(
            FAILED_UPGRADE, message="no such column: floor", location=replace(FAILED_UPGRADE.location, line=20)
        )

        case = junit_cases(replace(ALL_FINDINGS, findings=(more, FAILED_UPGRADE, COLUMN_ORDER_NOTE)))["sqlite", "002"]

        (failure,) = case.findall("failure")
        assert failure.attrib == {"message": "2 errors: no such table: room", "type": "upgrade-fails"}
        assert failure.text == (
            "versions/002.py:9:5: error[upgrade-fails] no such table: room\nfix: make it first\n"
            "versions/002.py:20:5: error[upgrade-fails] no such column: floor\nfix: make it first"
        )
        assert case.findtext("system-out") == (
            "versions/002.py:9:5: note[column-order] another order\nfix: make it first"
        )

    def test_an_accepted_problem_is_output_with_its_reason(self) -> None:
        case = junit_cases(ACCEPTED)["postgresql", "002"]
        assert case.find("failure") is None
        assert case.findtext("system-out") == (
            "accepted (it never ran there): versions/002.py:9:5: error[upgrade-fails] no such table: room\n"
            "fix: make it first"
        )

    def test_a_problem_of_no_revision_stands_in_the_case_of_its_family(self) -> None:
        assert failed_cases(ALL_FINDINGS) == {("history", "graph"), ("sqlite", "002"), ("postgresql", "002")}

    def test_a_run_without_a_database_has_a_case_for_each_revision(self) -> None:
        assert set(junit_cases(Outcome((), revisions=("001", "002")))) == {("history", "001"), ("history", "002")}

    def test_suites_count_their_cases(self) -> None:
        root = ET.fromstring(junit_report(ALL_FINDINGS, ROOT))  # noqa: S314  # we have just written it

        counted = [(suite.attrib["name"], suite.attrib["tests"], suite.attrib["failures"]) for suite in root]
        assert counted == [("sqlite", "2", "1"), ("postgresql", "2", "1"), ("history", "1", "1")]
