"""What dormatory.environment gives an env.py: transactions that cover DDL, foreign keys, locks, confirmation."""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
from alembic.config import Config

from dormatory.backends.registry import backend_for
from dormatory.backends.sqlite.connection import disable_driver_transactions
from dormatory.commands.status import read_status
from dormatory.errors import (
    DanglingRowsError,
    InvalidIndexError,
    LeftoverTableError,
    RevisionFailedError,
    TransactionEndedError,
    UnexpectedRevisionError,
)
from dormatory.runtime.runner import Runner

if TYPE_CHECKING:
    from dormatory.backends.postgresql.server.throwaway import Server
    from dormatory.backends.url import Target
    from tests.conftest import SmallProject

PARENT_AND_CHILD = """
    op.create_table("parent", sa.Column("id", sa.Integer, primary_key=True), sa.Column("x", sa.Text))
    op.create_table(
        "child", sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("parent", sa.Integer, sa.ForeignKey("parent.id", ondelete="CASCADE")),
    )
    op.execute("INSERT INTO parent VALUES (1, 'a')")
    op.execute("INSERT INTO child VALUES (10, 1)")
"""
REBUILD = 'with op.batch_alter_table("parent", recreate="always") as batch: batch.alter_column("x", nullable=True)'


@pytest.fixture
def sqlite(small_project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> Target:
    """A file that does not exist yet, as the target of this process."""
    return set_target(small_project, monkeypatch, f"sqlite:///{small_project.root}/x.db")


@pytest.fixture
def postgresql(small_project: SmallProject, monkeypatch: pytest.MonkeyPatch, postgres_server: Server) -> Target:
    """An empty database, as the target of this process."""
    return set_target(small_project, monkeypatch, postgres_server.create_database().url.render())


@pytest.fixture
def parent_and_child(small_project: SmallProject, sqlite: Target) -> Target:
    """A file at revision 001: a parent with its child."""
    small_project.write_revision("001", PARENT_AND_CHILD)
    upgrade(small_project, sqlite)
    return sqlite


def set_target(project: SmallProject, monkeypatch: pytest.MonkeyPatch, url: str) -> Target:
    for name in os.environ:
        if name.startswith("PG"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DATABASE_URL", url)
    return project.project.target()


def upgrade(project: SmallProject, target: Target, to: str = "head") -> None:
    Runner(project.project, target=target).upgrade(to)


def current(project: SmallProject, target: Target) -> tuple[str, ...]:
    return Runner(project.project, target=target).current()


def scalars(target: Target, query: str) -> list[Any]:
    with backend_for(target).engine(target, writing=False).connect() as connection:
        return list(connection.exec_driver_sql(query).scalars())


def schema(target: Target) -> list[Any]:
    return scalars(target, "SELECT sql FROM sqlite_schema ORDER BY rowid")


class TestSQLiteTransactions:
    """All pending revisions are one transaction, DDL included."""

    def test_a_revision_that_fails_rolls_the_whole_run_back(
        self, small_project: SmallProject, parent_and_child: Target
    ) -> None:
        before, schema_before = parent_and_child.path.read_bytes(), schema(parent_and_child)
        small_project.write_revision("002", 'op.create_table("b", sa.Column("id", sa.Integer))')
        rebuild = 'op.execute("CREATE TABLE c (x)"); batch = op.batch_alter_table("parent", recreate="always")\n'
        small_project.write_revision("003", f'{rebuild}with batch as b: b.add_column(sa.Column("y", sa.Text))\n1 / 0')
        small_project.write_revision("004", 'op.execute("CREATE TABLE d (x)")')

        with pytest.raises(RevisionFailedError) as raised:
            upgrade(small_project, parent_and_child)

        assert str(raised.value) == (
            "the revision failed at scripts/versions/003_x.py:13 (ZeroDivisionError: division by zero); "
            "nothing of it was kept; correct the revision or the rows, then run the command again"
        )
        assert schema(parent_and_child) == schema_before
        assert parent_and_child.path.read_bytes() == before
        assert current(small_project, parent_and_child) == ("001",)
        assert not [path for path in parent_and_child.path.parent.iterdir() if path.name.startswith("x.db-")]
        small_project.write_revision("003", f'{rebuild}with batch as b: b.add_column(sa.Column("y", sa.Text))')
        upgrade(small_project, parent_and_child)
        assert current(small_project, parent_and_child) == ("004",)

    def test_a_run_that_is_killed_leaves_the_file_as_it_was(
        self, small_project: SmallProject, parent_and_child: Target
    ) -> None:
        schema_before = schema(parent_and_child)
        big = "op.execute('CREATE TABLE big (x)'); op.execute('INSERT INTO big VALUES (zeroblob(5000000))')"
        small_project.write_revision(
            "002", f"{big}\n{REBUILD}\nimport os, signal; os.kill(os.getpid(), signal.SIGKILL)"
        )
        assert small_project.run("dormatory", "upgrade", url=f"sqlite:///{parent_and_child.path}").code == -9
        assert schema(parent_and_child) == schema_before
        assert current(small_project, parent_and_child) == ("001",)
        small_project.write_revision("002", REBUILD)
        upgrade(small_project, parent_and_child)
        assert scalars(parent_and_child, "SELECT count(*) FROM child") == [1]

    def test_with_the_drivers_own_transactions_the_same_failure_stays_half_done(
        self, small_project: SmallProject, sqlite: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dormatory.backends.sqlite.connection.disable_driver_transactions", lambda _: None)
        small_project.write_revision("001", 'op.execute("CREATE TABLE a (x)"); op.execute("COMMIT"); 1 / 0')
        with pytest.raises(RevisionFailedError):
            upgrade(small_project, sqlite)
        assert "CREATE TABLE a (x)" in schema(sqlite)

    def test_the_drivers_own_mode_is_set_and_not_assumed(self) -> None:
        with closing(sqlite3.connect(":memory:")) as driver:
            disable_driver_transactions(driver)
            assert driver.isolation_level is None
            if sys.version_info >= (3, 12):
                assert driver.autocommit == sqlite3.LEGACY_TRANSACTION_CONTROL
            driver.execute("CREATE TABLE a (x)")
            driver.execute("INSERT INTO a VALUES (1)")
            assert not driver.in_transaction

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="the driver has no autocommit attribute before 3.12")
    def test_a_driver_with_the_future_default_is_changed_too(self) -> None:
        with closing(sqlite3.connect(":memory:", autocommit=False)) as driver:  # type: ignore[call-overload]  # since 3.12
            disable_driver_transactions(driver)
            assert not driver.in_transaction

    def test_an_autocommit_block_is_outside_of_every_transaction(
        self, small_project: SmallProject, sqlite: Target
    ) -> None:
        small_project.write_table_revisions("a")
        small_project.write_revision("002", "with op.get_context().autocommit_block(): op.execute('VACUUM')")
        small_project.write_revision("003", "op.execute('CREATE TABLE after (x)'); op.execute('not SQL')")
        with pytest.raises(RevisionFailedError, match="syntax error"):
            upgrade(small_project, sqlite)
        assert current(small_project, sqlite) == ("001",), "what follows the block is one transaction, and rolled back"

    def test_two_upgrades_at_once_apply_each_revision_once(self, small_project: SmallProject, sqlite: Target) -> None:
        small_project.write_table_revisions("a", "b")
        small_project.write_revision("003", "import time; time.sleep(1); op.execute('CREATE TABLE c (x)')")
        url = f"sqlite:///{sqlite.path}"
        with (
            small_project.start("dormatory", "upgrade", url=url) as one,
            small_project.start("dormatory", "upgrade", url=url) as two,
        ):
            outputs = [one.communicate(timeout=60), two.communicate(timeout=60)]
        assert (one.returncode, two.returncode) == (0, 0), outputs
        assert sorted(out for out, _ in outputs) == [f"{url} is at 003\n", f"{url} is at 003, nothing to do\n"]
        assert current(small_project, sqlite) == ("003",)


class TestSQLiteForeignKeys:
    """Foreign keys are off during a run, so that a rebuild deletes no child; they are checked before COMMIT."""

    def test_a_rebuild_of_the_parent_keeps_the_children(self, small_project: SmallProject, sqlite: Target) -> None:
        small_project.write_revision("001", PARENT_AND_CHILD)
        small_project.write_revision("002", REBUILD)
        upgrade(small_project, sqlite)
        assert scalars(sqlite, "SELECT id FROM child") == [10]

    def test_dangling_rows_are_refused_and_nothing_is_kept(
        self, small_project: SmallProject, parent_and_child: Target
    ) -> None:
        small_project.write_revision("002", 'op.execute("INSERT INTO child VALUES (11, 99), (12, 99)")')
        with pytest.raises(DanglingRowsError) as raised:
            upgrade(small_project, parent_and_child)
        assert str(raised.value) == (
            "2 rows refer to rows that are not there: child row 11 needs parent, child row 12 needs parent "
            "(foreign keys are checked before anything is committed); "
            "correct the rows or the revision; PRAGMA foreign_key_check lists them all"
        )
        assert scalars(parent_and_child, "SELECT id FROM child") == [10]
        assert current(small_project, parent_and_child) == ("001",)

    def test_the_left_over_table_of_another_tool_is_named(
        self, small_project: SmallProject, parent_and_child: Target
    ) -> None:
        with closing(sqlite3.connect(parent_and_child.path)) as connection:
            connection.execute("CREATE TABLE _alembic_tmp_parent (x)")
        small_project.write_revision("002", REBUILD)
        with pytest.raises(LeftoverTableError, match="table _alembic_tmp_parent is left over"):
            upgrade(small_project, parent_and_child)
        assert current(small_project, parent_and_child) == ("001",)
        assert read_status(small_project.project, parent_and_child).current == ("001",), (
            "read-only commands are not refused"
        )


class TestPostgreSQLTransactions:
    """Each revision is a transaction, and none is open before Alembic begins its own."""

    def test_a_failing_revision_keeps_those_before_it(self, small_project: SmallProject, postgresql: Target) -> None:
        small_project.write_table_revisions("a", "b", "c")
        small_project.write_revision("003", 'op.execute("CREATE TABLE c (x int)"); op.execute("SELECT 1 / 0")')
        with pytest.raises(RevisionFailedError) as raised:
            upgrade(small_project, postgresql)
        assert str(raised.value) == (
            "the revision failed at scripts/versions/003_x.py:11 (DivisionByZero: division by zero); "
            "nothing of it was kept; correct the revision or the rows, then run the command again"
        )
        assert current(small_project, postgresql) == ("002",)
        assert scalars(postgresql, "SELECT to_regclass('c')") == [None]

    def test_an_autocommit_block_works_between_other_statements(
        self, small_project: SmallProject, postgresql: Target
    ) -> None:
        small_project.write_table_revisions("a")
        block = "with op.get_context().autocommit_block(): op.execute('CREATE INDEX CONCURRENTLY a_id ON a (id)')"
        small_project.write_revision("002", f"op.execute('SET LOCAL lock_timeout = 5000')\n{block}")
        small_project.write_revision("003", "op.execute('CREATE TABLE after (x int)')")
        upgrade(small_project, postgresql)
        assert scalars(postgresql, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_id'::regclass") == [True]
        assert current(small_project, postgresql) == ("003",)

    def test_an_index_whose_concurrent_build_failed_is_named(
        self, small_project: SmallProject, postgresql: Target
    ) -> None:
        small_project.write_table_revisions("a")
        small_project.write_revision("002", "op.execute('CREATE TABLE t AS SELECT 1 AS x FROM generate_series(1, 2)')")
        build = "op.execute('CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_x ON t (x)')"
        small_project.write_revision("003", f"with op.get_context().autocommit_block(): {build}")
        with pytest.raises(RevisionFailedError, match="could not create unique index"):
            upgrade(small_project, postgresql)
        with pytest.raises(InvalidIndexError) as raised:
            upgrade(small_project, postgresql)  # IF NOT EXISTS takes the failed index for the real one
        assert raised.value.is_failure
        assert str(raised.value) == (
            "index public.t_x is invalid (building it concurrently failed and left it unused); "
            "build it again with: inv db.upgrade --rebuild-indexes; "
            "or drop it in inv db.shell with: DROP INDEX CONCURRENTLY public.t_x"
        )

    def test_two_upgrades_at_once_apply_each_revision_once(
        self, small_project: SmallProject, postgresql: Target
    ) -> None:
        small_project.write_table_revisions("a", "b")
        build = "import time; time.sleep(1)\nwith op.get_context().autocommit_block(): "
        small_project.write_revision("003", f"{build}op.execute('CREATE INDEX CONCURRENTLY a_id ON a (id)')")
        url = postgresql.url.render()
        with (
            small_project.start("dormatory", "upgrade", url=url) as one,
            small_project.start("dormatory", "upgrade", url=url) as two,
        ):
            outputs = [one.communicate(timeout=60), two.communicate(timeout=60)]
        assert (one.returncode, two.returncode) == (0, 0), outputs
        assert current(small_project, postgresql) == ("003",)


class TestConfirmation:
    """A second connection confirms what a run reports."""

    @pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
    def test_a_run_whose_work_was_rolled_back_is_a_failure(
        self, small_project: SmallProject, request: pytest.FixtureRequest, backend: str
    ) -> None:
        target: Target = request.getfixturevalue(backend)
        small_project.write_table_revisions("a", "b")
        upgrade(small_project, target, "001")
        # A listener that opens a transaction of its own before Alembic does makes Alembic leave the commit to it.
        small_project.write_env(
            "import sqlalchemy as sa",
            "inner = environment._migrate",
            "def selecting(connection, *arguments, **named):",
            "    connection.exec_driver_sql('SELECT 1')",
            "    inner(connection, *arguments, **named)",
            "environment._migrate = selecting",
            "try: environment.run(sa.MetaData())",
            "finally: environment._migrate = inner",
        )
        with pytest.raises(UnexpectedRevisionError) as raised:
            upgrade(small_project, target)
        assert str(raised.value) == (
            "the database is at 001, not at 002 (a second connection does not see what the run reported); "
            "look for a revision that commits or rolls back by itself, or for a statement of env.py before "
            "context.configure(), after which Alembic leaves the commit to it: connection.commit()"
        )

    @pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
    @pytest.mark.parametrize("verb", ["commit", "rollback"])
    def test_a_revision_that_ends_the_transaction_by_itself_is_a_failure(
        self, small_project: SmallProject, request: pytest.FixtureRequest, backend: str, verb: str
    ) -> None:
        target: Target = request.getfixturevalue(backend)
        small_project.write_table_revisions("a", "b", "c")
        small_project.write_revision("002", f"op.execute('CREATE TABLE b (x int)'); op.get_bind().{verb}()")
        with pytest.raises(TransactionEndedError) as raised:
            upgrade(small_project, target)
        assert str(raised.value) == (
            "revision 002 ended its transaction by itself "
            "(a commit() or rollback() in it separates its changes from its entry in the version table); "
            "check what took effect, then use op.get_context().autocommit_block() in place of that call"
        )
        assert "002" not in current(small_project, target)


class TestLogging:
    def test_loggers_created_before_a_run_still_log_after_it(
        self, small_project: SmallProject, sqlite: Target, caplog: pytest.LogCaptureFixture
    ) -> None:
        lines = ["[loggers]", "keys = root", "[handlers]", "keys =", "[formatters]", "keys =", "[logger_root]"]
        small_project.write_ini("script_location = %(here)s/scripts", *lines, "level = WARNING", "handlers =")
        small_project.write_table_revisions("a")
        mine = logging.getLogger("application.made_before")
        upgrade(small_project, sqlite)
        mine.warning("still here")
        assert "still here" in caplog.text

    def test_plain_alembic_configures_logging_without_disabling_loggers(self, small_project: SmallProject) -> None:
        lines = ["[loggers]", "keys = root", "[handlers]", "keys =", "[formatters]", "keys =", "[logger_root]"]
        small_project.write_ini("script_location = %(here)s/scripts", *lines, "level = WARNING", "handlers =")
        small_project.write_env(
            "import logging, sqlalchemy as sa",
            "mine = logging.getLogger('application')",
            "environment.run(sa.MetaData())",
            "print('muted' if mine.disabled else 'speaking')",
        )
        small_project.write_table_revisions("a")
        ended = small_project.alembic("upgrade", "head", url=f"sqlite:///{small_project.root}/x.db")
        assert (ended.code, ended.out) == (0, "speaking\n")


class TestOffline:
    """--sql on both backends, without a database."""

    @pytest.mark.parametrize("url", ["sqlite:///nowhere/x.db", "postgresql://u:canary@no.such.host.invalid/x"])
    def test_the_sql_of_revisions_is_written_without_connecting(self, small_project: SmallProject, url: str) -> None:
        small_project.write_table_revisions("a", "b")
        ended = small_project.run("dormatory", "upgrade", "--sql", url=url)
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.count("CREATE TABLE") == 3
        assert "canary" not in ended.out
        assert not (small_project.root / "nowhere").exists()

    def test_the_revision_that_cannot_be_written_is_named(self, small_project: SmallProject) -> None:
        small_project.write_table_revisions("a")
        small_project.write_revision("002", "op.get_bind().execute(sa.text('SELECT 1')).scalar()")
        small_project.write_revision(
            "003", 'with op.batch_alter_table("a", recreate="always") as batch: batch.drop_column("x")'
        )
        for last, line in (("002", 11), ("003", 11)):
            if last == "003":
                small_project.write_revision("002")
            ended = small_project.run("dormatory", "upgrade", "--sql", url="sqlite:///x.db")
            assert ended.code == 3
            assert f"scripts/versions/{last}_x.py:{line}" in ended.err
            assert len(ended.err.splitlines()) == 1

    def test_a_rebuild_that_needs_the_database_is_refused_in_plain_alembic_too(
        self, small_project: SmallProject
    ) -> None:
        small_project.write_table_revisions("a")
        rebuild = 'with op.batch_alter_table("a") as batch: batch.alter_column("id", type_=sa.Text())'
        small_project.write_revision("002", rebuild)
        for ended in (
            small_project.run("dormatory", "upgrade", "--sql", url="sqlite:///x.db"),
            small_project.alembic("upgrade", "head", "--sql", url="sqlite:///x.db"),
        ):
            assert ended.code != 0
            assert "scripts/versions/002_x.py:11 (it reads the database, and --sql has none)" in ended.out + ended.err

    def test_plain_alembic_rebuilds_a_table_with_a_generated_column_too(self, small_project: SmallProject) -> None:
        columns = 'sa.Column("a", sa.Integer), sa.Column("b", sa.Integer, sa.Computed("a * 2"))'
        small_project.write_revision("001", f'op.create_table("t", {columns})')
        small_project.write_revision(
            "002", 'with op.batch_alter_table("t") as batch: batch.alter_column("a", type_=sa.Text())'
        )
        for ended in (
            small_project.run("dormatory", "upgrade", url="sqlite:///x.db"),
            small_project.alembic("upgrade", "head", url="sqlite:///y.db"),
        ):
            assert ended.code == 0, ended.err


class TestTarget:
    """The same project and file from every directory; the same server as psql uses."""

    def test_tasks_act_on_the_same_file_from_a_nested_directory(self, small_project: SmallProject) -> None:
        small_project.write_table_revisions("a", "b")
        nested = small_project.root / "deep" / "down"
        nested.mkdir(parents=True)
        code = "import os, sys; os.chdir(sys.argv.pop(1)); from dormatory.__main__ import main; "
        code += "sys.exit(main(sys.argv[1:]))"
        for command in (["upgrade"], ["downgrade", "--to=-1"]):
            ended = small_project.run_code(code, str(nested), *command, url="sqlite:///x.db")
            assert (ended.code, list(nested.iterdir())) == (0, []), ended
        assert scalars(small_project.project.target({"DATABASE_URL": "sqlite:///x.db"}), "SELECT count(*) FROM a") == [
            0
        ]

    @pytest.mark.parametrize("variable", ["PGSERVICE", "PGHOSTADDR", "PGDATABASE"])
    def test_inherited_settings_of_libpq_do_not_change_the_server(
        self, small_project: SmallProject, postgresql: Target, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        services = small_project.root / "pg_service.conf"
        services.write_text("[elsewhere]\nuser=nobody_at_all\nport=1\nsslmode=require\n")
        monkeypatch.setenv("PGSERVICEFILE", str(services))
        monkeypatch.setenv(variable, {"PGSERVICE": "elsewhere", "PGHOSTADDR": "127.0.0.1"}.get(variable, "template1"))
        small_project.write_table_revisions("a")
        upgrade(small_project, postgresql)
        assert scalars(postgresql, "SELECT current_database()") == [postgresql.database]
        assert os.environ[variable], "what was hidden while connecting is there again"
        assert variable not in postgresql.environment() or variable == "PGDATABASE"
        assert postgresql.environment()["PGDATABASE"] == postgresql.database

    @pytest.mark.skipif(not hasattr(Config, "toml_file_name"), reason="Alembic reads pyproject.toml since 1.16")
    def test_a_project_configured_in_pyproject_toml_works_the_same(self, small_project: SmallProject) -> None:
        (small_project.root / "alembic.ini").unlink()
        toml = small_project.root / "pyproject.toml"
        toml.write_text('[tool.alembic]\nscript_location = "%(here)s/scripts"\nrevision_environment = true\n')
        small_project.write_table_revisions("a")
        environ = {"ALEMBIC_CONFIG": str(toml)}
        ended = small_project.run("dormatory", "upgrade", url="sqlite:///x.db", **environ)
        assert (ended.code, ended.out) == (0, f"sqlite:///{small_project.root}/x.db is at 001\n")
        assert (small_project.root / "x.db").exists()


def test_every_spelling_of_the_scheme_uses_psycopg2(small_project: SmallProject, postgres_server: Server) -> None:
    small_project.write_env(
        "import sqlalchemy as sa",
        "from alembic import context",
        "environment.run(sa.MetaData())",
        "print(context.get_bind().dialect.driver)",
    )
    small_project.write_table_revisions("a")
    plain = postgres_server.create_database().url.render().partition("://")[2]
    for scheme in ("postgres", "postgresql", "postgresql+asyncpg"):
        ended = small_project.alembic("current", url=f"{scheme}://{plain}")
        assert (ended.code, ended.out) == (0, "psycopg2\n"), ended
    assert psycopg2.apilevel == "2.0"
