"""`db.history` marks what is pending and where the database is; it is shown without that where nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from dormatory.backends.postgresql.server.throwaway import Server
    from tests.conftest import Inv, SmallProject


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, small_project: SmallProject) -> str:
    """A database of a project with three revisions; it is at none."""
    small_project.write_table_revisions("a", "b", "c")
    if request.param == "sqlite":
        return f"sqlite:///{small_project.root}/x.db"
    server: Server = request.getfixturevalue("postgres_server")
    return server.create_database().url.render().replace("+psycopg2", "")


def test_the_place_of_the_database_is_marked(inv: Inv, small_project: SmallProject, url: str) -> None:
    small_project.upgrade(url, "002")

    shown = inv("db.history", url=url)

    assert shown.out.splitlines() == [
        "002 -> 003 (head, pending)  Do step 003.",
        "001 -> 002 (your database)  Do step 002.",
        "base -> 001  Do step 001.",
    ]
    assert (shown.code, shown.err) == (0, "")


def test_at_head_nothing_is_pending(inv: Inv, small_project: SmallProject, url: str) -> None:
    small_project.upgrade(url)

    assert inv("db.history", url=url).out.splitlines()[:2] == [
        "002 -> 003 (head, your database)  Do step 003.",
        "001 -> 002  Do step 002.",
    ]


def test_a_missing_file_is_nowhere_and_is_not_made(inv: Inv, small_project: SmallProject) -> None:
    small_project.write_table_revisions("a")

    shown = inv("db.history", url=f"sqlite:///{small_project.root}/x.db")

    assert (shown.code, shown.out, shown.err) == (0, "base -> 001 (head)  Do step 001.\n", "")
    assert not (small_project.root / "x.db").exists()


def test_without_its_server_the_history_is_shown_and_the_reason_said(inv: Inv, small_project: SmallProject) -> None:
    small_project.write_table_revisions("a")

    shown = inv("db.history", url="postgresql://127.0.0.1:1/x")

    assert (shown.code, shown.out) == (0, "base -> 001 (head)  Do step 001.\n")
    assert shown.err.startswith("where the database is cannot be said: cannot reach postgresql://127.0.0.1:1/x")


def test_a_revision_of_another_branch_is_named(inv: Inv, small_project: SmallProject, url: str) -> None:
    small_project.upgrade(url)
    (small_project.versions / "003_x.py").unlink()

    shown = inv("db.history", url=url)

    assert "pending" not in shown.out
    assert "is at 003, which this checkout does not have" in shown.err
