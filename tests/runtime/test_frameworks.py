"""Projects as the guides of SQLModel, FastAPI's template and Prefect lay them out, played with what the manual says."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from dormatory.commands.check import CheckRequest, check_project
from dormatory.errors import EmptyHistoryError
from dormatory.project.project import Project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.runtime.external_project import ExternalProject

FAMILIES = frozenset({"roundtrip", "data", "drift"})
ROUND_TRIP = frozenset({"roundtrip"})
SQLMODEL_MODELS = """
    from sqlmodel import Field, SQLModel

    class Room(SQLModel, table=True):
        id: int | None = Field(default=None, primary_key=True)
        name: str
"""
# As in the template: a settings object that reads the environment, and models that share SQLModel's metadata.
FASTAPI_SETTINGS = """
    from pydantic import PostgresDsn
    from pydantic_settings import BaseSettings

    class Settings(BaseSettings):
        DATABASE_URL: PostgresDsn
        SECRET_KEY: str = "x"

    settings = Settings()
"""
FASTAPI_PARTS = """
    from pydantic import PostgresDsn, computed_field
    from pydantic_settings import BaseSettings

    class Settings(BaseSettings):
        POSTGRES_SERVER: str = "127.0.0.1"
        POSTGRES_PORT: int = 9
        POSTGRES_USER: str = "app"
        POSTGRES_PASSWORD: str = "secret"
        POSTGRES_DB: str = "app"

        @computed_field
        @property
        def DATABASE_URL(self) -> PostgresDsn:
            place = {"host": self.POSTGRES_SERVER, "port": self.POSTGRES_PORT, "path": self.POSTGRES_DB}
            return PostgresDsn.build(
                scheme="postgresql+psycopg2", username=self.POSTGRES_USER, password=self.POSTGRES_PASSWORD, **place
            )

    settings = Settings()
"""
FASTAPI_ENV = """
    from alembic import context
    from sqlalchemy import engine_from_config, pool
    from app.core.config import settings
    from app.models import SQLModel

    configuration = context.config.get_section(context.config.config_ini_section)
    configuration["sqlalchemy.url"] = str(settings.DATABASE_URL)
    connectable = engine_from_config(configuration, prefix="sqlalchemy.", poolclass=pool.NullPool)
    with connectable.connect() as connection:
        context.configure(connection=connection, target_metadata=SQLModel.metadata, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()
"""
# As in Prefect: env.py runs in a worker thread, sends its work to the event loop of the main thread, and chooses the
# folder of the dialect.
PREFECT_ENV = """
    from alembic import context
    from sqlalchemy import NullPool, engine_from_config
    import their_loop

    async def apply_migrations():
        context.script.version_locations = [context.script.dir + "/versions/sqlite"]
        section = context.config.get_section("alembic")
        with engine_from_config(section, prefix="sqlalchemy.", poolclass=NullPool).connect() as connection:
            context.configure(connection=connection)
            with context.begin_transaction():
                context.run_migrations()

    their_loop.run_from_worker_thread(apply_migrations)
"""
PREFECT_LOOP = """
    import asyncio

    loop = None

    def run_from_worker_thread(function):
        if loop is None:
            raise RuntimeError("Not running inside an AnyIO worker thread, and no event loop token was provided")
        asyncio.run_coroutine_threadsafe(function(), loop).result()

    def in_worker_thread(run):
        async def main():
            global loop
            loop = asyncio.get_running_loop()
            await asyncio.to_thread(run)

        asyncio.run(main())
"""


def found_rules(project: Project, backend: str, families: frozenset[str] = FAMILIES) -> list[tuple[str, str]]:
    """Return the rules and messages of a check on one backend."""
    outcome, _ = check_project(project, CheckRequest((backend,), families))
    return [(item.rule, item.message) for item in outcome.findings]


class TestSQLModel:
    @pytest.fixture
    def home(self, tmp_path: Path) -> Path:
        """A project of `alembic init` with the two edits of the guide, and the revision that autogenerate writes."""
        pytest.importorskip("sqlmodel", reason="SQLModel is not installed")
        self.alembic(tmp_path, "init", "migrations")
        (tmp_path / "models.py").write_text(textwrap.dedent(SQLMODEL_MODELS))
        edits = {
            "alembic.ini": ("driver://user:pass@localhost/dbname", f"sqlite:///{tmp_path}/app.db"),
            "migrations/env.py": (
                "target_metadata = None",
                "import models\nfrom sqlmodel import SQLModel\ntarget_metadata = SQLModel.metadata",
            ),
            "migrations/script.py.mako": ("import sqlalchemy as sa", "import sqlalchemy as sa\nimport sqlmodel"),
        }
        for name, (before, after) in edits.items():
            text = (tmp_path / name).read_text()
            assert before in text, name
            (tmp_path / name).write_text(text.replace(before, after))
        self.alembic(tmp_path, "revision", "--autogenerate", "-m", "create the rooms")
        return tmp_path

    def test_what_autogenerate_writes_needs_no_setting(self, home: Path) -> None:
        (file,) = (home / "migrations" / "versions").glob("*.py")
        assert "sqlmodel.sql.sqltypes.AutoString()" in file.read_text()
        project = Project.locate(home, {})
        assert found_rules(project, "sqlite", FAMILIES | {"source"}) == []
        (home / "models.py").write_text(textwrap.dedent(SQLMODEL_MODELS) + "    floor: int = 0\n")
        assert [rule for rule, _ in found_rules(project, "sqlite")] == ["drift"]

    def alembic(self, home: Path, *arguments: str) -> None:
        """Run plain Alembic there."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("ALEMBIC_")}
        command = [sys.executable, "-m", "alembic", *arguments]
        subprocess.run(command, cwd=home, env=environ, capture_output=True, check=True)


class TestFastAPITemplate:
    @pytest.fixture
    def backend_folder(self, external_project: ExternalProject) -> ExternalProject:
        """The folder `backend` of a project of the template, with one revision."""
        for module in ("sqlmodel", "pydantic_settings"):
            pytest.importorskip(module, reason=f"{module} is not installed")
        self.write_ini(external_project)
        external_project.write("app/__init__.py", "")
        external_project.write("app/core/__init__.py", "")
        external_project.write("app/core/config.py", FASTAPI_SETTINGS)
        external_project.write("app/models.py", SQLMODEL_MODELS)
        external_project.write("app/alembic/env.py", FASTAPI_ENV)
        id_, name = "sa.Column('id', sa.Integer(), primary_key=True)", "sqlmodel.sql.sqltypes.AutoString()"
        create = f"import sqlmodel\nop.create_table('room', {id_}, sa.Column('name', {name}, nullable=False))"
        external_project.revision("a1", create, "op.drop_table('room')", to="app/alembic/versions")
        return external_project

    def test_a_settings_object_gets_a_url_that_it_takes(self, backend_folder: ExternalProject) -> None:
        ((rule, message),) = found_rules(backend_folder.project, "postgresql", ROUND_TRIP)
        assert (rule, message.partition("(")[2]) == (
            "environment-fails",
            "ValidationError: 1 validation error for Settings: DATABASE_URL: Input should be a valid URL, empty host)",
        )
        self.write_ini(backend_folder, "redirect = true")
        assert found_rules(backend_folder.project, "postgresql") == []

    def test_settings_in_parts_are_redirected(self, backend_folder: ExternalProject) -> None:
        backend_folder.write("app/core/config.py", FASTAPI_PARTS)
        self.write_ini(backend_folder, "redirect = true")
        assert found_rules(backend_folder.project, "postgresql", ROUND_TRIP) == []

    def write_ini(self, project: ExternalProject, *settings: str) -> None:
        """Write the ini of the template with these settings."""
        project.ini("script_location = app/alembic", "prepend_sys_path = .", "[dormatory]", "backends = postgresql")
        ini = project.root / "alembic.ini"
        ini.write_text("\n".join((ini.read_text(), *settings)))


class TestPrefect:
    LOCATION = "their_server:database:_migrations"

    @pytest.fixture
    def server(self, external_project: ExternalProject) -> ExternalProject:
        """A project whose scripts are in a package, in a folder for each dialect."""
        external_project.write("their_server/__init__.py", "")
        external_project.write("their_loop.py", PREFECT_LOOP)
        scripts = "their_server/database/_migrations"
        external_project.write(f"{scripts}/env.py", PREFECT_ENV)
        for dialect in ("sqlite", "postgresql"):
            create = f"op.create_table('room_{dialect}', sa.Column('id', sa.BigInteger, primary_key=True))"
            drop = f"op.drop_table('room_{dialect}')"
            external_project.revision(f"{dialect}1", create, drop, to=f"{scripts}/versions/{dialect}")
        return external_project

    def test_the_folder_of_a_dialect_and_a_wrapper_play_it(self, server: ExternalProject) -> None:
        self.write_ini(server)
        with pytest.raises(EmptyHistoryError) as raised:
            found_rules(server.project, "sqlite")
        folders = "only below it in postgresql, sqlite"
        assert (folders in raised.value.why, "version_locations = " in raised.value.fix) == (True, True)
        locations = f"version_locations = {self.LOCATION}:versions:sqlite"
        self.write_ini(server, locations)
        outcome, _ = check_project(server.project, CheckRequest(("sqlite",), ROUND_TRIP))
        assert [(item.rule, item.hint) for item in outcome.findings] == [
            (
                "environment-fails",
                "name a function that calls what it is given there, below [dormatory]: wrapper = module:function",
            )
        ]
        self.write_ini(server, locations, "[dormatory]", "wrapper = their_loop:in_worker_thread")
        assert found_rules(server.project, "sqlite", ROUND_TRIP) == []

    def write_ini(self, server: ExternalProject, *lines: str) -> None:
        """Write an ini that leads to the package, with these lines."""
        server.ini(f"script_location = {self.LOCATION}", "prepend_sys_path = .", "path_separator = newline", *lines)
