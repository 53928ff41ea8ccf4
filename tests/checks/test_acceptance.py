"""An accepted finding is hidden as long as it is the same one; what accepts nothing any more is reported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dormatory.checks.acceptance import CheckedScope, accepted_entries, check_acceptance, divide_findings
from dormatory.checks.finding import Finding, Severity
from dormatory.checks.registry import FAMILIES, RULES
from dormatory.errors.location import Location
from dormatory.project.accepted_file import AcceptedEntry

ROOT = Path("/shop")
FILE = ROOT / "alembic/accepted.toml"
ON_BOTH = dict.fromkeys(("", "sqlite", "postgresql"), FAMILIES)
ALL = CheckedScope(ON_BOTH)
TRACE = RULES["trace"].finding(
    "table box: added",
    "h",
    backend="sqlite",
    object_name="table box",
    revision="003",
    location=Location("/shop/3.py", 9),
)
DUMP = RULES["stale-dump"].finding("it differs", "h", backend="sqlite", location=Location("/shop/schema/sqlite.sql", 4))


def accept(*findings: Finding, reason: str = "as it is") -> tuple[AcceptedEntry, ...]:
    """Return the entries that accept findings."""
    return accepted_entries(divide_findings(findings, (), ROOT, RULES), ALL, ROOT, RULES, reason)


def shown_after(*findings: Finding, accepted: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return the findings that are shown where others were accepted before."""
    return divide_findings(findings, accept(*accepted), ROOT, RULES).shown


def stale_rules(entries: tuple[AcceptedEntry, ...], scope: CheckedScope, *findings: Finding) -> list[str]:
    """Return what is reported of a file of accepted findings."""
    acceptance = divide_findings(findings, entries, ROOT, RULES)
    return [found.rule for found in check_acceptance(acceptance, scope, FILE, RULES)]


class TestHiding:
    @pytest.mark.parametrize("found", [TRACE, DUMP])
    def test_an_accepted_finding_is_hidden(self, found: Finding) -> None:
        assert shown_after(found, accepted=(found,)) == ()

    @pytest.mark.parametrize("found", [TRACE, DUMP])
    def test_it_stays_hidden_in_another_line_with_another_text_and_severity(self, found: Finding) -> None:
        later = replace(
            found,
            message="other words",
            hint="other",
            severity=Severity.WARNING,
            location=replace(found.location, line=70),
        )
        assert shown_after(later, accepted=(found,)) == ()

    @pytest.mark.parametrize(
        "other",
        [
            replace(TRACE, object="table lid"),
            replace(TRACE, revision="004"),
            replace(TRACE, rule="second-upgrade-differs"),
            replace(TRACE, backend="postgresql"),
            replace(DUMP, location=Location("/shop/schema/postgresql.sql", 4)),
        ],
    )
    def test_another_finding_is_shown(self, other: Finding) -> None:
        assert shown_after(other, accepted=(TRACE, DUMP)) == (other,)

    def test_one_more_of_the_same_kind_is_shown_and_it_is_the_new_one(self) -> None:
        more = replace(TRACE, message="column box.lid: added")
        assert shown_after(more, TRACE, accepted=(TRACE,)) == (more,)
        assert shown_after(more, TRACE, accepted=(TRACE, more)) == ()
        assert shown_after(TRACE, TRACE, accepted=(TRACE,)) == (TRACE,)

    def test_times_in_a_message_do_not_tell_findings_apart(self) -> None:
        first, second = (replace(TRACE, message=f"{table} waits (29 ms here)") for table in ("box", "lid"))
        later = replace(second, message="lid waits (31 ms here)")
        assert shown_after(later, first, accepted=(first,)) == (later,)

    def test_one_entry_accepts_the_finding_of_both_backends(self) -> None:
        (entry,) = accept(TRACE, replace(TRACE, backend="postgresql"))
        assert entry.backends == ("sqlite", "postgresql")

    def test_a_finding_that_no_comment_may_hide_is_not_accepted(self) -> None:
        changed = RULES["revision-changed"].finding("m", "h", revision="003")
        assert accept(changed) == ()
        by_hand = AcceptedEntry("revision-changed", "003", message="m", reason="nobody looks")
        assert divide_findings([changed], [by_hand], ROOT, RULES).shown == (changed,)
        assert stale_rules((by_hand,), ALL, changed) == ["accepted-stale"]

    def test_notes_need_no_acceptance(self) -> None:
        assert accept(replace(TRACE, severity=Severity.NOTE)) == ()


class TestStale:
    def test_what_is_not_found_any_more_is_reported_in_its_line(self) -> None:
        (entry,) = accept(TRACE)
        acceptance = divide_findings([], [replace(entry, line=12)], ROOT, RULES)
        (found,) = check_acceptance(acceptance, ALL, FILE, RULES)
        assert (found.rule, str(found.location)) == ("accepted-stale", f"{FILE}:12")
        assert found.message == "trace of table box in revision 003 is accepted, and not found any more"

    @pytest.mark.parametrize(
        "scope",
        [
            CheckedScope({**ON_BOTH, "sqlite": {"drift"}}),
            CheckedScope({"": FAMILIES, "postgresql": FAMILIES}),
            CheckedScope(ON_BOTH, revisions=["002"]),
            CheckedScope(ON_BOTH, unplayed=[("sqlite", "003")]),
            CheckedScope(ON_BOTH, skipped=["trace"]),
        ],
        ids=["family", "backend", "revision", "unplayed", "rule"],
    )
    def test_what_was_not_checked_is_not_stale_and_is_kept(self, scope: CheckedScope) -> None:
        entries = accept(TRACE)
        assert stale_rules(entries, scope) == []
        assert accepted_entries(divide_findings([], entries, ROOT, RULES), scope, ROOT, RULES, "") == entries

    def test_accepting_again_removes_what_is_stale_and_keeps_the_rest(self) -> None:
        entries = accept(TRACE, DUMP, reason="first")
        acceptance = divide_findings([replace(DUMP, message="it differs more")], entries, ROOT, RULES)
        (kept,) = accepted_entries(acceptance, ALL, ROOT, RULES, "second")
        assert (kept.rule, kept.message, kept.reason) == ("stale-dump", "it differs", "first")

    def test_a_rule_that_does_not_exist_is_reported(self) -> None:
        assert stale_rules((AcceptedEntry("trase", "003"),), CheckedScope({})) == ["accepted-stale"]

    def test_the_second_of_two_equal_entries_is_stale(self) -> None:
        assert stale_rules(accept(TRACE) * 2, ALL, TRACE) == ["accepted-stale"]


class TestReasons:
    def test_entries_without_a_reason_hide_and_are_reported_once(self) -> None:
        entries = accept(TRACE, DUMP, reason="")
        assert stale_rules(entries, ALL, TRACE, DUMP) == ["accepted-without-reason"]

    def test_accepting_with_a_reason_gives_it_to_those_that_have_none(self) -> None:
        entries = accept(TRACE, reason="")
        (entry,) = accepted_entries(divide_findings([TRACE], entries, ROOT, RULES), ALL, ROOT, RULES, "it is tiny")
        assert entry.reason == "it is tiny"
