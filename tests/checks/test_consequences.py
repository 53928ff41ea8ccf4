"""What follows from another finding is a line of it; what does not stays a finding."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dormatory.checks.consequences import fold_consequences, join_backends, join_revisions, without_repetitions
from dormatory.checks.finding import Severity
from dormatory.checks.registry import RULES
from dormatory.errors import TransactionEndedError
from dormatory.errors.location import Location

if TYPE_CHECKING:
    from dormatory.checks.finding import Finding


def finding(rule: str, message: str, revision: str = "a3", object_name: str = "", backend: str = "sqlite") -> Finding:
    location = Location("versions/a3.py", 7)
    return RULES[rule].finding(
        message, f"hint of {backend}", backend=backend, revision=revision, object_name=object_name, location=location
    )


DOWN = finding("downgrade-fails", "the downgrade failed: DataError: no such column: lid")
UP = finding("upgrade-fails", "the upgrade failed: DataError: no such table: box")
ENUM = finding("trace", "the downgrade leaves a trace: enum mood: added", object_name="enum mood")
ROUTE = finding("one-run-differs", "alembic upgrade heads in one run ends elsewhere", object_name="table box")
DOWN_ROUTE = "going all the way down on populated tables"
FOLDED = {
    "way-down": (
        DOWN,
        finding("way-down", f"{DOWN_ROUTE} fails at a3: DataError: no such column: lid"),
        "so going all the way down stops here, too",
    ),
    "one run": (
        UP,
        finding("one-run-differs", "alembic upgrade heads in one run fails at a3: DataError: no such table: box"),
        "so alembic upgrade heads stops here, too",
    ),
    "not played": (
        UP,
        finding("not-played", "not played because the upgrade of a3 failed before: a4, a5", revision="a4"),
        "so a4, a5 could not be played",
    ),
    "left by the downgrade": (
        ENUM,
        finding("second-upgrade-differs", "the second upgrade leaves a trace: enum mood: added"),
        "",
    ),
    "left again": (
        ENUM,
        finding("way-down", f"{DOWN_ROUTE} ends elsewhere than step by step: x", "a1", "enum mood"),
        "",
    ),
}
KEPT = {
    "another revision": (DOWN, finding("way-down", f"{DOWN_ROUTE} fails at a2: DataError: x", revision="a2")),
    "another error": (DOWN, finding("way-down", f"{DOWN_ROUTE} fails at a3: IntegrityError: x")),
    "the other direction": (DOWN, finding("one-run-differs", "in one run fails at a3: DataError: x")),
    "another trace": (ENUM, finding("way-down", f"{DOWN_ROUTE} ends elsewhere: x", "a1", "table box")),
    "left by the second upgrade alone": (
        ENUM,
        finding("second-upgrade-differs", "the second upgrade leaves a trace: enum mood: added; table box: added"),
    ),
    "left by another revision": (
        ENUM,
        finding("second-upgrade-differs", "the second upgrade leaves a trace: enum mood: added", "a4"),
    ),
    "another failure": (UP, finding("not-played", "not played because the upgrade of a1 failed before: a4", "a4")),
}


@pytest.mark.parametrize(("cause", "consequence", "line"), FOLDED.values(), ids=FOLDED)
def test_a_consequence_is_a_line_of_its_cause(cause: Finding, consequence: Finding, line: str) -> None:
    expected = replace(cause, message=f"{cause.message}\n{line}" if line else cause.message)
    assert fold_consequences([consequence, cause]) == (expected,)


@pytest.mark.parametrize(("first", "second"), KEPT.values(), ids=KEPT)
def test_what_has_a_cause_of_its_own_stays(first: Finding, second: Finding) -> None:
    assert fold_consequences([first, second]) == (first, second)


@pytest.mark.parametrize("consequence", [consequence for _, consequence, _ in FOLDED.values()], ids=FOLDED)
def test_without_its_cause_nothing_is_hidden(consequence: Finding) -> None:
    assert fold_consequences([consequence]) == (consequence,)


def test_one_failure_in_the_words_of_two_servers_is_one_finding() -> None:
    other = replace(DOWN, backend="postgresql", message='the downgrade failed: column "lid"\nso more', hint="h")
    first, second = join_backends([DOWN, other])
    assert first == replace(second, backend="sqlite")
    assert first.message == f'{DOWN.message}\non postgresql: the downgrade failed: column "lid"'
    assert first.hint == DOWN.hint


@pytest.mark.parametrize(
    "other",
    [
        replace(DOWN, message="another"),
        replace(DOWN, message="another", backend="postgresql", revision="a4"),
        replace(DOWN, message="another", backend="postgresql", location=Location("versions/a3.py", 8)),
        replace(ROUTE, message="another", backend="postgresql"),
    ],
    ids=["same backend", "revision", "line", "rule"],
)
def test_different_failures_stay_apart(other: Finding) -> None:
    first = ROUTE if other.rule == ROUTE.rule else DOWN
    assert join_backends([first, other]) == (first, other)


@pytest.mark.parametrize("rule", ["drift", "default-not-in-models", "trace", "second-upgrade-differs", "values-lost"])
def test_one_difference_in_the_words_of_two_servers_is_one_finding(rule: str) -> None:
    mine = finding(rule, "column box.lid: type DATETIME → DATE", object_name="column box.lid")
    theirs = replace(mine, message="column box.lid: type timestamp → date", backend="postgresql", hint="drop the type")
    first, second = join_backends([mine, theirs])
    assert first == replace(second, backend="sqlite")
    assert first.message == f"{mine.message}\non postgresql: {theirs.message}"
    assert first.hint == f"{mine.hint}\non postgresql: drop the type"


def test_what_a_downgrade_leaves_on_two_servers_is_one_finding_whatever_it_is() -> None:
    theirs = replace(ENUM, message="the downgrade leaves a trace: table box: added", object="", backend="postgresql")
    first, second = join_backends([ENUM, theirs])
    assert first == replace(second, backend="sqlite")
    assert (first.object, first.message) == ("", f"{ENUM.message}\non postgresql: {theirs.message}")


def test_each_aspect_of_a_column_is_joined_with_the_same_aspect() -> None:
    words = {"sqlite": ("type DATETIME", "default none"), "postgresql": ("default now()", "type timestamp")}
    found = [
        finding("drift", f"column box.at: {word}", "", "column box.at", backend)
        for backend, said in words.items()
        for word in said
    ]
    kind, default, default_again, kind_again = (it.message for it in join_backends(found))
    assert kind == kind_again == "column box.at: type DATETIME\non postgresql: column box.at: type timestamp"
    assert default == default_again == "column box.at: default none\non postgresql: column box.at: default now()"


def test_differences_of_the_project_without_an_object_stay_apart() -> None:
    mine = finding("drift", "4 columns: type REAL → TEXT: a, b, c, d", revision="")
    theirs = replace(mine, message="5 columns: type real → text: a, b, c, d, e", backend="postgresql")
    assert join_backends([mine, theirs]) == (mine, theirs)


class TestRevisions:
    first = replace(
        finding("application-import", "it imports lids", "a1", "shop"), backend="", severity=Severity.WARNING
    )
    second = replace(first, revision="a2", message="it imports boxes")
    third = replace(first, revision="a3")

    def test_one_module_in_many_revisions_is_one_finding_at_the_first(self) -> None:
        joined = join_revisions([self.third, self.second, UP, self.first], ["a1", "a2", "a3"])
        more = "the same in 2 more revisions: a2, a3"
        assert joined == (UP, replace(self.first, message=f"it imports lids\n{more}"))

    @pytest.mark.parametrize(
        "other",
        [
            replace(second, severity=Severity.ERROR),
            replace(second, object="store"),
            replace(second, hint="remove the import"),
            replace(second, rule="message-too-short"),
            replace(first, message="it imports boxes"),
        ],
        ids=["error", "module", "hint", "rule", "the same revision"],
    )
    def test_others_stay_apart(self, other: Finding) -> None:
        assert join_revisions([self.first, other], ["a1", "a2"]) == (self.first, other)

    def test_a_dialect_that_is_not_played_is_one_note_and_a_branch_that_did_not_run_stays(self) -> None:
        played = finding("dead-branch", "no line of it ran", "a2", "mysql", "")
        first, second = (replace(played, severity=Severity.NOTE, revision=name) for name in ("a1", "a2"))
        joined = replace(first, message=f"{first.message}\nthe same in 1 more revision: a2")
        assert join_revisions([first, second, played], ["a1", "a2"]) == (joined, played)


class TestRepetitions:
    ended = finding("transaction-ended", "commit() ends the transaction that the revision runs in")
    failed = finding("upgrade-fails", f"the upgrade failed: {TransactionEndedError.reason}")
    dropped = finding("not-recreated", "view v is dropped and created again, without what it had")
    noted = replace(finding("squawk", "Dropping a view may break clients"), severity=Severity.NOTE)

    def test_a_failure_is_said_where_the_transaction_was_ended(self) -> None:
        assert without_repetitions([self.failed, self.ended]) == (self.ended,)

    def test_it_stays_where_nothing_else_says_it(self) -> None:
        quiet = replace(self.ended, severity=Severity.NOTE)
        elsewhere = replace(self.ended, revision="a1")
        for findings in ([self.failed], [self.failed, quiet], [self.failed, elsewhere], [UP, self.ended]):
            assert without_repetitions(findings) == tuple(findings)

    def test_a_note_of_squawk_is_left_out_where_a_rule_judges_the_line(self) -> None:
        assert without_repetitions([self.noted, self.dropped]) == (self.dropped,)

    def test_a_warning_of_squawk_and_one_on_another_line_stay(self) -> None:
        loud = replace(self.noted, severity=Severity.WARNING)
        below = replace(self.noted, location=Location("versions/a3.py", 8))
        assert without_repetitions([loud, below, self.dropped]) == (loud, below, self.dropped)


def test_what_both_backends_say_in_the_same_words_without_naming_one_is_said_once() -> None:
    found = finding("no-models", "env.py passes no target_metadata to Alembic", backend="")
    assert without_repetitions((found, replace(found))) == (found,)
