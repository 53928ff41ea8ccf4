"""The orders of branches keep parents first, begin with the reverse one, and are never more than the maximum."""

from __future__ import annotations

import ast
from pathlib import Path

from dormatory.project.branch_orders import BranchRegion, branch_regions
from dormatory.project.graph import RevisionGraph
from dormatory.project.history import History
from dormatory.project.script import Revision, Script


def revision(name: str, *parents: str, depends_on: tuple[str, ...] = (), labels: tuple[str, ...] = ()) -> Revision:
    return Revision(name, parents, depends_on, labels, "title", "", Path(f"{name}.py"))


def history_of(*revisions: Revision) -> History:
    return History.of(RevisionGraph(Script(item.path, b"", ast.Module([], []), item) for item in revisions))


A, B = revision("a"), revision("b", "a")
LEFT, RIGHT = revision("l", "b"), revision("r", "b")


def test_a_line_has_one_order() -> None:
    assert list(branch_regions([A, B, revision("c", "b")])) == []
    assert list(branch_regions([])) == []


def test_two_branches_have_the_reverse_order() -> None:
    assert list(branch_regions([A, B, LEFT, RIGHT, revision("m", "l", "r")])) == [
        BranchRegion(2, ("l", "r"), (("r", "l"),))
    ]


def test_open_branches_are_a_region_that_ends_with_the_history() -> None:
    assert list(branch_regions([A, B, LEFT, RIGHT])) == [BranchRegion(2, ("l", "r"), (("r", "l"),))]


def test_bases_of_their_own_are_branches_from_the_start() -> None:
    assert list(branch_regions([revision("a"), revision("x"), revision("m", "a", "x")])) == [
        BranchRegion(0, ("a", "x"), (("x", "a"),))
    ]


def test_parents_stay_before_their_children() -> None:
    (region,) = branch_regions([A, B, LEFT, RIGHT, revision("l2", "l"), revision("r2", "r")], max_orders=100)
    assert len(region.other_orders) == 5  # of the six ways to interleave two pairs
    assert region.other_orders[0] == ("r", "r2", "l", "l2")
    assert all(
        order.index("l") < order.index("l2") and order.index("r") < order.index("r2") for order in region.other_orders
    )


def test_a_dependency_across_branches_is_kept() -> None:
    dependent = revision("r", "b", depends_on=("l",))
    assert list(branch_regions([A, B, LEFT, dependent, revision("m", "l", "r")])) == []
    by_label = revision("r", "b", depends_on=("left",))
    resolved = history_of(A, B, revision("l", "b", labels=("left",)), by_label)
    assert list(branch_regions(resolved.revisions)) == []


def test_two_regions_are_distinguished() -> None:
    merge = revision("m", "l", "r")
    history = [A, B, LEFT, RIGHT, merge, revision("x", "m"), revision("y", "m")]
    assert [region.start for region in branch_regions(history)] == [2, 5]


def test_there_are_never_more_orders_than_the_maximum() -> None:
    many = [A, *(revision(f"b{number:02}", "a") for number in range(30))]
    (region,) = branch_regions(many, max_orders=3)
    assert len(set(region.other_orders)) == 3
    assert region.other_orders[0] == tuple(reversed(region.usual_order))
