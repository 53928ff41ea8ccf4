"""A comment with a reason hides the finding that it is about, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from dormatory.checks.registry import RULES
from dormatory.checks.suppression import apply_suppressions
from dormatory.errors.location import Location
from dormatory.project.script import Script

FILE = Path("versions/002_x.py")
IGNORE = "# db-check: ignore[create-all]"
TEMPLATE = """\
'''Do one step.'''
{head}
import x

def upgrade():
    {above}
    call(  {first}
        1,  {inner}
    )  {last}
    other()  {same_line}
"""
CALL, INNER, OTHER = 7, 8, 10


def rules_left(line: int, rule: str = "create-all", **places: str) -> tuple[list[str], int]:
    text = TEMPLATE.format(
        **{name: places.get(name, "") for name in ("head", "above", "first", "inner", "last", "same_line")}
    )
    script = Script.parse(FILE, text.encode())
    kept, count = apply_suppressions(
        [RULES[rule].finding("m", "h", location=Location(str(FILE), line))], [script], RULES
    )
    return [found.rule for found in kept], count


@pytest.mark.parametrize(
    ("place", "line"),
    [("first", CALL), ("last", CALL), ("first", INNER), ("inner", INNER), ("above", CALL), ("head", CALL), ("head", 1)],
)
def test_it_hides_the_finding_of_its_statement(place: str, line: int) -> None:
    assert rules_left(line, **{place: f"{IGNORE} it is tiny"}) == ([], 1)


@pytest.mark.parametrize(("place", "line"), [("first", OTHER), ("same_line", CALL), ("above", OTHER), ("inner", CALL)])
def test_it_hides_nothing_elsewhere_and_is_unused(place: str, line: int) -> None:
    assert rules_left(line, **{place: f"{IGNORE} it is tiny"}) == (["create-all", "suppression-unused"], 0)


def test_a_former_name_of_a_rule_hides_it() -> None:
    comment = "# db-check: ignore[live-drift] until the next release"
    assert rules_left(CALL, "changed-by-hand", first=comment) == ([], 1)


def test_a_comment_without_a_reason_hides_nothing() -> None:
    assert rules_left(CALL, first=IGNORE) == (["create-all", "suppression-without-reason"], 0)


def test_an_unknown_rule_is_reported_with_the_nearest_one() -> None:
    script = Script.parse(
        FILE,
        TEMPLATE.format(
            head="", above="", first="# db-check: ignore[creat-all] x", inner="", last="", same_line=""
        ).encode(),
    )
    ((found,), _) = apply_suppressions([], [script], RULES)
    assert (found.rule, found.location.line, found.hint) == ("suppression-unused", CALL, "did you mean create-all?")


def test_one_comment_may_name_several_rules() -> None:
    comment = "# db-check: ignore[create-all, dialect-only] it is tiny"
    assert rules_left(CALL, first=comment) == (["suppression-unused"], 1)


def test_a_comment_on_a_family_that_was_not_checked_is_not_unused() -> None:
    script = Script.parse(FILE, f"import x\nx.y()  {IGNORE} it is tiny\n".encode())
    assert apply_suppressions([], [script], RULES, families=("graph",)) == ((), 0)


def test_a_comment_in_a_revision_that_was_not_checked_is_not_unused() -> None:
    script = Script.parse(FILE, f"revision = '002'\nx.y()  {IGNORE} it is tiny\n".encode())
    assert apply_suppressions([], [script], RULES, revisions=["003"]) == ((), 0)
    assert len(apply_suppressions([], [script], RULES, revisions=["002"])[0]) == 1


def test_what_a_published_revision_does_cannot_be_hidden() -> None:
    comment = "# db-check: ignore[revision-changed] nobody looks"
    assert rules_left(1, "revision-changed", head=comment) == (["revision-changed", "suppression-unused"], 0)


def test_a_comment_within_a_string_does_not_count() -> None:
    script = Script.parse(FILE, f"x = '''\n{IGNORE} y\n'''\n".encode())
    assert apply_suppressions([], [script], RULES) == ((), 0)


def test_findings_of_other_files_stay() -> None:
    elsewhere = RULES["create-all"].finding("m", "h", location=Location("versions/003_y.py", 1))
    script = Script.parse(FILE, b"import x\n")
    assert apply_suppressions([elsewhere], [script], RULES) == ((elsewhere,), 0)
