"""Which values of an enumeration surely got another name."""

from __future__ import annotations

import pytest

from dormatory.authoring.enumerations import ValueChange

BEFORE = ("read", "cancelled", "own")


@pytest.mark.parametrize(
    ("after", "members"),
    [
        (("READ", "cancelled", "own"), {}),
        (("read", "canceled", "own"), {}),
        (("read", "cancelled", "owner"), {"owner": "OWN"}),
        (("read", "canceled", "own", "admin"), {}),
        (("READ", "canceled", "own"), {}),
    ],
    ids=["case", "spelling", "member", "and-another", "two"],
)
def test_a_value_in_the_same_place_with_the_same_member_or_spelling_is_renamed(
    after: tuple[str, ...], members: dict[str, str]
) -> None:
    change = ValueChange((None, "t", "c"), BEFORE, after, {})
    assert not change.without(change.renames(members)).removed


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BEFORE, ("read", "cancelled", "admin")),
        (BEFORE, ("canceled", "read", "own")),
        (("active",), ("inactive",)),
        (("typical",), ("atypical",)),
        (("level1",), ("level2",)),
    ],
    ids=["another", "moved", "opposite", "prefix", "number"],
)
def test_any_other_change_of_values_is_no_rename(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    assert not ValueChange((None, "t", "c"), before, after, {}).renames({})
