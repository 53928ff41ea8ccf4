"""`inv db.upgrade` with nothing to do: reported without Alembic, in the same words, if nothing is unusual."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.registry import backend_for
from dormatory.errors import DormatoryError
from dormatory.runtime.fast_path import reached_head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dormatory.backends.url import Target
    from tests.conftest import Inv, SmallProject

# Runs an upgrade, then prints which of the slow libraries were imported.
UPGRADE_AND_LIST_IMPORTS = """
import sys
from dormatory.__main__ import main
code = main(["upgrade"])
print("imported:", *sorted({"sqlalchemy", "alembic", "rich", "invoke"} & sys.modules.keys()))
sys.exit(code)
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def target_at_head(request: pytest.FixtureRequest, small_project: SmallProject) -> Iterator[Target]:
    """A database of each kind that is at the head of an ordinary project."""
    small_project.write_table_revisions("a", "b")
    with database(request, small_project) as target:
        small_project.upgrade(url_text(target))
        yield target


@contextmanager
def database(request: pytest.FixtureRequest, project: SmallProject) -> Iterator[Target]:
    if request.param == "sqlite":
        yield project.project.target({"DATABASE_URL": f"sqlite:///{project.root}/x.db"})
    else:
        with throwaway.scratch_postgresql(request.getfixturevalue("postgres_server")) as target:
            yield target


def url_text(target: Target) -> str:
    return target.url.render()


def is_at_head(project: SmallProject, target: Target, **environ: str) -> bool:
    return reached_head(project.project, target, environ) is not None


def execute_by_hand(target: Target, *statements: str) -> None:
    engine = backend_for(target).engine(target, writing=True)
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_nothing_to_do_is_reported_without_the_slow_libraries(
    small_project: SmallProject, target_at_head: Target
) -> None:
    ended = small_project.run_code(UPGRADE_AND_LIST_IMPORTS, url=target_at_head.url)
    assert (ended.code, ended.out) == (0, f"{target_at_head} is at 002, nothing to do\nimported:\n")


def test_the_message_is_that_of_the_slow_path(small_project: SmallProject, target_at_head: Target, inv: Inv) -> None:
    assert is_at_head(small_project, target_at_head)
    quick = inv("db.upgrade", url=target_at_head.url)
    assert inv("db.upgrade", "--to=002", url=target_at_head.url) == quick
    assert quick.out == f"{target_at_head} is at 002, nothing to do\n"


def test_what_is_pending_is_applied(small_project: SmallProject, target_at_head: Target, inv: Inv) -> None:
    small_project.write_table_revisions("a", "b", "c")
    assert not is_at_head(small_project, target_at_head)
    assert inv("db.upgrade", url=target_at_head.url).out == f"{target_at_head} is at 003\n"
    assert is_at_head(small_project, target_at_head)


UNUSUAL_HISTORIES: dict[str, Callable[[SmallProject], object]] = {
    "a second head": lambda project: project.write_revision("003", after="001"),
    "a merge that is pending": lambda project: [
        project.write_revision("003", after="001"), project.write_revision("004", after=("002", "003")),
    ],
    "an id twice": lambda project: shutil.copy(project.versions / "002_x.py", project.versions / "again.py"),
    "a parent that is missing": lambda project: (project.versions / "001_x.py").unlink(),
    "a revision that the database is at and no file has": lambda project: (project.versions / "002_x.py").unlink(),
    "a cycle": lambda it: [it.write_revision("005", after="006"), it.write_revision("006", after="005")],
    "no revision in a file": lambda project: (project.versions / "note.py").write_text("x = 1\n"),
    "a file that does not parse": lambda project: project.write_revision("001", after=None, extra="def ("),
    "a file that is not text": lambda project: (project.versions / "001_x.py").write_bytes(b"\xff\xfe\x00"),
    "an import from elsewhere": lambda it: it.write_revision("001", after=None, extra="import no_such_module"),
    "a name that is not there": lambda project: project.write_revision("001", after=None, extra="x = no_such_name"),
    "something done while it loads": lambda project: project.write_revision("001", after=None, extra="1 / 0"),
    "a decorator that is not there": lambda it: it.write_revision("001", after=None, extra="@no\ndef f(): pass"),
    "a parent that is computed": lambda project: project.write_revision("002", extra="down_revision = '00' + '1'"),
    "a label": lambda project: project.write_revision("002", extra="branch_labels = ('blue',)"),
    "a dependency": lambda project: project.write_revision("002", extra="depends_on = '001'"),
    "revisions without source": lambda it: it.write_ini("script_location = %(here)s/scripts", "sourceless = true"),
    "no revisions": lambda project: project.versions.rename(project.root / "elsewhere"),
    "an env.py that we did not write": lambda project: (project.root / "scripts" / "env.py").write_text("1 / 0"),
    "an env.py with more in it": lambda project: project.write_env(
        "import sqlalchemy as sa", "print('I am here')", "environment.run(sa.MetaData())"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNUSUAL_HISTORIES)
def test_a_history_that_is_not_ordinary_is_left_to_alembic(
    small_project: SmallProject, tmp_path: Path, case: str
) -> None:
    small_project.write_table_revisions("a", "b")
    target = small_project.project.target({"DATABASE_URL": f"sqlite:///{tmp_path}/x.db"})
    small_project.upgrade(url_text(target))
    assert is_at_head(small_project, target)
    UNUSUAL_HISTORIES[case](small_project)
    assert not is_at_head(small_project, target)


def test_merged_branches_are_ordinary_once_they_are_applied(small_project: SmallProject, tmp_path: Path) -> None:
    small_project.write_table_revisions("a", "b")
    small_project.write_revision("003", after="001")
    small_project.write_revision("004", after=("002", "003"))
    target = small_project.project.target({"DATABASE_URL": f"sqlite:///{tmp_path}/x.db"})
    small_project.upgrade(url_text(target))
    assert is_at_head(small_project, target)


UNUSUAL_FILES: dict[str, tuple[str, ...]] = {
    "no version table": ("DROP TABLE alembic_version",),
    "no version": ("DELETE FROM alembic_version",),
    "two versions": ("INSERT INTO alembic_version VALUES ('001')",),
    "a table left over": ("CREATE TABLE _alembic_tmp_a (x)",),
    "rows that dangle": ("CREATE TABLE c (a REFERENCES a (id))", "INSERT INTO c VALUES (7)"),
}


@pytest.mark.parametrize("case", UNUSUAL_FILES)
def test_a_file_that_is_not_in_order_is_left_to_alembic(small_project: SmallProject, tmp_path: Path, case: str) -> None:
    small_project.write_table_revisions("a", "b")
    target = small_project.project.target({"DATABASE_URL": f"sqlite:///{tmp_path}/x.db"})
    small_project.upgrade(url_text(target))
    with closing(sqlite3.connect(target.path, isolation_level=None)) as connection:
        for statement in UNUSUAL_FILES[case]:
            connection.execute(statement)
    assert not is_at_head(small_project, target)


def test_a_missing_file_or_one_that_is_no_database_is_left_to_alembic(
    small_project: SmallProject, tmp_path: Path
) -> None:
    small_project.write_table_revisions("a")
    target = small_project.project.target({"DATABASE_URL": f"sqlite:///{tmp_path}/x.db"})
    assert not is_at_head(small_project, target)
    assert not target.path.exists()
    target.path.write_text("not a database, but long enough to be read as one")
    assert not is_at_head(small_project, target)


def test_a_concurrent_writer_is_not_waited_for(small_project: SmallProject, tmp_path: Path) -> None:
    small_project.write_table_revisions("a")
    target = small_project.project.target({"DATABASE_URL": f"sqlite:///{tmp_path}/x.db"})
    small_project.upgrade(url_text(target))
    with closing(sqlite3.connect(target.path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert is_at_head(small_project, target), "what is committed can be read"
        writer.execute("ROLLBACK")
        writer.execute("BEGIN EXCLUSIVE")
        assert not is_at_head(small_project, target)


@pytest.mark.parametrize("target_at_head", ["postgresql"], indirect=True)
class TestPostgreSQL:
    """States that only a server can have."""

    def test_an_invalid_index_is_refused_with_nothing_pending(
        self, small_project: SmallProject, target_at_head: Target, inv: Inv
    ) -> None:
        execute_by_hand(target_at_head, "CREATE TABLE t AS SELECT 1 AS x FROM generate_series(1, 2)")
        with pytest.raises(Exception, match="could not create unique index"):
            execute_by_hand(target_at_head, "CREATE UNIQUE INDEX CONCURRENTLY t_x ON t (x)")
        assert not is_at_head(small_project, target_at_head)
        refused = inv("db.upgrade", url=target_at_head.url)
        assert (refused.code, refused.out) == (3, "")
        assert "index public.t_x is invalid" in refused.err

    def test_an_inherited_setting_of_libpq_is_left_to_alembic(
        self, small_project: SmallProject, target_at_head: Target
    ) -> None:
        assert not is_at_head(small_project, target_at_head, PGSERVICE="elsewhere")

    def test_a_concurrent_migration_is_not_waited_for(
        self, small_project: SmallProject, target_at_head: Target, inv: Inv
    ) -> None:
        with backend_for(target_at_head).upgrade_lock(target_at_head, "alembic_version"):
            for arguments in (["db.upgrade"], ["db.upgrade", "--to=002"]):
                assert inv(*arguments, url=target_at_head.url) == inv("db.upgrade", url=target_at_head.url)
            plain = small_project.alembic("upgrade", "head", url=target_at_head.url)
        assert (plain.code, "waiting" in plain.err) == (0, False)


def test_unreadable_settings_are_wrong_configuration(small_project: SmallProject, inv: Inv) -> None:
    small_project.write_table_revisions("a")
    small_project.write_ini("script_location = %(here)s/scripts", "[dormatory]", "lock_wait = soon")
    with pytest.raises(DormatoryError):
        _ = small_project.project
    refused = inv("db.upgrade", url="sqlite:///x.db")
    assert (refused.code, "lock_wait = soon, which is no number of seconds" in refused.err) == (2, True)
