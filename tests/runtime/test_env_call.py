"""What an env.py may need around it: a URL in parts, its arguments, a wrapper, roles, Flask's application."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import alembic
import pytest

from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.commands.check import CheckRequest, check_project
from dormatory.errors import EnvironmentFailedError, WrongDatabaseError
from dormatory.project.project import Project
from dormatory.project.published_models import published_columns
from dormatory.replay.replay import replay_history
from tests.runtime.external_project import ENGINE_FROM_INI, engine_code, env_code

if TYPE_CHECKING:
    from dormatory.backends.parts import ScratchMaker
    from tests.conftest import SmallProject
    from tests.runtime.external_project import ExternalProject

IN_PARTS = (
    'create_engine("postgresql+psycopg2://{}:secret@127.0.0.1:9/{}".format('
    'os.getenv("THEIR_USER", "app"), os.getenv("THEIR_DB", "app")), poolclass=NullPool)'
)
WRAPPER = """
    import asyncio
    require_loop = asyncio.get_running_loop
    def in_loop(run):
        async def main():
            run()
        asyncio.run(main())
    def forgetful(run):
        pass
"""
FLASK_APPLICATION = """
    from flask import Flask
    from flask_migrate import Migrate
    from flask_sqlalchemy import SQLAlchemy

    db = SQLAlchemy()

    class Room(db.Model):
        id = db.Column(db.BigInteger, primary_key=True)

    def create_app():
        app = Flask(__name__)
        app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///app.db"
        db.init_app(app)
        Migrate(app, db)
        return app
"""


_TEMPLATE = Path(alembic.__file__).with_name("templates") / "generic" / "script.py.mako"


def played(project: ExternalProject, maker: ScratchMaker = scratch_sqlite) -> list[bool]:
    """Return whether each leg of a replay is clean."""
    recording = replay_history(project.project, maker)
    return [leg.is_clean for step in recording.steps for leg in step.legs]


@pytest.mark.usefixtures("in_this_process")
class TestReplay:
    def test_all_that_env_opens_is_redirected(self, external_project: ExternalProject, tmp_path: Path) -> None:
        external_project.env(env_code(engine_code(f'"sqlite:///{tmp_path}/their.db"')))
        external_project.tables("a")
        with pytest.raises(WrongDatabaseError, match="redirect = true"):
            played(external_project)
        external_project.ini("script_location = scripts", "[dormatory]", "redirect = true")
        (tmp_path / "their.db").unlink()
        assert played(external_project) == [True] * 3
        assert not (tmp_path / "their.db").exists()

    def test_a_url_in_parts_is_redirected(
        self, external_project: ExternalProject, postgres_server: throwaway.Server
    ) -> None:
        external_project.ini("script_location = scripts", "[dormatory]", "redirect = true")
        external_project.env(env_code(IN_PARTS))
        external_project.tables("a")
        assert played(external_project, lambda: throwaway.scratch_postgresql(postgres_server)) == [True] * 3

    def test_a_missing_role_names_the_setting_that_gives_it(
        self, external_project: ExternalProject, postgres_server: throwaway.Server
    ) -> None:
        external_project.env(env_code(first="connection.exec_driver_sql('SET ROLE their_owner'); connection.commit()"))
        external_project.tables("a")
        with pytest.raises(EnvironmentFailedError, match="roles = their_owner"):
            played(external_project, lambda: throwaway.scratch_postgresql(postgres_server))
        external_project.ini("script_location = scripts", "[dormatory]", "roles = their_owner")
        assert played(external_project, lambda: throwaway.scratch_postgresql(postgres_server)) == [True] * 3

    def test_it_gets_the_arguments_of_the_settings(self, external_project: ExternalProject) -> None:
        external_project.env(env_code(first="assert context.get_x_argument(True)['tenant'] == 'demo'"))
        external_project.tables("a")
        with pytest.raises(EnvironmentFailedError, match="KeyError: 'tenant'"):
            played(external_project)
        external_project.ini("script_location = scripts", "[dormatory]", "x_arguments = tenant=demo, other=1")
        assert played(external_project) == [True] * 3


class TestWrapper:
    @pytest.mark.parametrize(("name", "rule"), [("in_loop", ""), ("forgetful", "environment-fails")])
    def test_it_calls_what_runs_env(self, external_project: ExternalProject, name: str, rule: str) -> None:
        settings = ("[dormatory]", f"wrapper = their_wrapper:{name}")
        external_project.ini("script_location = scripts", "prepend_sys_path = .", *settings)
        external_project.write("their_wrapper.py", WRAPPER)
        external_project.env(env_code(first="__import__('their_wrapper').require_loop()"))
        external_project.tables("a")
        outcome, _ = check_project(external_project.project, CheckRequest(("sqlite",), frozenset({"roundtrip"})))
        assert [item.rule for item in outcome.findings] == ([rule] if rule else [])

    def test_revisions_are_written_with_it(
        self, external_project: ExternalProject, small_project: SmallProject
    ) -> None:
        settings = ("[dormatory]", "wrapper = their_wrapper:in_loop", "backends = sqlite")
        external_project.ini("script_location = scripts", "prepend_sys_path = .", *settings)
        external_project.write("their_wrapper.py", WRAPPER)
        models = "__import__('their_wrapper').require_loop(); import sqlalchemy as sa; metadata = sa.MetaData()"
        table = "sa.Table('a', metadata, sa.Column('id', sa.BigInteger, primary_key=True))"
        external_project.env(env_code(first=f"{models}; {table}", configure="target_metadata=metadata"))
        external_project.write("scripts/script.py.mako", _TEMPLATE.read_text())
        configuration = {"ALEMBIC_CONFIG": str(external_project.root / "alembic.ini")}
        ended = small_project.inv("db.revision", "--message", "Create the table", **configuration)
        assert (ended.code, "CREATE TABLE a" in ended.out) == (0, True), ended

    @pytest.mark.usefixtures("in_this_process")
    def test_what_it_is_needed_for_says_so(self, external_project: ExternalProject) -> None:
        external_project.env(env_code(first="raise RuntimeError('no running event loop')"))
        external_project.tables("a")
        with pytest.raises(EnvironmentFailedError, match=r"wrapper = module:function"):
            played(external_project)


def needy_project(project: ExternalProject, need: str, *lines: str) -> None:
    """Write a project whose env.py fails without one of the settings."""
    setting, code = NEEDED[need]
    project.ini(
        "script_location = scripts", "prepend_sys_path = .", *lines, "[dormatory]", setting, "backends = sqlite"
    )
    project.write("their_wrapper.py", WRAPPER)
    project.write("their_prelude.py", "")
    code = code.replace("FILE", "__import__('sqlalchemy').text('PRAGMA database_list')")
    source = engine_code(f'"sqlite:///{project.root}/their.db"') if need == "redirect" else ENGINE_FROM_INI
    project.env(env_code(source, first=code))
    project.write("scripts/script.py.mako", _TEMPLATE.read_text())
    project.tables("a")


NEEDED = {
    "wrapper": ("wrapper = their_wrapper:in_loop", "__import__('their_wrapper').require_loop()"),
    "prelude": ("prelude = their_prelude", "assert 'their_prelude' in __import__('sys').modules"),
    "redirect": ("redirect = true", "assert 'their.db' not in str(connection.execute(FILE).one())"),
}


class TestRevisionWithoutComparison:
    """`revision_environment = true`: env.py runs where nothing is compared, too, and needs what it always needs."""

    @pytest.mark.parametrize("form", ["--empty", "--data"])
    @pytest.mark.parametrize("need", NEEDED)
    def test_env_runs_with_its_settings_on_a_scratch_database(
        self, external_project: ExternalProject, small_project: SmallProject, need: str, form: str
    ) -> None:
        needy_project(external_project, need, "revision_environment = true")

        configuration = {"ALEMBIC_CONFIG": str(external_project.root / "alembic.ini")}
        ended = small_project.inv("db.revision", form, "--message", "Move the rooms", **configuration)

        assert (ended.code, len(list(external_project.scripts.glob("versions/*_move_the_rooms.py")))) == (0, 1), ended
        assert not list(external_project.root.rglob("*.db"))


MODELS = """
    import sqlalchemy as sa
    from alembic import context
    {first}
    metadata = sa.MetaData()
    sa.Table("a", metadata, sa.Column("old", sa.Text))
    context.configure(url="sqlite://", target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
"""


class TestWithoutDatabase:
    """What reads env.py without a database gives it the same: SQL that is only written, models of a git reference."""

    @pytest.mark.parametrize("need", ["wrapper", "prelude"])
    def test_sql_is_written_with_its_settings(
        self, external_project: ExternalProject, small_project: SmallProject, need: str
    ) -> None:
        needy_project(external_project, need)
        external_project.env(textwrap.dedent(MODELS).format(first=NEEDED[need][1]))
        configuration = {"ALEMBIC_CONFIG": str(external_project.root / "alembic.ini")}
        ended = small_project.inv("db.upgrade", "--sql", url="sqlite:///x.db", **configuration)
        assert (ended.code, "CREATE TABLE a" in ended.out) == (0, True), ended
        other = small_project.inv("db.upgrade", "--sql", url="postgresql://a@db.invalid/b", **configuration)
        assert (other.code, "it writes SQL for sqlite" in other.err) == (3, True), other

    @pytest.mark.parametrize("need", ["wrapper", "prelude"])
    def test_published_models_are_read_with_its_settings(self, external_project: ExternalProject, need: str) -> None:
        needy_project(external_project, need)
        external_project.env(textwrap.dedent(MODELS).format(first=NEEDED[need][1]))
        commit(external_project.root)
        assert published_columns(external_project.project, "HEAD") == {"a": frozenset({"old"})}

    def test_published_models_are_read_without_any_database(self, external_project: ExternalProject) -> None:
        database = external_project.root / "their.db"
        external_project.env(env_code(engine_code(f'"sqlite:///{database}"')))
        commit(external_project.root)
        assert published_columns(external_project.project, "HEAD") is None
        assert not database.exists()


def commit(root: Path) -> None:
    """Commit all files of a new git repository."""
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for command in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-qm", "x")):
        subprocess.run(["git", *command], cwd=root, check=True)


class TestFlaskMigrate:
    @pytest.fixture
    def home(self, tmp_path: Path) -> Path:
        """An application with what `flask db init` and `flask db migrate` write."""
        pytest.importorskip("flask_migrate", reason="Flask-Migrate is not installed")
        external = tmp_path / "app"
        external.mkdir()
        (external / "app.py").write_text(textwrap.dedent(FLASK_APPLICATION))
        (external / "pyproject.toml").write_text('[tool.dormatory]\nbackends = ["sqlite"]\n')
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK_", "ALEMBIC_"))}
        for arguments in (("init",), ("migrate", "-m", "create the rooms")):
            command = [sys.executable, "-m", "flask", "db", *arguments]
            subprocess.run(command, cwd=external, env=environ, capture_output=True, check=True)
        return external

    def test_what_it_generates_is_checked_without_an_edit(self, home: Path) -> None:
        project = Project.locate(home, {})
        assert project.ini == home / "migrations" / "alembic.ini"
        outcome, _ = check_project(project, CheckRequest(("sqlite",), frozenset({"roundtrip", "drift"})))
        assert [(item.rule, item.message) for item in outcome.findings] == []
        model = (home / "app.py").read_text()
        (home / "app.py").write_text(model.replace("key=True)", "key=True)\n    name = db.Column(db.String(5))"))
        outcome, _ = check_project(project, CheckRequest(("sqlite",), frozenset({"drift"})))
        assert [item.rule for item in outcome.findings] == ["drift"]

    def test_a_factory_with_arguments_is_called_and_a_missing_application_says_what_to_set(
        self, home: Path, small_project: SmallProject
    ) -> None:
        text = (home / "app.py").read_text().replace("create_app():", "build(kind):\n    assert kind == 'testing'")
        (home / "app.py").unlink()
        (home / "shop.py").write_text(text)
        check = ("db.check", "--only=roundtrip", "--backend=sqlite")
        settings = {"ALEMBIC_CONFIG": str(home / "migrations" / "alembic.ini")}
        found = small_project.inv(*check, FLASK_APP="shop:build('testing')", **settings)
        assert (found.code, found.out.partition(" · ")[0]) == (0, "no findings"), found
        missing = small_project.inv(*check, **settings)
        assert (missing.code, "FLASK_APP='module:factory(...)'" in missing.out) == (1, True), missing

    def test_a_change_of_its_models_is_written_from_a_scratch_database(
        self, home: Path, small_project: SmallProject
    ) -> None:
        model, database = (home / "app.py").read_text(), home / "instance" / "app.db"
        before = database.read_bytes()
        (home / "app.py").write_text(model.replace("key=True)", "key=True)\n    name = db.Column(db.String(5))"))
        settings = {"ALEMBIC_CONFIG": str(home / "migrations" / "alembic.ini")}
        ended = small_project.inv("db.revision", "--message", "Name the rooms", **settings)
        assert (ended.code, "ADD COLUMN name VARCHAR(5)" in ended.out) == (0, True), ended
        assert database.read_bytes() == before

    def test_an_empty_revision_is_written_where_env_takes_part_in_it(
        self, home: Path, small_project: SmallProject
    ) -> None:
        ini = home / "migrations" / "alembic.ini"
        ini.write_text(ini.read_text().replace("[alembic]", "[alembic]\nrevision_environment = true"))
        ended = small_project.inv("db.revision", "--empty", "--message", "Move rooms", ALEMBIC_CONFIG=str(ini))
        assert (ended.code, "move_rooms.py" in ended.out) == (0, True), ended

    def test_sql_and_published_models_come_from_its_application(self, home: Path, small_project: SmallProject) -> None:
        ini = str(home / "migrations" / "alembic.ini")
        ended = small_project.inv("db.upgrade", "--sql", url="sqlite:///x.db", ALEMBIC_CONFIG=ini)
        assert (ended.code, "CREATE TABLE room" in ended.out) == (0, True), ended
        commit(home)
        assert published_columns(Project.locate(home, {}), "HEAD") == {"room": frozenset({"id"})}

    def test_an_upgrade_goes_to_the_database_of_the_application_only(
        self, home: Path, small_project: SmallProject
    ) -> None:
        settings = {"ALEMBIC_CONFIG": str(home / "migrations" / "alembic.ini")}
        database = home / "instance" / "app.db"
        ended = small_project.inv("db.upgrade", url=f"sqlite:///{home}/other.db", **settings)
        assert (ended.code, f"it is connected to {database}" in ended.err) == (3, True), ended
        ended = small_project.inv("db.upgrade", url="sqlite:///instance/app.db", **settings)
        assert (ended.code, ended.out.partition(" is at ")[0]) == (0, f"sqlite:///{database}"), ended
