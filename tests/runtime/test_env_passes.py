"""Projects whose env.py runs the migrations several times, each time for another version table, schema or database."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.config import Config

from dormatory.backends.postgresql.server.throwaway import scratch_postgresql
from dormatory.backends.sqlite.connection import sqlite_connection
from dormatory.commands.check import CheckRequest, check_project
from dormatory.errors import SeveralDatabasesError
from dormatory.project.project import Project
from dormatory.replay.replay import replay_history
from tests.runtime.external_project import ENGINE_FROM_INI, env_code

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dormatory.backends.postgresql.server.throwaway import Server
    from tests.conftest import CommandResult, Inv
    from tests.runtime.external_project import ExternalProject

FAMILIES = frozenset({"roundtrip", "data", "drift"})


def env_with_passes(code: str, configure: str) -> str:
    """Return an env.py that runs the migrations for each `part`; its metadata describes the tables of both."""
    return "\n".join(
        (
            "import sqlalchemy as sa",
            "from alembic import context",
            "from sqlalchemy import NullPool, create_engine, engine_from_config",
            "metadata = sa.MetaData()",
            "for part in ('a', 'b'):",
            "    columns = sa.Column('id', sa.BigInteger, primary_key=True), sa.Column('name', sa.String(20))",
            "    sa.Table('thing_' + part, metadata, *columns)",
            f"with {ENGINE_FROM_INI}.connect() as connection:",
            "    for part in ('a', 'b'):",
            f"        {code}",
            f"        context.configure(connection=connection, target_metadata=metadata, {configure})",
            "        with context.begin_transaction():",
            "            context.run_migrations(part=part)",
        )
    )


VERSION_TABLES = env_with_passes("pass", "version_table='versions_' + part")


@pytest.fixture
def project(external_project: ExternalProject) -> ExternalProject:
    """A project with two revisions, which are run for two version tables."""
    external_project.ini("script_location = scripts", "[dormatory]", "backends = sqlite")
    external_project.env(VERSION_TABLES)
    create = "op.create_table('thing_' + part, sa.Column('id', sa.BigInteger, primary_key=True))"
    write_revision(external_project, "a1", create, "op.drop_table('thing_' + part)")
    add, drop = (
        "op.add_column('thing_' + part, sa.Column('name', sa.String(20)))",
        "op.drop_column('thing_' + part, 'name')",
    )
    write_revision(external_project, "a2", add, drop, after="a1")
    return external_project


def write_revision(project: ExternalProject, name: str, up: str, down: str, *, after: str | None = None) -> None:
    """Write a revision whose functions have the argument that env.py passes to run_migrations()."""
    project.revision(name, up, down, after=after)
    file = project.scripts / "versions" / f"{name}_x.py"
    file.write_text(file.read_text().replace("grade()", "grade(part)"))


def found_rules(project: Project) -> list[tuple[str, str]]:
    """Return the rules and messages of a check on SQLite, without what the project lacks on purpose."""
    outcome, _ = check_project(project, CheckRequest(("sqlite",), FAMILIES))
    return [(item.rule, item.message) for item in outcome.findings]


def version_rows(file: Path, tables: Iterable[str]) -> list[str]:
    """Return the revision in each of these tables."""
    with closing(sqlite_connection(file)) as connection:
        return [connection.execute(f"SELECT version_num FROM {table}").fetchone()[0] for table in tables]


class TestReplay:
    def test_each_pass_is_played_and_the_models_of_all_are_compared(self, project: ExternalProject) -> None:
        assert found_rules(project.project) == []

    @pytest.mark.parametrize("part", ["a", "b"])
    def test_what_is_wrong_in_one_pass_is_found(self, project: ExternalProject, part: str) -> None:
        drop = f"None if part == '{part}' else op.drop_column('thing_' + part, 'name')"
        add = "op.add_column('thing_' + part, sa.Column('name', sa.String(20)))"
        write_revision(project, "a2", add, drop, after="a1")
        ((rule, message),) = found_rules(project.project)
        where = "; with versions_b" if part == "b" else ""
        assert (rule, message) == (
            "trace",
            f"the downgrade undoes nothing: column thing_{part}.name: added (VARCHAR(20), NULL){where}",
        )

    def test_a_later_pass_that_is_never_committed_is_found(self, project: ExternalProject) -> None:
        project.env(env_with_passes("part == 'a' or connection.execute(sa.text('BEGIN'))", "version_table='v_' + part"))
        outcome, _ = check_project(project.project, CheckRequest(("sqlite",), frozenset({"roundtrip"})))
        assert [item.rule for item in outcome.findings] == ["not-applied"]

    def test_a_second_pass_with_the_same_version_table_is_refused(self, project: ExternalProject) -> None:
        project.env(env_with_passes("pass", "version_table='v'"))
        outcome, _ = check_project(project.project, CheckRequest(("sqlite",), FAMILIES))
        ((rule, message),) = [(item.rule, item.message) for item in outcome.findings]
        assert rule == "environment-fails"
        assert "with the version table v (the second time there would be nothing to do" in message


class TestCommands:
    def run(self, project: ExternalProject, inv: Inv, *arguments: str) -> CommandResult:
        """Run a task on a database of the project."""
        settings = {"ALEMBIC_CONFIG": str(project.root / "alembic.ini")}
        return inv(*arguments, url=f"sqlite:///{project.root}/x.db", **settings)

    def test_all_passes_are_one_command(self, project: ExternalProject, inv: Inv) -> None:
        ended = self.run(project, inv, "db.upgrade")
        assert (ended.code, ended.out) == (0, f"sqlite:///{project.root}/x.db is at a2\n"), ended
        ended = self.run(project, inv, "db.downgrade", "--to=base")
        assert (ended.code, ended.err.count("backup of")) == (0, 1), ended
        ended = self.run(project, inv, "db.undo")
        assert ended.code == 0, ended
        tables = ("versions_a", "versions_b")
        assert version_rows(project.root / "x.db", tables) == ["a2", "a2"]
        ended = self.run(project, inv, "db.status")
        assert ("at        a2" in ended.out, "changed   nothing by hand" in ended.out) == (True, True), ended

    def test_the_pass_that_is_behind_counts(self, project: ExternalProject, inv: Inv) -> None:
        self.run(project, inv, "db.upgrade")
        with closing(sqlite_connection(project.root / "x.db")) as connection:
            connection.execute("ALTER TABLE thing_b DROP COLUMN name")
            connection.execute("UPDATE versions_b SET version_num = 'a1'")
        ended = self.run(project, inv, "db.status", "--exit-code")
        assert (ended.code, "at        a1" in ended.out) == (1, True), ended

    def test_the_schema_file_has_the_revision_of_each_pass(self, project: ExternalProject, inv: Inv) -> None:
        ended = self.run(project, inv, "db.schema-dump")
        assert (ended.code, ended.out.count(" written\n")) == (0, 1), ended  # of the backends in the settings
        ended = self.run(project, inv, "db.create", "--from-dump")
        assert ended.code == 0, ended
        assert version_rows(project.root / "x.db", ("versions_a", "versions_b")) == ["a2", "a2"]

    def test_each_pass_is_rehearsed(self, project: ExternalProject, inv: Inv) -> None:
        self.run(project, inv, "db.upgrade", "--to=a1")
        ended = self.run(project, inv, "db.rehearse")
        assert ended.code == 0, ended
        assert ("2 pending revisions" in ended.out, "\na2 with versions_b  " in ended.out) == (True, True), ended
        write_revision(project, "a2", "1 / (part == 'a')", "pass", after="a1")
        ended = self.run(project, inv, "db.rehearse")
        assert (ended.code, "ZeroDivisionError: division by zero; with versions_b" in ended.out) == (1, True), ended

    def test_a_failing_pass_is_no_success(self, project: ExternalProject, inv: Inv) -> None:
        write_revision(project, "a2", "1 / (part == 'a')", "pass", after="a1")
        ended = self.run(project, inv, "db.upgrade")
        assert (ended.code, ended.out) == (3, ""), ended
        assert "a2_x.py:6 (ZeroDivisionError" in ended.err


def test_a_shared_schema_and_tenants_are_upgraded(project: ExternalProject, inv: Inv, postgres_server: Server) -> None:
    create = 'connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {part}"); '
    path = 'connection.exec_driver_sql(f"SET search_path TO {part}"); connection.commit()'
    project.env(env_with_passes(create + path, "version_table='v'"))
    project.ini("script_location = scripts", "[dormatory]", "backends = postgresql")
    target = postgres_server.create_database()
    ended = inv("db.upgrade", url=target.url, ALEMBIC_CONFIG=str(project.root / "alembic.ini"))
    assert (ended.code, ended.out) == (0, f"{target} is at a2\n"), ended


class TestSeveralDatabases:
    @pytest.fixture
    def multidb(self, tmp_path: Path) -> Path:
        """The ini file of a project that `alembic init -t multidb` writes, with one revision."""
        ini = tmp_path / "alembic.ini"
        command.init(Config(str(ini)), str(tmp_path / "scripts"), template="multidb")
        ini.write_text(ini.read_text().replace("driver://user:pass@localhost/dbname2", f"sqlite:///{tmp_path}/two.db"))
        command.revision(Config(str(ini)), "create the table t", rev_id="a1")
        file = next((tmp_path / "scripts" / "versions").glob("a1*.py"))
        create = "op.create_table('t', sa.Column('id', sa.BigInteger, primary_key=True))"
        text = file.read_text()
        for direction, code in (("up", create), ("down", "op.drop_table('t')")):
            text = text.replace(f'"""{direction.title()}grade engine1 schema."""', code)
        file.write_text(text)
        return ini

    def test_a_command_does_not_guess_which_one_is_meant(self, multidb: Path) -> None:
        with pytest.raises(SeveralDatabasesError, match="several databases: engine1, engine2"):
            found_rules(Project.read(multidb))
        assert not (multidb.parent / "two.db").exists()

    def test_the_one_in_the_settings_is_played(self, multidb: Path) -> None:
        multidb.write_text(multidb.read_text() + "\n[dormatory]\ndatabase = engine1\nbackends = sqlite\n")
        assert [rule for rule, _ in found_rules(Project.read(multidb))] == ["no-models"]
        assert not (multidb.parent / "two.db").exists()


def test_a_schema_that_env_creates_for_a_later_pass_belongs_to_no_revision(
    external_project: ExternalProject, postgres_server: Server
) -> None:
    create = "connection.execute(sa.text('CREATE SCHEMA IF NOT EXISTS ' + part)); connection.commit()"
    external_project.env(env_with_passes(create, "version_table_schema=part"))
    table = "op.create_table('thing', sa.Column('id', sa.BigInteger, primary_key=True), schema=part)"
    write_revision(external_project, "a1", table, "op.drop_table('thing', schema=part)")
    recording = replay_history(external_project.project, lambda: scratch_postgresql(postgres_server))
    assert recording.pass_count == 2
    assert [leg.is_clean for step in recording.steps for leg in step.legs] == [True] * 3
    assert [route.trace for route in recording.routes] == [()] * len(recording.routes)


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_what_no_transaction_protects_is_said_to_be_kept(
    external_project: ExternalProject, inv: Inv, request: pytest.FixtureRequest, backend: str
) -> None:
    connect = "connect().execution_options(isolation_level='AUTOCOMMIT')" if backend == "postgresql" else "connect()"
    external_project.env(env_code(enter=f"connectable.{connect}"))
    external_project.tables("a")
    kept_and_failing = "op.create_table('b', sa.Column('id', sa.Integer))\nop.execute('no SQL')"
    external_project.revision("b", kept_and_failing, after="a")
    url = f"sqlite:///{external_project.root}/x.db"
    if backend == "postgresql":
        url = request.getfixturevalue("postgres_server").create_database().url.render()
    ended = inv("db.upgrade", url=url, ALEMBIC_CONFIG=str(external_project.root / "alembic.ini"))
    assert (ended.code, "what it committed before that is kept" in ended.err) == (3, True), ended
