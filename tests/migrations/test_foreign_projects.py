"""Projects that we did not write: each way in which an env.py finds its database, and each habit, in a small example."""

from __future__ import annotations

import logging
import os
import textwrap
from typing import TYPE_CHECKING

import pytest

from dormatory.checks.findings import Severity
from dormatory.database import throwaway
from dormatory.errors import BaselineError, EnvironmentFailedError, NoProjectError, WrongDatabaseError
from dormatory.inspection import inspect, inspect_round_trip
from dormatory.migrations import foreign
from dormatory.migrations.project import Project
from dormatory.migrations.recording import Direction
from dormatory.migrations.roundtrip import play
from dormatory.migrations.status import status

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.migrations.recording import Recording
    from tests.conftest import SmallProject

# What `alembic init` writes, the URL left to each test.
TAIL = """
    with {connect} as connection:
        context.configure(connection=connection, target_metadata=None)
        with context.begin_transaction():
            context.run_migrations()
"""
FROM_INI = """
    from alembic import context
    from sqlalchemy import engine_from_config
    connectable = engine_from_config(context.config.get_section(context.config.config_ini_section), prefix="sqlalchemy.")
"""
FROM_VARIABLE = """
    import os, sqlalchemy
    from alembic import context
    connectable = sqlalchemy.create_engine(os.environ["{}"])
"""
OPENED = TAIL.format(connect="connectable.connect()")
CREATE = 'op.create_table("{0}", sa.Column("id", sa.Integer, primary_key=True))'


class Theirs:
    """A project in which nothing is ours."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.scripts = root / "scripts"
        self.ini("script_location = scripts")
        self.env(FROM_INI + OPENED)

    @property
    def project(self) -> Project:
        """The project as the workflow reads it."""
        return Project.read(self.root / "alembic.ini")

    def ini(self, *lines: str) -> None:
        """Write alembic.ini; a line in brackets begins another section."""
        self.write("alembic.ini", "\n".join(("[alembic]", "path_separator = os", *lines)))

    def env(self, text: str) -> None:
        """Write env.py."""
        self.write("scripts/env.py", text)

    def write(self, name: str, text: str) -> None:
        """Write any file of the project."""
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text) + "\n")

    def revision(
        self, name: str, up: str, down: str | None = "pass", *, after: str | None = None, to: str = "scripts/versions"
    ) -> None:
        """Write a revision, without a downgrade if that is None."""
        lines = [
            "import sqlalchemy as sa",
            "from alembic import op",
            f"revision = {name!r}",
            f"down_revision = {after!r}",
        ]
        for function, body in (("upgrade", up), ("downgrade", down)):
            if body is not None:
                lines += [f"def {function}():", textwrap.indent(textwrap.dedent(body).strip(), "    ")]
        self.write(f"{to}/{name}_x.py", "\n".join(lines))

    def tables(self, *names: str) -> None:
        """Write one revision per table, called after it."""
        for before, name in zip((None, *names), names, strict=False):
            self.revision(name, CREATE.format(name), f'op.drop_table("{name}")', after=before)


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Theirs:
    """A project without a revision, in an environment without settings."""
    for name in [name for name in os.environ if name.startswith(("DATABASE_URL", "THEIR_", "ALEMBIC_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "theirs").mkdir()
    return Theirs(tmp_path / "theirs")


def played(theirs: Theirs) -> Recording:
    return play(theirs.project, throwaway.scratch_sqlite)


def is_sound(recording: Recording, *names: str) -> bool:
    """Say whether exactly these revisions were played, each of them up, down and up again, without a trace."""
    legs = [(step.revision, [leg.is_clean for leg in step.legs]) for step in recording.steps]
    return legs == [(name, [True] * 3) for name in names]


def said(theirs: Theirs, *backends: str) -> list[tuple[str, str]]:
    """Return the rules and messages of a round trip's findings, notes included."""
    verdict = inspect_round_trip(theirs.project, backends or ("sqlite",))
    return [(finding.rule, finding.message) for finding in verdict.findings]


class TestWhereTheUrlComesFrom:
    @pytest.mark.parametrize(
        ("env", "settings"),
        [
            (FROM_INI + OPENED, ""),
            (FROM_VARIABLE.format("DATABASE_URL") + OPENED, ""),
            (FROM_VARIABLE.format("THEIR_URL") + OPENED, "url_variable = THEIR_URL"),
            (
                """
                import sqlalchemy
                from alembic import context
                connectable = sqlalchemy.create_engine(context.get_x_argument(as_dictionary=True)["url"])
                """
                + OPENED,
                "x_argument = url",
            ),
            ("from alembic import context\n" + TAIL.format(connect='context.config.attributes["connection"]'), ""),
            (
                "from alembic import context\n"
                + TAIL.format(connect='context.config.attributes["connection"].connect()'),
                "",
            ),
            (
                "from alembic import context\n"
                + TAIL.format(connect='context.config.attributes["connection"].begin()'),
                "",
            ),
        ],
        ids=["ini", "DATABASE_URL", "own variable", "-x", "connection", "engine", "engine.begin"],
    )
    def test_it_is_played_on_the_database_that_is_meant(self, theirs: Theirs, env: str, settings: str) -> None:
        theirs.ini(
            "script_location = scripts", "sqlalchemy.url = driver://user:pass@localhost/dbname", "[dormatory]", settings
        )
        # the handed connection is entered as it is: with would close it
        theirs.env(
            env.replace(
                'with context.config.attributes["connection"] as',
                'import contextlib\nwith contextlib.nullcontext(context.config.attributes["connection"]) as',
            )
        )
        theirs.tables("a", "b")
        assert is_sound(played(theirs), "a", "b")

    def test_a_pyproject_may_name_the_variable(self, theirs: Theirs) -> None:
        theirs.env(FROM_VARIABLE.format("THEIR_URL") + OPENED)
        theirs.write("pyproject.toml", '[tool.dormatory]\nurl_variable = ["THEIR_URL"]')
        theirs.tables("a")
        assert is_sound(played(theirs), "a")

    def test_a_setting_that_means_nothing_is_refused(self, theirs: Theirs) -> None:
        theirs.ini("script_location = scripts", "[dormatory]", "url_varable = THEIR_URL")
        with pytest.raises(NoProjectError, match="dormatory has no setting url_varable"):
            _ = theirs.project

    def test_an_env_that_goes_elsewhere_is_stopped_before_its_first_step(self, theirs: Theirs, tmp_path: Path) -> None:
        theirs.env(
            FROM_INI.replace("connectable", "_")
            + f'    connectable = sqlalchemy.create_engine("sqlite:///{tmp_path}/their.db")\n'.replace(
                "sqlalchemy.", "__import__('sqlalchemy')."
            )
            + OPENED
        )
        theirs.tables("a")
        with pytest.raises(WrongDatabaseError) as raised:
            played(theirs)
        assert f"it is connected to {tmp_path}/their.db" in str(raised.value)
        assert not (tmp_path / "their.db").exists() or not (tmp_path / "their.db").read_bytes()
        assert [rule for rule, _ in said(theirs)] == ["wrong-database"]

    def test_an_env_that_never_commits_is_found_out(self, theirs: Theirs) -> None:
        theirs.env(
            FROM_INI
            + OPENED.replace("context.configure(", "connection.exec_driver_sql('SELECT 1'); context.configure(")
        )
        theirs.tables("a")
        assert [rule for rule, _ in said(theirs)] == ["not-applied"]

    def test_an_engine_kept_from_the_first_import_is_no_trap(self, theirs: Theirs) -> None:
        theirs.ini("script_location = scripts", "prepend_sys_path = .")
        theirs.write(
            "app.py",
            "import os, sqlalchemy as sa\nengine = sa.create_engine(os.environ['DATABASE_URL'])\nmetadata = sa.MetaData()\nsa.Table('a', metadata, sa.Column('id', sa.Integer, primary_key=True))",
        )
        theirs.env(
            "from alembic import context\nfrom app import engine as connectable, metadata\n"
            + textwrap.dedent(OPENED.replace("None", "metadata"))
        )
        theirs.tables("a")
        theirs.revision("b", "pass", "raise ValueError('no')", after="a")
        theirs.revision("c", "pass", after="b")
        assert inspect(theirs.project, ("sqlite",)).findings == ()
        assert [step.revision for step in played(theirs).steps] == ["a", "b", "c"]
        assert "app" not in __import__("sys").modules


class TestAsynchronous:
    ENV = """
        import asyncio
        from alembic import context
        from sqlalchemy.ext.asyncio import async_engine_from_config

        def migrate(connection):
            context.configure(connection=connection)
            with context.begin_transaction():
                context.run_migrations()

        async def main():
            engine = async_engine_from_config(context.config.get_section("alembic"), prefix="sqlalchemy.")
            async with engine.connect() as connection:
                await connection.run_sync(migrate)
            await engine.dispose()

        asyncio.run(main())
    """

    def test_the_walk_goes_through_an_asynchronous_driver(self, theirs: Theirs) -> None:
        theirs.env(self.ENV)
        theirs.tables("a", "b")
        assert is_sound(played(theirs), "a", "b")

    def test_the_driver_is_the_one_that_the_project_works_with(
        self, theirs: Theirs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with throwaway.scratch_sqlite() as target:
            assert foreign.driver(theirs.project, target) == "sqlite"
            theirs.env(self.ENV)
            assert foreign.driver(theirs.project, target) == "sqlite+aiosqlite"
            monkeypatch.setenv("DATABASE_URL", "sqlite+pysqlite:///x.db")
            assert foreign.driver(theirs.project, target) == "sqlite+pysqlite"
            theirs.ini("script_location = scripts", "[dormatory]", "drivers = postgresql+asyncpg, sqlite+other")
            assert foreign.driver(theirs.project, target) == "sqlite+other"


class TestWhereTheFilesLie:
    def test_in_folders_of_a_package_dated_and_nested(self, theirs: Theirs, monkeypatch: pytest.MonkeyPatch) -> None:
        theirs.ini(
            "script_location = their_pkg.store:migrations",
            "version_locations = their_pkg.store:migrations/versions:extra/versions",
            "path_separator = :",
            "recursive_version_locations = true",
        )
        text = (theirs.root / "alembic.ini").read_text().replace("path_separator = os\n", "", 1)
        text = text.replace("path_separator = :", "path_separator = newline").replace(
            "versions:extra", "versions\n  extra"
        )
        (theirs.root / "alembic.ini").write_text(text)
        theirs.write("site/their_pkg/__init__.py", "")
        theirs.write("site/their_pkg/store/__init__.py", "raise ImportError('not needed to find files')")
        theirs.write("site/their_pkg/store/migrations/env.py", FROM_INI + OPENED)
        theirs.write("site/their_pkg/store/__init__.py", "")
        theirs.revision(
            "a", CREATE.format("a"), 'op.drop_table("a")', to="site/their_pkg/store/migrations/versions/2024/01"
        )
        theirs.revision("_b", CREATE.format("b"), 'op.drop_table("b")', after="a", to="extra/versions")
        monkeypatch.setenv("PYTHONPATH", str(theirs.root / "site"))
        monkeypatch.syspath_prepend(str(theirs.root / "site"))
        assert is_sound(played(theirs), "a", "_b")

    def test_relative_to_the_ini_file_wherever_one_stands(
        self, theirs: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        theirs.tables("a")
        monkeypatch.chdir(tmp_path)
        assert is_sound(played(theirs), "a")

    def test_named_in_a_pyproject_beside_an_ini_without_them(self, theirs: Theirs) -> None:
        theirs.ini("file_template = x")
        theirs.write("pyproject.toml", '[tool.alembic]\nscript_location = "%(here)s/scripts"')
        theirs.tables("a")
        assert is_sound(played(theirs), "a")


class TestBeforeTheFirstRevision:
    ALTERS = "op.add_column('legacy', sa.Column('x', sa.Text))", "op.drop_column('legacy', 'x')"

    def test_without_what_it_starts_from_there_is_no_path_from_empty(self, theirs: Theirs) -> None:
        theirs.revision("a", *self.ALTERS)
        theirs.revision("b", "pass", after="a")
        assert [rule for rule, _ in said(theirs)] == ["no-path-from-empty", "not-played"]

    def test_a_baseline_is_an_sql_file(self, theirs: Theirs) -> None:
        theirs.ini("script_location = scripts", "[dormatory]", "baseline = base_{backend}.sql")
        theirs.write(
            "base_sqlite.sql", "CREATE TABLE legacy (id INTEGER PRIMARY KEY); CREATE TABLE other (id INTEGER);"
        )
        theirs.revision("a", *self.ALTERS)
        assert is_sound(played(theirs), "a")

    def test_a_baseline_is_a_function(self, theirs: Theirs) -> None:
        theirs.ini("script_location = scripts", "prepend_sys_path = .", "[dormatory]", "baseline = base:fill")
        theirs.write(
            "base.py", "def fill(connection):\n    connection.exec_driver_sql('CREATE TABLE legacy (id INTEGER)')"
        )
        theirs.revision("a", *self.ALTERS)
        assert is_sound(played(theirs), "a")

    def test_a_baseline_that_fails_is_named(self, theirs: Theirs) -> None:
        theirs.ini("script_location = scripts", "[dormatory]", "baseline = base.sql")
        theirs.write("base.sql", "CREATE TABEL legacy (id INTEGER)")
        theirs.revision("a", *self.ALTERS)
        with pytest.raises(BaselineError, match="the baseline base.sql failed"):
            played(theirs)

    def test_a_prelude_is_imported_first(self, theirs: Theirs) -> None:
        theirs.ini("script_location = scripts", "prepend_sys_path = .", "[dormatory]", "prelude = setup_first")
        theirs.write("setup_first.py", "import os\nos.environ['THEIR_READY'] = '1'")
        theirs.env("import os\nos.environ['THEIR_READY']\n" + textwrap.dedent(FROM_INI + OPENED))
        theirs.tables("a")
        assert is_sound(played(theirs), "a")


class TestHabits:
    def test_a_history_without_downgrades_is_said_once_and_walked_once(self, theirs: Theirs) -> None:
        theirs.env(FROM_INI + "    open('runs', 'a').write('.')\n" + OPENED)
        for before, name in ((None, "a"), ("a", "b"), ("b", "c")):
            theirs.revision(name, CREATE.format(name), None, after=before)
        assert [rule for rule, _ in said(theirs)] == ["no-downgrades"]
        assert (theirs.root / "runs").read_text() == "."

    def test_one_transaction_over_the_whole_run(self, theirs: Theirs) -> None:
        theirs.env(FROM_INI + OPENED.replace("connectable.connect()", "connectable.begin()"))
        theirs.tables("a", "b")
        assert is_sound(played(theirs), "a", "b")

    def test_logging_that_is_set_up_anew_mutes_nobody_else(
        self, theirs: Theirs, caplog: pytest.LogCaptureFixture
    ) -> None:
        theirs.env(
            "from logging.config import dictConfig\ndictConfig({'version': 1})\n" + textwrap.dedent(FROM_INI + OPENED)
        )
        theirs.tables("a")
        logger = logging.getLogger("application")
        assert is_sound(played(theirs), "a")
        logger.warning("still heard")
        assert "still heard" in caplog.text

    def test_revisions_that_query_and_open_sessions(self, theirs: Theirs) -> None:
        theirs.tables("a")
        theirs.revision(
            "b",
            """
            from sqlalchemy.orm import Session
            session = Session(bind=op.get_bind())
            session.execute(sa.text("INSERT INTO a VALUES (7)"))
            session.commit()
            assert op.get_bind().execute(sa.text("SELECT count(*) FROM a WHERE id = 7")).scalar() == 1
            """,
            "op.execute('DELETE FROM a WHERE id = 7')",
            after="a",
        )
        recording = played(theirs)
        assert [[leg.error for leg in step.legs] for step in recording.steps] == [[None] * 3] * 2

    def test_what_is_printed_and_logged_is_no_result(self, theirs: Theirs, small_project: SmallProject) -> None:
        theirs.env("print('from env')\n" + textwrap.dedent(FROM_INI + OPENED))
        theirs.tables("a")
        config = str(theirs.root / "alembic.ini")
        ended = small_project.inv("db.round-trip", "--backend=sqlite", ALEMBIC_CONFIG=config)
        assert ended.code == 0, ended
        assert "from env" not in ended.out
        assert "from env" in ended.err


class TestWhatTheirCodeRaises:
    def test_a_failing_revision_does_not_hide_the_rest(self, theirs: Theirs) -> None:
        theirs.tables("a")
        theirs.revision("b", CREATE.format("b"), "raise KeyError('why')", after="a")
        theirs.revision("c", CREATE.format("c"), "op.drop_table('c')", after="b")
        recording = played(theirs)
        assert [step.revision for step in recording.steps] == ["a", "b", "c"]
        assert [(step.revision, leg.direction) for step in recording.steps for leg in step.legs if leg.error] == [
            ("b", Direction.DOWNGRADE)
        ]

    def test_an_error_that_env_keeps_to_itself_is_found(self, theirs: Theirs) -> None:
        theirs.env(
            FROM_INI
            + OPENED.replace(
                "context.run_migrations()",
                "\n                try: context.run_migrations()\n                except Exception: print('oh')",
            )
        )
        theirs.tables("a")
        theirs.revision("b", "1 / 0", after="a")
        assert [rule for rule, _ in said(theirs)] == ["upgrade-fails"]

    @pytest.mark.parametrize(
        ("line", "why"),
        [
            ("1 / 0", "ZeroDivisionError: division by zero"),
            ("raise SystemExit(3)", "it called sys.exit(3)"),
            ("import os; os._exit(4)", "the process ended with exit code 4"),
            ("from alembic import context; raise RuntimeError(context.config)", "RuntimeError"),
        ],
    )
    def test_env_that_fails_is_a_finding(self, theirs: Theirs, line: str, why: str) -> None:
        theirs.env(line)
        theirs.tables("a")
        ((rule, message),) = said(theirs)
        assert rule == "environment-fails"
        assert why in message

    def test_env_that_configures_nothing_is_a_finding(self, theirs: Theirs) -> None:
        theirs.env("pass")
        theirs.tables("a")
        with pytest.raises(EnvironmentFailedError, match="without calling context.configure"):
            played(theirs)

    def test_a_revision_that_commits_is_a_finding_of_its_own(self, theirs: Theirs) -> None:
        theirs.tables("a")
        theirs.revision("b", CREATE.format("b") + "; op.get_bind().commit()", "op.drop_table('b')", after="a")
        theirs.revision("c", CREATE.format("c"), "op.drop_table('c')", after="b")
        assert ("upgrade-fails", "b") in [
            (finding.rule, finding.revision) for finding in inspect_round_trip(theirs.project, ("sqlite",)).findings
        ]


class TestBackends:
    def test_one_that_they_do_not_support_is_named_and_not_played(self, theirs: Theirs) -> None:
        theirs.ini("script_location = scripts", "[dormatory]", "backends = sqlite")
        theirs.tables("a")
        verdict = inspect_round_trip(theirs.project, ("sqlite", "postgresql"))
        ((rule, severity),) = [(finding.rule, finding.severity) for finding in verdict.findings]
        assert (rule, severity) == ("backend-not-supported", Severity.NOTE)
        assert [server.partition(" ")[0] for server in verdict.servers] == ["SQLite"]

    def test_schemas_and_a_version_table_of_their_own(self, theirs: Theirs, postgres_server: throwaway.Server) -> None:
        theirs.env(
            FROM_INI
            + OPENED.replace(
                "context.configure(",
                "connection.exec_driver_sql('CREATE SCHEMA IF NOT EXISTS ours'); connection.commit(); context.configure(",
            ).replace("target_metadata=None", "include_schemas=True, version_table='v', version_table_schema='ours'")
        )
        theirs.revision(
            "a", "op.create_table('t', sa.Column('id', sa.Integer), schema='ours')", "op.drop_table('t', schema='ours')"
        )
        theirs.revision("b", "op.execute('CREATE TABLE v (x int)')", "op.execute('DROP TABLE public.v')", after="a")
        assert is_sound(play(theirs.project, lambda: throwaway.scratch_postgresql(postgres_server)), "a", "b")


class TestTheirOwnDatabase:
    def test_upgrade_and_status_act_on_the_one_that_their_variable_names(
        self, theirs: Theirs, small_project: SmallProject, tmp_path: Path
    ) -> None:
        theirs.ini("script_location = scripts", "[dormatory]", "url_variable = THEIR_URL")
        theirs.env(FROM_VARIABLE.format("THEIR_URL") + OPENED)
        theirs.tables("a", "b")
        config, url = str(theirs.root / "alembic.ini"), f"sqlite:///{tmp_path}/real.db"
        ended = small_project.inv("db.upgrade", ALEMBIC_CONFIG=config, THEIR_URL=url)
        assert (ended.code, ended.out) == (0, f"{url} is at b\n"), ended
        found = status(theirs.project, theirs.project.target({"THEIR_URL": url}))
        assert (found.current, found.pending, found.drift and found.drift.changes) == (("b",), (), ())
