"""A downgrade from a merge goes back step by step, to both branches and then to the end of the first of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Inv, SmallProject


@pytest.fixture
def url(small_project: SmallProject) -> str:
    """A database at 004, which merges 002 and 003."""
    small_project.write_table_revisions("a", "b")
    small_project.write_revision("003", "op.execute('CREATE TABLE c (x int)')", "op.drop_table('c')", after="001")
    small_project.write_revision("004", after=("002", "003"))
    url = f"sqlite:///{small_project.root}/x.db"
    small_project.upgrade(url)
    return url


def test_one_step_back_from_a_merge_leads_to_both_branches(inv: Inv, url: str) -> None:
    ended = inv("db.downgrade", url=url)
    assert (ended.code, ended.out) == (0, f"{url} is at 002, 003\n")
    assert inv("db.upgrade", url=url).out == f"{url} is at 004\n"


@pytest.mark.parametrize("to", ["001", "-3"])
def test_the_way_back_leads_through_both_branches(inv: Inv, url: str, to: str) -> None:
    ended = inv("db.downgrade", f"--to={to}", url=url)
    assert (ended.code, ended.out) == (0, f"{url} is at 001\n")
