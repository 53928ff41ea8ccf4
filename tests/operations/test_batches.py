"""Loops over batches, on both backends: every row once, whatever the key and whatever stops them."""

from __future__ import annotations

import signal
import textwrap
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from dormatory.errors import RevisionFailedError
from dormatory.runtime.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.postgresql.server.throwaway import Server
    from tests.conftest import Inv, SmallProject

IMPORT = "from dormatory.operations import in_batches"
ADD_ONE = """
for batch in in_batches(t, size={size}):
    op.execute(t.update().where(batch.rows).values(n=t.c.n + 1))
"""
# Each kind of key with the values of eight rows, in no order.
KEYS = {
    "integer": ("k INTEGER PRIMARY KEY", ["(7)", "(-3)", "(1)", "(2)", "(900)", "(5)", "(4)", "(3)"]),
    "text": ("k VARCHAR(20) PRIMARY KEY", ["('b')", "('A')", "('')", "('a')", "('é')", "('10')", "('9')", "('%x:y')"]),
    "numeric": (
        "k NUMERIC(30, 10) PRIMARY KEY",
        [f"({it})" for it in ("0.1", "3", "-2.5", "10", "9", "1e3", "7", "8")],
    ),
    "moment": ("k TIMESTAMP PRIMARY KEY", [f"('2024-01-0{it} 00:00:00.00000{it}')" for it in range(1, 9)]),
    "uuid": ("k {uuid} PRIMARY KEY", [f"('{it:x}0000000-0000-4000-8000-00000000000{it}')" for it in range(1, 9)]),
    "bytes": ("k {bytes} PRIMARY KEY", [f"(CAST('{it}' AS {{bytes}}))" for it in "hgfedcba"]),
    "composite": (
        "k INTEGER, l VARCHAR(9), PRIMARY KEY (l, k)",
        ["(1, 'a')", "(1, 'b')", "(2, 'a')", "(2, 'b')", "(3, 'a')", "(0, 'c')", "(10, 'a')", "(9, 'b')"],
    ),
    "odd name": ('"key: %" INTEGER PRIMARY KEY', [f"({it})" for it in range(8)]),
}
BACKEND_TYPES = {"sqlite": {"uuid": "CHAR(36)", "bytes": "BLOB"}, "postgresql": {"uuid": "UUID", "bytes": "BYTEA"}}


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, small_project: SmallProject) -> Iterator[sa.Engine]:
    """An engine for an empty database."""
    if request.param == "sqlite":
        engine = sa.create_engine(f"sqlite:///{small_project.root}/x.db", poolclass=sa.NullPool)
    else:
        server: Server = request.getfixturevalue("postgres_server")
        engine = sa.create_engine(server.create_database().url.render(), poolclass=sa.NullPool)
    yield engine
    engine.dispose()


def url_of(engine: sa.Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def create_table(engine: sa.Engine, columns: str = "k INTEGER PRIMARY KEY", rows: list[str] | None = None) -> None:
    """Create table t with a column n that is 0 in every row."""
    keys = rows or [f"({it})" for it in range(1, 11)]
    statements = [f"CREATE TABLE t ({columns})", *(f"INSERT INTO t VALUES {it}" for it in keys)]
    with engine.begin() as connection, closing(connection.connection.cursor()) as cursor:
        for statement in statements:
            cursor.execute(statement.format(**BACKEND_TYPES[engine.dialect.name]))
        cursor.execute("ALTER TABLE t ADD COLUMN n INTEGER DEFAULT 0")


def write_loop(project: SmallProject, code: str, downgrade: str = "pass", *, columns: str = "") -> None:
    """Write revision 001 with a loop over t, which the revision knows with these columns and n."""
    table = f't = sa.table("t", {columns}sa.column("n", sa.Integer))'
    project.write_revision("001", code, downgrade, extra=f"{IMPORT}\n{table}")


def values(engine: sa.Engine, query: str = "SELECT n FROM t") -> list[Any]:
    with engine.connect() as connection:
        return list(connection.exec_driver_sql(query).scalars())


def tables(engine: sa.Engine) -> list[str]:
    return sorted(sa.inspect(engine).get_table_names())


@pytest.mark.parametrize(
    ("kind", "size"), [*((kind, 3) for kind in KEYS), *(("composite", size) for size in (1, 4, 8, 100))]
)
def test_every_row_is_in_one_batch(engine: sa.Engine, small_project: SmallProject, kind: str, size: int) -> None:
    create_table(engine, *KEYS[kind])
    write_loop(small_project, ADD_ONE.format(size=size))
    small_project.upgrade(url_of(engine))
    assert values(engine) == [1] * 8
    assert tables(engine) == ["alembic_version", "t"]


def test_the_types_of_the_revisions_table_change_no_key(engine: sa.Engine, small_project: SmallProject) -> None:
    create_table(engine, *KEYS["uuid"])
    write_loop(small_project, ADD_ONE.format(size=2), columns='sa.column("k", sa.Uuid), ')
    small_project.upgrade(url_of(engine))
    assert values(engine) == [1] * 8


class TestStopped:
    """A run that is stopped in the middle, and the next one."""

    @pytest.mark.parametrize("columns", ["k INTEGER PRIMARY KEY", "k INTEGER, l INTEGER DEFAULT 7, PRIMARY KEY (l, k)"])
    def test_after_a_kill_every_row_is_written_once(
        self, engine: sa.Engine, small_project: SmallProject, columns: str
    ) -> None:
        create_table(engine, columns, [f"({it})" if "l" not in columns else f"({it}, 7)" for it in range(10)])
        marker = small_project.root / "killed"
        kill = f"""
            if number == 2 and not pathlib.Path({str(marker)!r}).exists():
                pathlib.Path({str(marker)!r}).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        """
        write_loop(small_project, numbered_loop(kill))
        killed = small_project.run("dormatory", "upgrade", url=url_of(engine))
        assert killed.code == -signal.SIGKILL, killed
        assert sorted(values(engine)) == [0] * 4 + [1] * 6
        assert tables(engine) == ["alembic_version", "dormatory_batches_001_upgrade_1", "t"]
        small_project.upgrade(url_of(engine))
        assert values(engine) == [1] * 10
        assert tables(engine) == ["alembic_version", "t"]

    def test_after_an_error_the_loops_before_it_are_not_repeated(
        self, engine: sa.Engine, small_project: SmallProject
    ) -> None:
        create_table(engine)
        loop = ADD_ONE.format(size=4)
        block = "with op.get_context().autocommit_block(): pass"
        write_loop(small_project, f"{loop}\n{block}\n{loop}\nop.execute('not SQL')")
        with pytest.raises(
            RevisionFailedError, match=r"syntax error.*; what it committed before that is kept; correct"
        ):
            small_project.upgrade(url_of(engine))
        assert values(engine) == [2] * 10
        write_loop(small_project, f"{loop}\n{loop}\n{loop}")
        small_project.upgrade(url_of(engine))
        assert values(engine) == [3] * 10, "the third loop is new"
        assert tables(engine) == ["alembic_version", "t"]

    def test_without_resume_it_begins_at_the_first_row(self, engine: sa.Engine, small_project: SmallProject) -> None:
        create_table(engine)
        fail = "    if number == 1 and op.get_context().get_current_heads() == (): raise ValueError('stop')"
        write_loop(small_project, numbered_loop(fail).replace("size=3", "size=3, resume=False"))
        with pytest.raises(RevisionFailedError, match="stop"):
            small_project.upgrade(url_of(engine))
        assert sorted(values(engine)) == [0] * 7 + [1] * 3
        write_loop(small_project, ADD_ONE.format(size=3))
        small_project.upgrade(url_of(engine))
        assert sorted(values(engine)) == [1] * 7 + [2] * 3

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_a_signal_lets_the_batch_end(
        self, engine: sa.Engine, small_project: SmallProject, number: signal.Signals, code: int
    ) -> None:
        create_table(engine)
        interrupt = f"    if number == 1: os.kill(os.getpid(), {int(number)})"
        write_loop(small_project, numbered_loop(interrupt))
        stopped = small_project.run("dormatory", "upgrade", url=url_of(engine))
        assert (stopped.code, stopped.out) == (code, "")
        word = {130: "interrupted", 143: "terminated"}[code]
        assert stopped.err.splitlines()[1:] == [
            "stopping after this batch of t",
            f"{word}: 6 rows of t are done and committed; run the same command again: it continues behind them",
        ]
        assert sorted(values(engine)) == [0] * 4 + [1] * 6
        write_loop(small_project, ADD_ONE.format(size=3))
        small_project.upgrade(url_of(engine))
        assert values(engine) == [1] * 10

    def test_the_way_back_has_a_position_of_its_own(self, engine: sa.Engine, small_project: SmallProject) -> None:
        create_table(engine)
        write_loop(small_project, "pass", numbered_loop("    if number == 1: raise ValueError('stop')"))
        small_project.upgrade(url_of(engine))
        with pytest.raises(RevisionFailedError, match="stop"):
            downgrade(small_project, engine)
        assert sorted(values(engine)) == [0] * 7 + [1] * 3
        assert "dormatory_batches_001_downgrade_1" in tables(engine)
        write_loop(small_project, "pass", ADD_ONE.format(size=3))
        downgrade(small_project, engine)
        assert values(engine) == [1] * 10
        assert tables(engine) == ["alembic_version", "t"]


class TestRefused:
    """What cannot be done is said before the first row is written."""

    def test_a_table_without_a_primary_key(self, engine: sa.Engine, small_project: SmallProject) -> None:
        create_table(engine, "k INTEGER")
        self.assert_refused(engine, small_project, r"in_batches cannot go through t \(it has no primary key, ")

    def test_a_missing_table(self, engine: sa.Engine, small_project: SmallProject) -> None:
        self.assert_refused(engine, small_project, "in_batches finds no table t ")

    def test_an_autocommit_block_around_the_loop(self, engine: sa.Engine, small_project: SmallProject) -> None:
        create_table(engine)
        code = textwrap.indent(ADD_ONE.format(size=3), "    ")
        write_loop(small_project, f"with op.get_context().autocommit_block():{code}")
        self.assert_refused(engine, small_project, r"cannot commit its batches \(they stand in an autocommit_block")

    def test_a_transaction_that_is_not_alembics(self, engine: sa.Engine, small_project: SmallProject) -> None:
        create_table(engine)
        small_project.write_env(
            "import os, sqlalchemy as sa",
            "from alembic import context",
            "with sa.create_engine(os.environ['DATABASE_URL'], poolclass=sa.NullPool).begin() as connection:",
            "    context.configure(connection=connection)",
            "    context.run_migrations()",
        )
        write_loop(small_project, ADD_ONE.format(size=3))
        refused = small_project.alembic("upgrade", "head", url=url_of(engine))
        assert refused.code == 1
        assert refused.err.splitlines()[-1].startswith(
            "dormatory.errors.batches.CommitImpossibleError: in_batches cannot commit its batches (the transaction is "
            "not Alembic's: env.py, or who gave the connection, has begun it); let Alembic begin it"
        )
        assert values(engine) == [0] * 10

    def test_a_size_of_no_rows(self, engine: sa.Engine, small_project: SmallProject) -> None:
        create_table(engine)
        write_loop(small_project, ADD_ONE.format(size=0))
        self.assert_refused(engine, small_project, "a batch of 0 rows is none")

    def test_offline_mode(self, inv: Inv, engine: sa.Engine, small_project: SmallProject) -> None:
        write_loop(small_project, ADD_ONE.format(size=3))
        ended = inv("db.upgrade", "--sql", url=url_of(engine))
        assert ended.code == 3
        assert "OfflineBatchesError: in_batches cannot write SQL for t (which batches there are depends" in ended.err

    @staticmethod
    def assert_refused(engine: sa.Engine, project: SmallProject, message: str) -> None:
        if not (project.versions / "001_x.py").exists():
            write_loop(project, ADD_ONE.format(size=3))
        with pytest.raises(RevisionFailedError, match=message):
            project.upgrade(url_of(engine))
        assert set(values(engine) if "t" in tables(engine) else [0]) == {0}


def test_rows_with_a_null_key_are_not_left_out(small_project: SmallProject) -> None:
    engine = sa.create_engine(f"sqlite:///{small_project.root}/x.db", poolclass=sa.NullPool)
    create_table(engine, "k TEXT PRIMARY KEY", ["('a')", "(NULL)"])
    TestRefused.assert_refused(
        engine, small_project, r"would leave out rows of t \(they have NULL in their primary key, k\)"
    )


@pytest.mark.parametrize("columns", ["k TEXT PRIMARY KEY", "k ANY, l BLOB, PRIMARY KEY (l, k)"], ids=["one", "two"])
def test_a_table_without_rowid_has_keys_of_any_type(small_project: SmallProject, columns: str) -> None:
    engine = sa.create_engine(f"sqlite:///{small_project.root}/x.db", poolclass=sa.NullPool)
    create_table(engine)
    keys = ["1", "2.5", "'a'", "x'00ff'", "'10'", "9", "''"]
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE t")
        connection.exec_driver_sql(f"CREATE TABLE t ({columns}) WITHOUT ROWID")
        for key in keys:
            connection.exec_driver_sql(f"INSERT INTO t VALUES ({key}{', 1' if 'l' in columns else ''})")
        connection.exec_driver_sql("ALTER TABLE t ADD COLUMN n INTEGER DEFAULT 0")
    write_loop(small_project, ADD_ONE.format(size=2))
    small_project.upgrade(url_of(engine))
    assert values(engine) == [1] * 7


def test_rows_that_are_added_meanwhile_do_not_keep_it_running(engine: sa.Engine, small_project: SmallProject) -> None:
    create_table(engine)
    add = "    op.execute(f'INSERT INTO t (k) VALUES ({100 + number})')"
    write_loop(small_project, numbered_loop(add))
    small_project.upgrade(url_of(engine))
    assert values(engine, "SELECT n FROM t ORDER BY k") == [1] * 10 + [0] * 4


def test_between_two_batches_no_transaction_is_open(engine: sa.Engine, small_project: SmallProject) -> None:
    create_table(engine)
    code = numbered_loop("").replace("size=3", "size=3, pause=0.01")
    probe = """
        from dormatory.operations import batches
        def sleep(seconds):
            with sa.create_engine(op.get_bind().engine.url, poolclass=sa.NullPool).begin() as other:
                other.exec_driver_sql("UPDATE t SET n = n + 10")
        batches.sleep = sleep
    """
    write_loop(small_project, f"{textwrap.dedent(probe)}\n{code}")
    small_project.upgrade(url_of(engine))
    assert values(engine) == [31] * 10


def test_plain_alembic_with_a_plain_env_runs_it(engine: sa.Engine, small_project: SmallProject) -> None:
    create_table(engine)
    small_project.write_env(
        "import os, sqlalchemy as sa",
        "from alembic import context",
        "with sa.create_engine(os.environ['DATABASE_URL'], poolclass=sa.NullPool).connect() as connection:",
        "    context.configure(connection=connection)",
        "    with context.begin_transaction():",
        "        context.run_migrations()",
    )
    write_loop(small_project, ADD_ONE.format(size=3))
    ended = small_project.alembic("upgrade", "head", url=url_of(engine))
    assert ended.code == 0, ended
    assert values(engine) == [1] * 10
    assert tables(engine) == ["alembic_version", "t"]


def numbered_loop(code: str) -> str:
    """Return a loop that adds 1 to each row in batches of three, and runs more code in each batch."""
    body = textwrap.indent(textwrap.dedent(code), "    ")
    return f"""
import os, pathlib, signal
for number, batch in enumerate(in_batches(t, size=3)):
    op.execute(t.update().where(batch.rows).values(n=t.c.n + 1))
{body}"""


def downgrade(project: SmallProject, engine: sa.Engine) -> None:
    target = project.project.target({"DATABASE_URL": url_of(engine)})
    Runner(project.project, target=target, confirm=target.database).downgrade("base")
