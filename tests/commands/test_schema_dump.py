"""The schema files under version control: writing, checking, comparing with another commit, loading."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.registry import backend_for
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.commands import schema_dump
from dormatory.errors import DatabaseNotEmptyError, DumpMismatchError, MissingDumpError, ProgramFailedError
from dormatory.report.messages import dump_difference_lines
from dormatory.runtime import scratch

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Inv, SmallProject

BACKENDS = ("sqlite", "postgresql")


@pytest.fixture
def history(small_project: SmallProject) -> SmallProject:
    """A history of two tables whose schema files are committed to git."""
    small_project.write_table_revisions("room", "bed")
    list(schema_dump.write_dumps(small_project.project, BACKENDS, None))
    small_project.git("init", "-q")
    small_project.commit()
    return small_project


def add_a_column(history: SmallProject) -> None:
    history.write_revision(
        "003", 'op.add_column("bed", sa.Column("width", sa.Integer))', 'op.drop_column("bed", "width")'
    )


def test_check_prints_and_writes_nothing_for_current_files(history: SmallProject, inv: Inv) -> None:
    file = schema_dump.committed_file(history.project, "sqlite")
    before = file.stat().st_mtime_ns
    ended = inv("db.schema-dump", "--check", "--backend=sqlite")
    assert (ended.code, ended.out, file.stat().st_mtime_ns) == (0, "", before)


@pytest.mark.parametrize("backend", BACKENDS)
def test_check_shows_the_diff_of_a_stale_file_and_does_not_change_it(
    history: SmallProject, inv: Inv, backend: str
) -> None:
    file = schema_dump.committed_file(history.project, backend)
    before = file.read_bytes()
    add_a_column(history)
    ended = inv("db.schema-dump", "--check", f"--backend={backend}")
    added = [line for line in ended.out.splitlines() if line.startswith("+") and "width" in line]
    assert (ended.code, len(added), file.read_bytes()) == (1, 1, before)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_difference_is_shown_in_sentences_and_as_sql(history: SmallProject, backend: str) -> None:
    assert list(dump_difference_lines(schema_dump.dump_difference(history.project, backend))) == [
        f"-- {backend}",
        "no difference",
    ]
    add_a_column(history)
    for reference in ("", "HEAD"):
        lines = list(dump_difference_lines(schema_dump.dump_difference(history.project, backend, reference)))
        assert lines[1] == f"column bed.width: added ({'INTEGER' if backend == 'sqlite' else 'integer'}, NULL)"
        assert any(line.startswith("+") and "width" in line for line in lines[2:])


def test_a_reference_that_git_does_not_have_is_named(history: SmallProject) -> None:
    with pytest.raises(ProgramFailedError, match="git ended with exit code 128"):
        schema_dump.dump_difference(history.project, "sqlite", "nowhere")


def test_output_goes_to_another_directory(history: SmallProject, inv: Inv, tmp_path: Path) -> None:
    ended = inv("db.schema-dump", "--backend=sqlite", f"--output={tmp_path / 'there'}")
    written = (tmp_path / "there" / "sqlite.sql").read_bytes()
    assert (ended.code, written) == (0, schema_dump.committed_file(history.project, "sqlite").read_bytes())


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_test_database_filled_from_the_file_is_the_migrated_one(
    history: SmallProject, backend: str, postgres_server: throwaway.Server
) -> None:
    maker = scratch_sqlite if backend == "sqlite" else lambda: throwaway.scratch_postgresql(postgres_server)
    with maker() as filled, maker() as migrated:
        schema_dump.load_committed_dump(history.project, filled)
        scratch.upgrade(history.project, migrated, "heads")
        dump_schema = backend_for(filled).dump.dump_schema
        assert dump_schema(filled) == dump_schema(migrated)
        schema_dump.load_committed_dump(history.project, filled)  # it is there already
        with backend_for(filled).engine(filled, writing=True).begin() as connection:
            connection.exec_driver_sql("CREATE TABLE other (id integer)")
        with pytest.raises(DatabaseNotEmptyError):
            schema_dump.load_committed_dump(history.project, filled)


def test_a_file_that_dumps_to_other_bytes_is_refused(history: SmallProject) -> None:
    file = schema_dump.committed_file(history.project, "sqlite")
    file.write_text(file.read_text() + "\n-- edited by hand\n")
    with scratch_sqlite() as target, pytest.raises(DumpMismatchError, match="differs from"):
        schema_dump.load_committed_dump(history.project, target)


def test_a_missing_file_is_named_with_the_task_that_writes_it(history: SmallProject) -> None:
    file = schema_dump.committed_file(history.project, "sqlite")
    file.unlink()
    with pytest.raises(MissingDumpError, match=r"sqlite\.sql is missing .*; write it with: inv db\.schema-dump"):
        schema_dump.committed_text(history.project, "sqlite")


def test_live_prints_the_schema_of_the_database(history: SmallProject, inv: Inv, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    history.upgrade(url, "001")
    ended = inv("db.schema-dump", "--live", url=url)
    assert ended.code == 0
    assert "-- table room" in ended.out
    assert "-- table bed" not in ended.out
