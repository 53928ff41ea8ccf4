"""Projects with their own env.py: an example of each way to find the database, and of each other difference."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import TYPE_CHECKING

import pytest
from alembic.config import Config

from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.checks.finding import Severity
from dormatory.commands.check import CheckRequest, check_project
from dormatory.errors import BaselineFailedError, EnvironmentFailedError, InvalidSettingError, TransactionEndedError
from dormatory.recording.leg import Direction
from dormatory.replay.replay import replay_history
from dormatory.runtime.driver_name import driver_name
from tests.runtime.external_project import (
    CREATE_TABLE,
    ENGINE_FROM_INI,
    GIVEN_CONNECTION,
    ExternalProject,
    engine_code,
    env_code,
)

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.checks.outcome import Outcome
    from dormatory.recording.model import Recording
    from tests.conftest import Inv


def replay_on_sqlite(external_project: ExternalProject) -> Recording:
    return replay_history(external_project.project, scratch_sqlite)


def is_clean_round_trip(recording: Recording, *names: str) -> bool:
    """Return whether exactly these revisions were replayed, each up, down and up again, without a trace."""
    legs = [(step.revision, [leg.is_clean for leg in step.legs]) for step in recording.steps]
    return legs == [(name, [True] * 3) for name in names]


def check_round_trip(external_project: ExternalProject, backends: tuple[str, ...]) -> Outcome:
    """Replay and check as `inv db.round-trip` does."""
    return check_project(external_project.project, CheckRequest(backends, frozenset({"roundtrip", "data"})))[0]


def rules_and_messages(external_project: ExternalProject, *backends: str) -> list[tuple[str, str]]:
    """Return the rules and messages of a round trip's findings, notes included."""
    verdict = check_round_trip(external_project, backends or ("sqlite",))
    return [(finding.rule, finding.message) for finding in verdict.findings]


class TestUrlSource:
    @pytest.mark.parametrize(
        ("source", "enter", "setting"),
        [
            (ENGINE_FROM_INI, "connectable.connect()", ""),
            (engine_code('os.environ["DATABASE_URL"]'), "connectable.connect()", ""),
            (engine_code('os.environ["THEIR_URL"]'), "connectable.connect()", "url_variable = THEIR_URL"),
            (engine_code('context.get_x_argument(True)["url"]'), "connectable.connect()", "x_argument = url"),
            (GIVEN_CONNECTION, "nullcontext(connectable)", ""),
            (GIVEN_CONNECTION, "connectable.connect()", ""),
            (GIVEN_CONNECTION, "connectable.begin()", ""),
        ],
        ids=["ini", "DATABASE_URL", "own variable", "-x", "Connection", "Engine", "Engine in a transaction"],
    )
    @pytest.mark.usefixtures("in_this_process")
    def test_it_is_replayed_on_the_right_database(
        self, external_project: ExternalProject, source: str, enter: str, setting: str
    ) -> None:
        placeholder = "sqlalchemy.url = driver://user:pass@localhost/dbname"
        external_project.ini("script_location = scripts", placeholder, "[dormatory]", setting)
        external_project.env(env_code(source, enter=enter))
        external_project.tables("a", "b")
        assert is_clean_round_trip(replay_on_sqlite(external_project), "a", "b")
        assert "THEIR_URL" not in os.environ
        assert "DATABASE_URL" not in os.environ

    @pytest.mark.usefixtures("in_this_process")
    def test_a_pyproject_may_name_the_variable(self, external_project: ExternalProject) -> None:
        external_project.env(env_code(engine_code('os.environ["THEIR_URL"]')))
        external_project.write("pyproject.toml", '[tool.dormatory]\nurl_variable = ["THEIR_URL"]')
        external_project.tables("a")
        assert is_clean_round_trip(replay_on_sqlite(external_project), "a")

    def test_an_unknown_setting_is_refused(self, external_project: ExternalProject) -> None:
        external_project.ini("script_location = scripts", "[dormatory]", "url_varable = THEIR_URL")
        with pytest.raises(InvalidSettingError, match="dormatory has no setting url_varable"):
            _ = external_project.project

    @pytest.mark.usefixtures("in_this_process")
    def test_an_env_that_connects_elsewhere_is_stopped_before_its_first_step(
        self, external_project: ExternalProject, tmp_path: Path
    ) -> None:
        external_project.env(env_code(engine_code(f'"sqlite:///{tmp_path}/their.db"')))
        external_project.tables("a")
        ((rule, message),) = rules_and_messages(external_project)
        assert rule == "wrong-database"
        assert f"it is connected to {tmp_path}/their.db" in message
        assert (tmp_path / "their.db").read_bytes() == b""

    @pytest.mark.usefixtures("in_this_process")
    def test_an_env_that_never_commits_is_detected(self, external_project: ExternalProject) -> None:
        external_project.env(env_code(first="connection.exec_driver_sql('SELECT 1')"))
        external_project.tables("a")
        assert [rule for rule, _ in rules_and_messages(external_project)] == ["not-applied"]

    def test_an_engine_created_at_import_uses_the_right_database(self, external_project: ExternalProject) -> None:
        external_project.ini("script_location = scripts", "prepend_sys_path = .")
        external_project.write(
            "their_app.py",
            """
            import os
            import sqlalchemy as sa

            engine = sa.create_engine(os.environ["DATABASE_URL"])
            metadata = sa.MetaData()
            sa.Table("a", metadata, sa.Column("id", sa.Integer, primary_key=True))
            """,
        )
        source = '__import__("their_app").engine'
        external_project.env(env_code(source, configure='target_metadata=__import__("their_app").metadata'))
        external_project.tables("a")
        families = frozenset({"drift", "dump"})
        assert check_project(external_project.project, CheckRequest(("sqlite",), families))[0].findings == ()
        assert "their_app" not in sys.modules


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

    @pytest.mark.usefixtures("in_this_process")
    def test_a_replay_works_with_an_asynchronous_driver(self, external_project: ExternalProject) -> None:
        external_project.env(self.ENV)
        external_project.tables("a", "b")
        assert is_clean_round_trip(replay_on_sqlite(external_project), "a", "b")

    def test_the_driver_is_that_of_the_project(
        self, external_project: ExternalProject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with scratch_sqlite() as target:
            assert driver_name(external_project.project, target) == "sqlite"
            external_project.env(self.ENV)
            assert driver_name(external_project.project, target) == "sqlite+aiosqlite"
            monkeypatch.setenv("DATABASE_URL", "sqlite:///x.db")  # it chooses no driver
            assert driver_name(external_project.project, target) == "sqlite+aiosqlite"
            monkeypatch.setenv("DATABASE_URL", "sqlite+pysqlite:///x.db")
            assert driver_name(external_project.project, target) == "sqlite+pysqlite"
            external_project.ini(
                "script_location = scripts", "[dormatory]", "drivers = postgresql+asyncpg, sqlite+other"
            )
            assert driver_name(external_project.project, target) == "sqlite+other"

    @pytest.mark.usefixtures("in_this_process")
    def test_a_driver_that_is_not_asynchronous_is_named_with_the_setting(
        self, external_project: ExternalProject
    ) -> None:
        external_project.ini("script_location = scripts", "[dormatory]", "drivers = sqlite+pysqlite")
        external_project.env(self.ENV)
        external_project.tables("a")
        with pytest.raises(EnvironmentFailedError, match=r"env\.py:\d+ .*drivers = postgresql\+asyncpg") as caught:
            replay_on_sqlite(external_project)
        assert "requires an async driver" in caught.value.why


class TestFileLocations:
    @pytest.mark.usefixtures("in_this_process")
    def test_in_folders_of_a_package_dated_and_nested(
        self, external_project: ExternalProject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        external_project.ini(
            "script_location = their_pkg.store:migrations",
            "version_locations = their_pkg.store:migrations/versions extra/versions",
            "path_separator = space",
            "recursive_version_locations = true",
        )
        for package in ("their_pkg", "their_pkg/store"):
            external_project.write(f"site/{package}/__init__.py", "")
        external_project.write("site/their_pkg/store/migrations/env.py", env_code())
        dated = "site/their_pkg/store/migrations/versions/2024/01"
        external_project.revision("a", CREATE_TABLE.format("a"), 'op.drop_table("a")', to=dated)
        external_project.revision("_b", CREATE_TABLE.format("b"), 'op.drop_table("b")', after="a", to="extra/versions")
        monkeypatch.syspath_prepend(str(external_project.root / "site"))
        assert is_clean_round_trip(replay_on_sqlite(external_project), "a", "_b")

    @pytest.mark.usefixtures("in_this_process")
    def test_relative_to_the_ini_file_in_any_working_directory(
        self, external_project: ExternalProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        external_project.tables("a")
        monkeypatch.chdir(tmp_path)
        assert is_clean_round_trip(replay_on_sqlite(external_project), "a")

    @pytest.mark.usefixtures("in_this_process")
    def test_named_in_a_pyproject_next_to_an_ini_without_them(self, external_project: ExternalProject) -> None:
        if not hasattr(Config, "toml_file_name"):
            pytest.skip("Alembic reads pyproject.toml since 1.16")
        external_project.ini("truncate_slug_length = 40")
        external_project.write("pyproject.toml", '[tool.alembic]\nscript_location = "%(here)s/scripts"')
        external_project.tables("a")
        assert is_clean_round_trip(replay_on_sqlite(external_project), "a")


class TestBaseline:
    ALTERS = "op.add_column('legacy', sa.Column('x', sa.Text))", "op.drop_column('legacy', 'x')"

    @pytest.mark.usefixtures("in_this_process")
    def test_without_its_baseline_there_is_no_path_from_empty(self, external_project: ExternalProject) -> None:
        external_project.revision("a", *self.ALTERS)
        external_project.revision("b", "pass", after="a")
        external_project.revision("c", "pass", after="b")
        assert [rule for rule, _ in rules_and_messages(external_project)] == ["no-path-from-empty", "not-played"]

    @pytest.mark.usefixtures("in_this_process")
    def test_a_baseline_is_an_sql_file(self, external_project: ExternalProject) -> None:
        external_project.ini("script_location = scripts", "[dormatory]", "baseline = base_{backend}.sql")
        external_project.write(
            "base_sqlite.sql", "CREATE TABLE legacy (id INTEGER PRIMARY KEY); CREATE TABLE other (id INTEGER);"
        )
        external_project.revision("a", *self.ALTERS)
        assert is_clean_round_trip(replay_on_sqlite(external_project), "a")

    def test_a_baseline_is_a_function_and_a_prelude_is_imported_first(self, external_project: ExternalProject) -> None:
        settings = ("baseline = their_base:fill", "prelude = their_setup")
        external_project.ini("script_location = scripts", "prepend_sys_path = .", "[dormatory]", *settings)
        create = "connection.exec_driver_sql('CREATE TABLE legacy (id INTEGER)')"
        external_project.write("their_base.py", f"def fill(connection):\n    {create}")
        external_project.write("their_setup.py", "import os\nos.environ['THEIR_READY'] = '1'")
        external_project.env(env_code(first="os.environ['THEIR_READY']"))
        external_project.revision("a", *self.ALTERS)
        assert is_clean_round_trip(replay_on_sqlite(external_project), "a")

    @pytest.mark.usefixtures("in_this_process")
    def test_a_baseline_that_fails_is_named(self, external_project: ExternalProject) -> None:
        external_project.ini("script_location = scripts", "[dormatory]", "baseline = base.sql")
        external_project.write("base.sql", "CREATE TABEL legacy (id INTEGER)")
        external_project.revision("a", *self.ALTERS)
        with pytest.raises(BaselineFailedError, match=r"the baseline base\.sql failed"):
            replay_on_sqlite(external_project)


@pytest.mark.usefixtures("in_this_process")
class TestVariants:
    def test_a_history_without_downgrades_is_reported_once_and_replayed_once(
        self, external_project: ExternalProject
    ) -> None:
        external_project.env(env_code(first="with open('runs', 'a') as runs: runs.write('.')"))
        for before, name in ((None, "a"), ("a", "b"), ("b", "c")):
            external_project.revision(name, CREATE_TABLE.format(name), None, after=before)
        assert [rule for rule, _ in rules_and_messages(external_project)] == ["no-downgrades"]
        # For the seed rows, for what env.py itself creates, for the replay, for the name of the version table, and for
        # the one run.
        assert len((external_project.root / "runs").read_text()) == 5

    def test_one_transaction_over_the_whole_run(self, external_project: ExternalProject) -> None:
        external_project.env(env_code(enter="connectable.begin()"))
        external_project.tables("a", "b")
        assert is_clean_round_trip(replay_on_sqlite(external_project), "a", "b")

    def test_revisions_that_query_and_open_sessions(self, external_project: ExternalProject) -> None:
        external_project.tables("a")
        external_project.revision(
            "b",
            """
            from sqlalchemy.orm import Session
            session = Session(bind=op.get_bind())
            session.execute(sa.text("CREATE TABLE b AS SELECT count(*) AS n FROM a"))
            session.commit()
            assert op.get_bind().execute(sa.text("SELECT count(*) FROM b")).scalar() == 1
            """,
            "op.drop_table('b')",
            after="a",
        )
        assert is_clean_round_trip(replay_on_sqlite(external_project), "a", "b")

    def test_a_revision_that_commits_is_a_finding_and_does_not_stop_the_rest(
        self, external_project: ExternalProject
    ) -> None:
        external_project.tables("a")
        external_project.revision(
            "b", CREATE_TABLE.format("b") + "; op.get_bind().commit()", "op.drop_table('b')", after="a"
        )
        external_project.revision("c", CREATE_TABLE.format("c"), "op.drop_table('c')", after="b")
        recording = replay_on_sqlite(external_project)
        assert [leg.failure and leg.failure.kind for leg in recording.steps[1].legs] == [TransactionEndedError.__name__]
        assert [len(step.legs) for step in recording.steps] == [3, 1, 3]

    def test_schemas_and_a_version_table_of_their_own(
        self, external_project: ExternalProject, postgres_server: throwaway.Server
    ) -> None:
        create = "connection.exec_driver_sql('CREATE SCHEMA IF NOT EXISTS ours'); connection.commit()"
        external_project.env(
            env_code(first=create, configure="include_schemas=True, version_table='v', version_table_schema='ours'")
        )
        namespaced = "op.create_table('t', sa.Column('id', sa.Integer), schema='ours')"
        external_project.revision("a", namespaced, "op.drop_table('t', schema='ours')")
        external_project.revision(
            "b", "op.execute('CREATE TABLE v (x int)')", "op.execute('DROP TABLE public.v')", after="a"
        )
        assert is_clean_round_trip(
            replay_history(external_project.project, lambda: throwaway.scratch_postgresql(postgres_server)), "a", "b"
        )

    def test_an_unsupported_backend_is_named_and_not_replayed(self, external_project: ExternalProject) -> None:
        external_project.ini("script_location = scripts", "[dormatory]", "backends = sqlite")
        external_project.tables("a")
        verdict = check_round_trip(external_project, ("sqlite", "postgresql"))
        found = [(finding.rule, finding.severity, finding.backend) for finding in verdict.findings]
        assert found == [("backend-not-supported", Severity.NOTE, "postgresql")]
        assert [server.backend for server in verdict.servers] == ["sqlite"]


class TestErrorsOfTheProject:
    @pytest.mark.usefixtures("in_this_process")
    def test_a_failing_revision_does_not_hide_the_rest(self, external_project: ExternalProject) -> None:
        external_project.tables("a")
        external_project.revision("b", CREATE_TABLE.format("b"), "raise KeyError('why')", after="a")
        external_project.revision("c", CREATE_TABLE.format("c"), "op.drop_table('c')", after="b")
        recording = replay_on_sqlite(external_project)
        assert [step.revision for step in recording.steps] == ["a", "b", "c"]
        errors = [(step.revision, leg.direction) for step in recording.steps for leg in step.legs if leg.failure]
        assert errors == [("b", Direction.DOWNGRADE)]

    @pytest.mark.usefixtures("in_this_process")
    def test_an_error_that_env_catches_is_found(self, external_project: ExternalProject) -> None:
        external_project.env(env_code(run="\n        try: context.run_migrations()\n        except Exception: pass"))
        external_project.tables("a")
        external_project.revision("b", "1 / 0", after="a")
        assert [rule for rule, _ in rules_and_messages(external_project)] == ["upgrade-fails"]

    @pytest.mark.parametrize(
        ("line", "why"),
        [
            ("from alembic import context; raise RuntimeError(context.config)", "scripts/env.py:1 (RuntimeError"),
            ("x = 1\nx =", "scripts/env.py:2 (SyntaxError: invalid syntax)"),
            ("raise SystemExit(3)", "it called sys.exit(3)"),
            ("import os; os._exit(4)", "it called os._exit(4)"),
            ("import os; os.kill(os.getpid(), 9)", "the process was killed by signal 9"),
        ],
        ids=["raises", "does not parse", "sys.exit", "os._exit", "dies"],
    )
    def test_env_that_fails_is_a_finding(self, external_project: ExternalProject, line: str, why: str) -> None:
        external_project.env(line)
        external_project.tables("a")
        ((rule, message),) = rules_and_messages(external_project)
        assert rule == "environment-fails"
        assert why in message

    @pytest.mark.usefixtures("in_this_process")
    @pytest.mark.parametrize("direction", [Direction.UPGRADE, Direction.DOWNGRADE])
    @pytest.mark.parametrize(
        ("code", "why"),
        [
            ("__import__('sys').exit(0)", "it called sys.exit(0)"),
            ("__import__('os')._exit(0)", "it called os._exit(0)"),
            ("op.get_bind().close()", "it closes the connection"),
        ],
        ids=["sys.exit", "os._exit", "close"],
    )
    def test_a_revision_that_ends_more_than_itself_fails_at_its_line(
        self, external_project: ExternalProject, code: str, why: str, direction: Direction
    ) -> None:
        external_project.tables("a")
        codes = (code, "pass") if direction is Direction.UPGRADE else ("pass", code)
        external_project.revision("b", *codes, after="a")
        step = replay_on_sqlite(external_project).steps[-1]
        failure = step.legs[-1].failure
        assert (step.revision, step.legs[-1].direction) == ("b", direction)
        assert failure is not None
        assert why in failure.why
        assert "b_x.py:" in failure.what

    @pytest.mark.usefixtures("in_this_process")
    def test_env_that_configures_nothing_is_a_finding(self, external_project: ExternalProject) -> None:
        external_project.env("pass")
        external_project.tables("a")
        with pytest.raises(EnvironmentFailedError, match=r"without calling context\.configure"):
            replay_on_sqlite(external_project)


class TestTasks:
    @pytest.mark.parametrize("code", ["__import__('sys').exit(0)", "__import__('os')._exit(0)"])
    def test_an_upgrade_that_a_revision_ends_is_no_success(
        self, external_project: ExternalProject, inv: Inv, tmp_path: Path, code: str
    ) -> None:
        external_project.revision("a", f"print('hello'); __import__('os').chdir('/'); {code}")
        config = str(external_project.root / "alembic.ini")
        ended = inv("db.upgrade", url=f"sqlite:///{tmp_path}/x.db", ALEMBIC_CONFIG=config)
        assert (ended.code, ended.out) == (3, ""), ended
        assert "scripts/versions/a_x.py:6 (RuntimeError: it called" in ended.err

    def test_upgrade_and_status_act_on_the_database_that_their_variable_names(
        self, external_project: ExternalProject, inv: Inv, tmp_path: Path
    ) -> None:
        external_project.ini("script_location = scripts", "[dormatory]", "url_variable = THEIR_URL")
        external_project.env(env_code(engine_code('os.environ["THEIR_URL"]')))
        external_project.tables("a", "b")
        named = {
            "ALEMBIC_CONFIG": str(external_project.root / "alembic.ini"),
            "THEIR_URL": f"sqlite:///{tmp_path}/real.db",
        }
        ended = inv("db.upgrade", **named)
        assert (ended.code, ended.out) == (0, f"sqlite:///{tmp_path}/real.db is at b\n"), ended
        ended = inv("db.status", "--json", **named)
        found = json.loads(ended.out)
        assert (found["current"], found["pending"], found["drift"]["changes"]) == (["b"], [], []), ended

    def test_what_env_prints_and_logs_is_no_result_and_disables_no_logger(
        self, external_project: ExternalProject, inv: Inv, caplog: pytest.LogCaptureFixture
    ) -> None:
        reset = "__import__('logging.config').config.dictConfig({'version': 1})"
        external_project.env("print('from env')\n" + env_code(first=reset))
        external_project.tables("a")
        logger = logging.getLogger("application")
        ended = inv("db.round-trip", "--backend=sqlite", ALEMBIC_CONFIG=str(external_project.root / "alembic.ini"))
        logger.warning("still logged")
        assert ended.code == 0, ended
        assert "from env" not in ended.out
        assert "from env" in ended.err
        assert "still logged" in caplog.text
