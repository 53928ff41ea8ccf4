"""A rehearsal plays pending revisions on a copy of real rows, reports what happens, and leaves the target unchanged."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
from sqlalchemy import NullPool, create_engine

from dormatory.backends.postgresql.replica import PostgreSQLReplicaSource
from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.registry import backend_for
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.checks.finding import Severity
from dormatory.checks.rehearsal import check_rehearsal
from dormatory.commands.rehearse import rehearse_and_check
from dormatory.errors import (
    DatabaseFailedError,
    MissingDatabaseError,
    MissingExtensionsError,
    RevisionNotInCheckoutError,
)
from dormatory.project.history import History
from dormatory.recording import json_codec
from dormatory.recording.leg import Direction
from dormatory.rehearsal.rehearse import RehearsalRequest, rehearse
from dormatory.runtime import scratch
from tests.scratch import BACKENDS, scratch_maker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from dormatory.backends.replica import ReplicaSource
    from dormatory.backends.url import Target
    from dormatory.checks.outcome import Outcome
    from dormatory.recording.model import Recording
    from dormatory.rehearsal.model import Rehearsal
    from tests.conftest import Inv, SmallProject

BATCH = "with op.batch_alter_table('a') as batch: "
SECRET = "s3cret-value"  # noqa: S105  # of a row, not of ours


@pytest.fixture(params=BACKENDS)
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """An empty database, once per backend."""
    if request.param == "postgresql":
        request.getfixturevalue("shared_server")
    with scratch_maker(request.param, request)() as found:
        yield found


@pytest.fixture
def shared_server(postgres_server: throwaway.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Create the copies of a rehearsal on the server of the test session: a new server for each would be slow."""

    class SharedServer:
        def __enter__(self) -> throwaway.Server:
            return postgres_server

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(throwaway, "server", SharedServer)


def open_replica_source(target: Target) -> AbstractContextManager[ReplicaSource]:
    return backend_for(target).replica.open_replica_source(target)


def execute(target: Target, *statements: str) -> None:
    with create_engine(target.sqlalchemy_url(), poolclass=NullPool).begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def query_rows(target: Target, query: str) -> list[tuple[Any, ...]]:
    with backend_for(target).driver_connection(target, writing=False) as connection:
        cursor = connection.cursor()
        cursor.execute(query)
        return [tuple(row) for row in cursor.fetchall()]


def apply_first_revision(project: SmallProject, target: Target, *statements: str, create: str = "") -> None:
    """Write the first revision, apply it, and insert rows."""
    create = create or "op.create_table('a', sa.Column('id', sa.Integer, primary_key=True), sa.Column('x', sa.Text))"
    project.write_revision("001", create, "op.drop_table('a')")
    scratch.upgrade(project.project, target, "001")
    execute(target, *statements)


def run_rehearsal(
    project: SmallProject, target: Target, monkeypatch: pytest.MonkeyPatch, **wanted: Any
) -> tuple[Rehearsal, Outcome]:
    url = target.url.render()
    monkeypatch.setenv("DATABASE_URL", url)
    return rehearse_and_check(project.project, RehearsalRequest(**wanted))


def recording_of(found: Rehearsal) -> Recording:
    (recording,) = found.recordings
    return recording


def failing_rules(outcome: Outcome) -> list[str]:
    return [item.rule for item in outcome.findings if outcome.is_blocking(item.severity)]


class TestRehearse:
    def test_each_pending_revision_makes_its_round_trip_and_then_all_together(
        self, small_project: SmallProject, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        apply_first_revision(small_project, target, "INSERT INTO a VALUES (1, 'one'), (2, 'two')")
        small_project.write_revision(
            "002", "op.execute(\"UPDATE a SET x = 'new' WHERE id = 1\")", extra="lossy = 'the old x'"
        )
        small_project.write_revision("003", "op.create_index('ix', 'a', ['x'])", "op.drop_index('ix', 'a')")
        found, outcome = run_rehearsal(small_project, target, monkeypatch)
        recording = recording_of(found)
        assert [(step.revision, len(step.legs)) for step in recording.steps] == [("002", 3), ("003", 3)]
        assert all(leg.failure is None for step in recording.steps for leg in step.legs)
        assert [route.is_clean for route in recording.routes] == [True, True]
        assert not outcome.is_failed
        first = found.observations[0]
        assert [(it.table, it.inserted, it.updated, it.deleted) for it in first.written_rows] == [("a", 0, 1, 0)]
        assert found.replica is not None
        assert found.replica.rows == 3  # including that of the version table
        assert json_codec.from_json(json_codec.to_json(recording)) == recording

    @pytest.mark.parametrize("target", ["sqlite"], indirect=True)
    def test_written_rows_are_counted_for_every_form_of_statement(
        self, small_project: SmallProject, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        apply_first_revision(small_project, target, "INSERT INTO a VALUES (1, 'one'), (2, 'two')")
        texts = (
            "INSERT OR REPLACE INTO a VALUES (3, 'n')",
            "REPLACE INTO main.a VALUES (4, 'n')",
            "UPDATE OR IGNORE a SET x = 'z' WHERE id = 1",
            "WITH q AS (SELECT 1 AS i) UPDATE main.a SET x = 'w' WHERE id IN (SELECT i FROM q)",
            "/* why */ DELETE FROM 'a' WHERE id > 2",
        )
        small_project.write_revision("002", "\n".join(f"op.execute({text!r})" for text in texts), extra="lossy = 'x'")
        found, _ = run_rehearsal(small_project, target, monkeypatch)
        (changed,) = found.observations[0].written_rows
        assert (changed.table, changed.inserted, changed.updated, changed.deleted) == ("a", 2, 2, 2)

    def test_nothing_pending_copies_nothing(
        self, small_project: SmallProject, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        apply_first_revision(small_project, target)
        found, outcome = run_rehearsal(small_project, target, monkeypatch)
        assert (found.pending, found.replica, found.recordings) == ((), None, ())
        assert not outcome.is_failed

    def test_the_target_is_as_before(
        self, small_project: SmallProject, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        apply_first_revision(small_project, target, "INSERT INTO a VALUES (1, 'one')")
        small_project.write_revision("002", "op.drop_column('a', 'x')", "op.add_column('a', sa.Column('x', sa.Text))")
        before = query_rows(target, "SELECT * FROM a"), query_rows(target, "SELECT * FROM alembic_version")
        found, _ = run_rehearsal(small_project, target, monkeypatch)
        assert (query_rows(target, "SELECT * FROM a"), query_rows(target, "SELECT * FROM alembic_version")) == before
        assert "as before" in found.target_check

    def test_a_revision_of_another_checkout_is_refused(self, small_project: SmallProject, target: Target) -> None:
        apply_first_revision(small_project, target, "UPDATE alembic_version SET version_num = 'elsewhere'")
        with pytest.raises(RevisionNotInCheckoutError, match="elsewhere"):
            rehearse(small_project.project, target, RehearsalRequest())

    def test_a_missing_database_is_an_error(self, small_project: SmallProject, target: Target) -> None:
        small_project.write_table_revisions("a")
        gone = target.with_database(f"{target.database}_gone")
        with pytest.raises(MissingDatabaseError) as raised:
            rehearse(small_project.project, gone, RehearsalRequest())
        assert str(raised.value).startswith(f"{gone} does not exist (")

    @pytest.mark.parametrize("target", ["sqlite"], indirect=True)
    def test_an_external_env_py_is_pointed_at_the_replica(
        self, small_project: SmallProject, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        apply_first_revision(small_project, target, "INSERT INTO a VALUES (1, 'one')")
        small_project.write_revision("002", "op.add_column('a', sa.Column('y', sa.Text))", "op.drop_column('a', 'y')")
        (small_project.root / "scripts" / "env.py").write_text(
            "import os\nimport sqlalchemy as sa\nfrom alembic import context\n"
            "engine = sa.create_engine(os.environ['DATABASE_URL'], poolclass=sa.NullPool)\n"
            "with engine.connect() as connection:\n"
            "    context.configure(connection=connection)\n"
            "    with context.begin_transaction():\n        context.run_migrations()\n"
        )
        found, outcome = run_rehearsal(small_project, target, monkeypatch)
        assert not outcome.is_failed, outcome.findings
        assert [leg.failure for step in recording_of(found).steps for leg in step.legs] == [None] * 3
        assert query_rows(target, "SELECT version_num FROM alembic_version") == [("001",)]

    def test_a_revision_that_connects_by_itself_is_pointed_at_the_replica(
        self, small_project: SmallProject, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        apply_first_revision(small_project, target, "INSERT INTO a VALUES (1, 'one')")
        write = (
            "import os\nengine = sa.create_engine(os.environ['DATABASE_URL'], poolclass=sa.NullPool)\n"
            "with engine.begin() as it:\n    it.exec_driver_sql(\"INSERT INTO a VALUES (2, 'two')\")"
        )
        small_project.write_revision("002", write, "op.execute('DELETE FROM a WHERE id = 2')")
        found, outcome = run_rehearsal(small_project, target, monkeypatch)
        assert query_rows(target, "SELECT id FROM a") == [(1,)]
        assert "as before" in found.target_check
        # On SQLite the revision's own transaction keeps its other connection out, as it would on the target.
        assert failing_rules(outcome) == (["upgrade-fails"] if target.backend_name == "sqlite" else [])


class TestRowsLost:
    def test_rows_lost_by_the_downgrade_are_a_finding_unless_declared(
        self, small_project: SmallProject, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        apply_first_revision(small_project, target, "INSERT INTO a VALUES (1, 'one'), (2, 'two'), (3, 'three')")
        file = small_project.write_revision("002", "pass", "op.execute('DELETE FROM a WHERE id > 1')")
        found, outcome = run_rehearsal(small_project, target, monkeypatch)
        (loss,) = recording_of(found).steps[0].losses
        assert (loss.table, loss.count, loss.of, loss.direction) == ("a", 2, 3, Direction.DOWNGRADE)
        assert failing_rules(outcome) == ["rows-deleted"]
        file.write_text(file.read_text() + "\nlossy = 'two rows'\n")
        declared = check_rehearsal(recording_of(found), History.read(small_project.project))
        assert [(item.rule, item.severity) for item in declared] == [("rows-deleted", Severity.NOTE)]

    @pytest.mark.parametrize("target", ["sqlite"], indirect=True)
    def test_losses_of_one_revision_are_not_reported_for_another(
        self, small_project: SmallProject, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        apply_first_revision(small_project, target, "INSERT INTO a VALUES (1, 'one'), (2, 'two')")
        small_project.write_revision("002", "op.add_column('a', sa.Column('y', sa.Text))", "op.drop_column('a', 'y')")
        small_project.write_revision("003", "pass", "op.execute('DELETE FROM a')")
        found, _ = run_rehearsal(small_project, target, monkeypatch)
        assert [len(step.losses) for step in recording_of(found).steps] == [0, 1]

    def test_large_tables_are_compared_by_the_database(
        self, small_project: SmallProject, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dormatory.rehearsal.round_trip.MAX_COMPARED_ROWS", 3)
        rows = ", ".join(f"({number}, 'x{number}')" for number in range(9))
        apply_first_revision(small_project, target, f"INSERT INTO a VALUES {rows}")
        down = "op.execute('DELETE FROM a WHERE id > 6')\nop.execute(\"UPDATE a SET x = 'other' WHERE id < 3\")"
        small_project.write_revision("002", "pass", down)
        found, outcome = run_rehearsal(small_project, target, monkeypatch)
        losses = recording_of(found).steps[0].losses
        assert [(it.table, it.column, it.count, it.of) for it in losses] == [("a", "", 2, 9), ("a", "x", 3, 9)]
        assert outcome.is_failed


class TestOffendingRows:
    """The rows that a revision fails on."""

    @pytest.mark.parametrize(
        ("target", "upgrade", "rule", "count"),
        [
            ("sqlite", "op.create_index('uq', 'a', ['x'], unique=True)", "UNIQUE", 2),
            ("sqlite", BATCH + "batch.create_unique_constraint('uq', ['x'])", "UNIQUE", 2),
            ("sqlite", BATCH + "batch.alter_column('x', nullable=False)", "NOT NULL", 1),
            ("sqlite", BATCH + "batch.create_check_constraint('short', \"x NOT LIKE 's3%'\")", "CHECK", 2),
            ("postgresql", "op.create_unique_constraint('uq', 'a', ['x'])", "UNIQUE", 2),
            ("postgresql", "op.execute('ALTER TABLE a ADD EXCLUDE USING btree (x WITH =)')", "EXCLUDE", 2),
            ("postgresql", "op.alter_column('a', 'x', nullable=False)", "NOT NULL", 1),
            ("postgresql", "op.create_check_constraint('short', 'a', \"x NOT LIKE 's3%'\")", "CHECK", 2),
        ],
        indirect=["target"],
    )
    def test_a_violation_names_its_table_and_how_many_rows(  # noqa: PLR0917  # fixtures and a table of cases
        self,
        small_project: SmallProject,
        target: Target,
        monkeypatch: pytest.MonkeyPatch,
        upgrade: str,
        rule: str,
        count: int,
    ) -> None:
        rows = f"(1, '{SECRET}'), (2, '{SECRET}'), (3, NULL), (4, 'fine')"
        apply_first_revision(small_project, target, f"INSERT INTO a VALUES {rows}")
        small_project.write_revision("002", upgrade)
        small_project.write_revision("003")
        found, outcome = run_rehearsal(small_project, target, monkeypatch)
        (seen,) = found.observations
        (offence,) = seen.offending_rows
        assert (offence.rule, offence.table, offence.count, offence.keys) == (rule, "a", count, ())
        assert len(query_rows(target, offence.query)) == count
        recording = recording_of(found)
        assert recording.unreached == ("003",)
        assert SECRET not in json_codec.to_json(recording) + repr(found) + repr(outcome)
        assert "upgrade-fails" in failing_rules(outcome)

    @pytest.mark.parametrize(
        ("target", "upgrade", "message"),
        [
            (
                "sqlite",
                "x = op.get_bind().scalar(sa.text('SELECT x FROM a')); raise ValueError(f'{x} is long, as {x}, {x}')",
                "ValueError: … is long, as …",
            ),
            (
                "postgresql",
                "op.execute(\"DO $$ DECLARE v text; BEGIN SELECT x INTO v FROM a; RAISE 'refused: %', v; END $$\")",
                "RaiseException: refused: …",
            ),
        ],
        indirect=["target"],
    )
    def test_an_error_message_of_a_revision_is_kept_without_row_values(
        self, small_project: SmallProject, target: Target, monkeypatch: pytest.MonkeyPatch, upgrade: str, message: str
    ) -> None:
        apply_first_revision(small_project, target, f"INSERT INTO a VALUES (1, '{SECRET}')")
        small_project.write_revision("002", upgrade)
        found, outcome = run_rehearsal(small_project, target, monkeypatch)
        failure = recording_of(found).steps[0].legs[0].failure
        assert failure is not None
        assert failure.why == message
        assert SECRET not in repr(found) + repr(outcome)
        shown, _ = run_rehearsal(small_project, target, monkeypatch, show_values=True)
        assert SECRET in repr(recording_of(shown).steps[0].legs[0].failure)

    def test_a_required_new_column_without_default_counts_every_row(
        self, small_project: SmallProject, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        apply_first_revision(small_project, target, "INSERT INTO a VALUES (1, 'one'), (2, 'two')")
        small_project.write_revision("002", "op.add_column('a', sa.Column('y', sa.Text, nullable=False))")
        found, _ = run_rehearsal(small_project, target, monkeypatch)
        (offence,) = found.observations[0].offending_rows
        assert (offence.rule, offence.columns, offence.count) == ("NOT NULL", ("y",), 2)

    @pytest.mark.parametrize("target", ["postgresql"], indirect=True)
    def test_keys_are_shown_when_asked_for(
        self, small_project: SmallProject, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        apply_first_revision(small_project, target, "INSERT INTO a VALUES (1, 'twice'), (2, 'once'), (7, 'twice')")
        small_project.write_revision("002", "op.create_index('uq', 'a', ['x'], unique=True)")
        found, _ = run_rehearsal(small_project, target, monkeypatch, show_values=True)
        assert found.observations[0].offending_rows[0].keys == ("id=1, x=twice", "id=7, x=twice")
        assert "twice" not in json_codec.to_json(recording_of(found))

    def test_dangling_rows_are_found(
        self, small_project: SmallProject, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        create = (
            "op.create_table('p', sa.Column('id', sa.Integer, primary_key=True))\n"
            "op.create_table('a', sa.Column('id', sa.Integer, primary_key=True), sa.Column('p_id', sa.Integer))"
        )
        rows = "INSERT INTO p VALUES (1)", "INSERT INTO a VALUES (1, 1), (2, 77), (3, 78), (4, NULL)"
        apply_first_revision(small_project, target, *rows, create=create)
        small_project.write_revision(
            "002", "with op.batch_alter_table('a') as batch: batch.create_foreign_key('fk', 'p', ['p_id'], ['id'])"
        )
        found, outcome = run_rehearsal(small_project, target, monkeypatch)
        (offence,) = found.observations[0].offending_rows
        assert (offence.rule, offence.table, offence.columns, offence.count) == ("FOREIGN KEY", "a", ("p_id",), 2)
        assert outcome.is_failed

    def test_values_that_the_new_type_cannot_hold_are_found(
        self,
        small_project: SmallProject,
        postgres_server: throwaway.Server,
        shared_server: None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        del shared_server
        with throwaway.scratch_postgresql(postgres_server) as target:
            apply_first_revision(small_project, target, "INSERT INTO a VALUES (1, '12'), (2, 'twelve'), (3, NULL)")
            small_project.write_revision(
                "002", "op.execute('ALTER TABLE a ALTER COLUMN x TYPE integer USING x::integer')"
            )
            found, _ = run_rehearsal(small_project, target, monkeypatch, show_values=True)
        (offence,) = found.observations[0].offending_rows
        assert (offence.rule, offence.count, offence.keys) == ("integer", 1, ("id=2, x=twelve",))

    @pytest.mark.parametrize("target", ["sqlite"], indirect=True)
    def test_a_failing_downgrade_is_a_finding(
        self, small_project: SmallProject, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        apply_first_revision(small_project, target, "INSERT INTO a VALUES (1, 'twice'), (2, 'twice')")
        small_project.write_revision("002", "pass", "op.create_index('uq', 'a', ['x'], unique=True)")
        small_project.write_revision("003")
        found, outcome = run_rehearsal(small_project, target, monkeypatch)
        assert failing_rules(outcome) == ["downgrade-fails"]
        assert [step.revision for step in recording_of(found).steps] == ["002", "003"]
        assert found.observations[0].offending_rows[0].count == 2
        assert "002" in found.not_checked[0]


class TestSample:
    CREATE = (
        "op.create_table('p', sa.Column('id', sa.Integer, primary_key=True), sa.Column('a_id', sa.Integer))\n"
        "op.create_table('a', sa.Column('id', sa.Integer, primary_key=True),\n"
        "    sa.Column('up', sa.Integer, sa.ForeignKey('a.id', name='fk_up')),\n"
        "    sa.Column('p_id', sa.Integer, sa.ForeignKey('p.id', name='fk_p')))\n"
        "if op.get_bind().dialect.name == 'postgresql':\n"
        "    op.create_foreign_key('fk_a', 'p', 'a', ['a_id'], ['id'])\n"
        "    op.execute('ALTER TABLE a ALTER CONSTRAINT fk_p DEFERRABLE INITIALLY DEFERRED')\n"
        "    op.execute('CREATE SEQUENCE s')\n"
    )

    def test_a_sample_holds_every_row_that_its_rows_refer_to(
        self, small_project: SmallProject, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        people = ", ".join(f"({number}, NULL)" for number in range(1, 101))
        chain = ", ".join(f"({n}, {n - 1 if n % 10 != 1 else 'NULL'}, {101 - n})" for n in range(1, 101))
        apply_first_revision(
            small_project,
            target,
            f"INSERT INTO p VALUES {people}",
            f"INSERT INTO a VALUES {chain}",
            "UPDATE p SET a_id = id WHERE id / 3 * 3 = id",  # rows that refer to each other in a circle
            create=self.CREATE,
        )
        if target.backend_name == "postgresql":
            execute(target, "SELECT setval('s', 41)")
        with open_replica_source(target) as source, source.create_replica("alembic_version", 5) as (copy, copied):
            counts = [
                query_rows(copy, f"SELECT count(*) FROM {table}")[0][0] for table in ("a", "p", "alembic_version")
            ]
            lonely = query_rows(copy, "SELECT count(*) FROM a WHERE up IS NOT NULL AND up NOT IN (SELECT id FROM a)")
            dangling = query_rows(copy, "SELECT count(*) FROM a WHERE p_id NOT IN (SELECT id FROM p)")
            if target.backend_name == "postgresql":
                assert query_rows(copy, "SELECT nextval('s')") == [(42,)]
                assert query_rows(
                    copy, "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated"
                ) == [(0,)]
        assert 5 <= counts[0] < 100
        assert 5 <= counts[1] < 100
        assert counts[2] == 1
        assert (lonely, dangling) == ([(0,)], [(0,)])
        assert copied.rows == sum(counts)
        del monkeypatch

    @pytest.mark.parametrize("target", ["sqlite"], indirect=True)
    def test_a_rehearsal_on_a_sample_finds_its_offending_rows(
        self, small_project: SmallProject, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = ", ".join(f"({number}, 'same')" for number in range(50))
        apply_first_revision(small_project, target, f"INSERT INTO a VALUES {rows}")
        small_project.write_revision("002", "op.create_index('uq', 'a', ['x'], unique=True)")
        found, outcome = run_rehearsal(small_project, target, monkeypatch, sample=4)
        assert found.replica is not None
        assert (found.replica.sample, found.replica.rows) == (4, 5)
        assert found.observations[0].offending_rows[0].count == 4
        assert outcome.is_failed

    @pytest.mark.parametrize("target", ["sqlite"], indirect=True)
    def test_rows_are_chosen_where_a_column_hides_the_rowid(self, target: Target) -> None:
        columns = {"one": "rowid TEXT", "two": "rowid, oid TEXT", "three": "rowid TEXT, OID TEXT, _rowid_ TEXT"}
        for table, listed in columns.items():
            execute(target, f"CREATE TABLE {table} ({listed})", *[f"INSERT INTO {table} (rowid) VALUES ('x')"] * 3)
        with open_replica_source(target) as source, source.create_replica("alembic_version", 1) as (copy, copied):
            assert [query_rows(copy, f"SELECT count(*) FROM {table}")[0][0] for table in columns] == [1, 1, 3]
        assert copied.notes == ("table three has no rowid to choose by and was copied whole",)

    @pytest.mark.parametrize("target", ["sqlite"], indirect=True)
    def test_a_chain_as_long_as_its_table_is_followed_to_its_end(self, target: Target) -> None:
        execute(
            target,
            "CREATE TABLE c (id INTEGER PRIMARY KEY, up INTEGER REFERENCES c (id))",
            "INSERT INTO c WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 500) "
            "SELECT i, nullif(i - 1, 0) FROM n",
        )
        with open_replica_source(target) as source, source.create_replica("alembic_version", 1) as (copy, _):
            ((most, count),) = query_rows(copy, "SELECT max(id), count(*) FROM c")
        assert most == count > 1


class TestForecast:
    def test_a_rehearsal_measures_at_two_sizes(
        self, small_project: SmallProject, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = ", ".join(f"({number}, 'x')" for number in range(40))
        apply_first_revision(small_project, target, f"INSERT INTO a VALUES {rows}")
        small_project.write_revision("002", "op.execute(\"UPDATE a SET x = 'y'\")", extra="lossy = 'x'")
        found, _ = run_rehearsal(small_project, target, monkeypatch, at_rows=1000)
        measured = found.observations[0].forecast
        assert measured is not None
        assert [it.rows for it in measured.measurements] == [10, 40]
        assert measured.rows == 1000


class TestWaits:
    def test_readers_and_writers_wait_as_long_as_the_lock_is_held(
        self, small_project: SmallProject, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        apply_first_revision(small_project, target, "INSERT INTO a VALUES (1, 'one')")
        slow = "op.add_column('a', sa.Column('y', sa.Text))\nimport time; time.sleep(1)"
        small_project.write_revision("002", slow, "op.drop_column('a', 'y')")
        found, _ = run_rehearsal(small_project, target, monkeypatch)
        longest = {it.user: it.seconds for it in found.observations[0].waits if it.direction is Direction.UPGRADE}
        assert longest["writers"] >= 0.9
        if target.backend_name == "postgresql":
            assert longest["readers"] >= 0.9
            locks = recording_of(found).steps[0].legs[0].locks
            assert [(lock.table, lock.mode) for lock in locks] == [("a", "ACCESS EXCLUSIVE")]
            assert locks[0].seconds >= 0.9
        else:
            assert longest["readers"] < 0.9

    def test_rows_that_a_revision_writes_keep_writers_waiting(
        self,
        small_project: SmallProject,
        postgres_server: throwaway.Server,
        shared_server: None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        del shared_server
        with throwaway.scratch_postgresql(postgres_server) as target:
            apply_first_revision(small_project, target, "INSERT INTO a VALUES (1, 'one')")
            small_project.write_revision(
                "002", "op.execute(\"UPDATE a SET x = 'y'\")\nimport time; time.sleep(1)\nop.execute('LOCK a')"
            )
            found, _ = run_rehearsal(small_project, target, monkeypatch)
        assert recording_of(found).routes == ()
        assert all(leg.is_clean for leg in recording_of(found).steps[0].legs)
        assert [it.user for it in found.observations[0].waits if it.seconds >= 0.9] == ["writers"]

    def test_tables_beyond_the_probe_limit_are_named(
        self,
        small_project: SmallProject,
        postgres_server: throwaway.Server,
        shared_server: None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        del shared_server
        monkeypatch.setattr("dormatory.backends.postgresql.probe.MAX_PROBED_TABLES", 1)
        create = "for name in 'ab': op.create_table(name, sa.Column('id', sa.Integer, primary_key=True))"
        with throwaway.scratch_postgresql(postgres_server) as target:
            apply_first_revision(small_project, target, create=create)
            small_project.write_revision(
                "002", "op.execute('INSERT INTO a VALUES (1)'); op.execute('LOCK b')", "op.execute('DELETE FROM a')"
            )
            found, _ = run_rehearsal(small_project, target, monkeypatch)
        tried = {(it.table, it.direction) for it in found.observations[0].waits}
        # The upgrade locks b more strongly than a; the downgrade does not lock it.
        assert tried == {("b", Direction.UPGRADE)}
        assert found.not_checked == ("readers and writers of tables that 002 locks, too: a",)


class TestSQLiteFiles:
    @pytest.mark.parametrize("is_open", [True, False], ids=["in-use", "closed"])
    def test_a_file_in_wal_mode_is_copied_with_its_journal_and_left_alone(
        self, small_project: SmallProject, *, is_open: bool
    ) -> None:
        with scratch_sqlite() as target:
            apply_first_revision(small_project, target)
            small_project.write_revision("002")
            with closing(sqlite3.connect(target.path)) as writer:
                writer.execute("PRAGMA journal_mode = WAL")
                writer.execute("INSERT INTO a VALUES (1, 'in the journal')")
                writer.commit()
                if not is_open:
                    writer.close()
                before = {
                    file.name: hashlib.sha256(file.read_bytes()).digest()
                    for file in sorted(target.path.parent.glob("scratch.db*"))
                    if not file.name.endswith("shm")
                }
                found = rehearse(small_project.project, target, RehearsalRequest())
                after = {
                    file.name: hashlib.sha256(file.read_bytes()).digest()
                    for file in sorted(target.path.parent.glob("scratch.db*"))
                    if not file.name.endswith("shm")
                }
        assert found.replica is not None
        assert found.replica.rows == 2
        assert before == after
        assert ("scratch.db-wal" in before) is is_open
        assert "byte for byte as before" in found.target_check

    def test_a_write_by_another_connection_is_reported(self, small_project: SmallProject) -> None:
        with scratch_sqlite() as target:
            apply_first_revision(small_project, target)
            small_project.write_revision(
                "002",
                f"import sqlite3\nwriter = sqlite3.connect({str(target.path)!r})\n"
                "writer.execute('INSERT INTO a (x) VALUES (1)')\nwriter.commit()\nwriter.close()",
            )
            found = rehearse(small_project.project, target, RehearsalRequest())
        assert found.target_check.startswith("scratch.db: somebody else wrote to it meanwhile; ")


class TestPostgreSQLTargets:
    def test_no_session_of_a_rehearsal_can_write(self, postgres_server: throwaway.Server) -> None:
        with (
            throwaway.scratch_postgresql(postgres_server) as target,
            PostgreSQLReplicaSource(target, postgres_server).open() as source,
        ):
            url = source._target.url  # what its child programs are given, too
            with (
                closing(
                    psycopg2.connect(
                        host=url.query["host"],
                        port=url.query["port"],
                        user=url.username,
                        dbname=url.database,
                        options=url.query["options"],
                    )
                ) as connection,
                pytest.raises(psycopg2.errors.ReadOnlySqlTransaction),
            ):
                connection.cursor().execute("CREATE TABLE t (id integer)")

    def test_an_extension_missing_on_the_replica_server_is_named(
        self, postgres_server: throwaway.Server, shared_server: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        del shared_server
        with throwaway.scratch_postgresql(postgres_server) as target:
            execute(target, "UPDATE pg_extension SET extname = 'far_away' WHERE extname = 'plpgsql'")
            with (
                pytest.raises(MissingExtensionsError, match="far_away") as raised,
                open_replica_source(target) as source,
                source.create_replica("alembic_version", 0),
            ):
                pass
        assert raised.value.is_failure
        del monkeypatch

    def test_results_are_returned_even_if_the_target_is_gone_at_the_end(
        self,
        small_project: SmallProject,
        postgres_server: throwaway.Server,
        shared_server: None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        del shared_server
        with throwaway.scratch_postgresql(postgres_server) as target:
            apply_first_revision(small_project, target)
            admin = postgres_server.database("postgres").url.render()
            small_project.write_revision(
                "002",
                f"with sa.create_engine({admin!r}, isolation_level='AUTOCOMMIT').connect() as it:\n"
                f"    it.exec_driver_sql('DROP DATABASE IF EXISTS {target.database}')",
            )
            found, outcome = run_rehearsal(small_project, target, monkeypatch)
        assert not outcome.is_failed
        assert len(recording_of(found).steps) == 1
        assert found.target_check.startswith(f"could not be checked again: {target} does not exist (")

    def test_a_user_who_cannot_see_all_rows_gets_an_error(
        self, postgres_server: throwaway.Server, shared_server: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        del shared_server, monkeypatch
        with throwaway.scratch_postgresql(postgres_server) as target:
            execute(target, "CREATE TABLE t (id integer)", "ALTER TABLE t ENABLE ROW LEVEL SECURITY")
            execute(target, "CREATE ROLE clerk LOGIN", "GRANT SELECT ON t TO clerk")
            clerk = target.with_parts(username="clerk")
            try:
                with (
                    pytest.raises(DatabaseFailedError, match=r"row-level security policy .* as a user with BYPASSRLS"),
                    open_replica_source(clerk) as source,
                    source.create_replica("alembic_version", 1),
                ):
                    pass
            finally:
                execute(target, "DROP OWNED BY clerk", "DROP ROLE clerk")

    def test_roles_settings_and_generated_columns_are_copied(
        self, small_project: SmallProject, postgres_server: throwaway.Server, shared_server: None
    ) -> None:
        del shared_server
        with throwaway.scratch_postgresql(postgres_server) as target:
            execute(
                target,
                "CREATE SCHEMA other",
                "CREATE TABLE other.t (id integer PRIMARY KEY, twice integer GENERATED ALWAYS AS (id * 2) STORED)",
                "INSERT INTO other.t VALUES (1), (2)",
                f'ALTER DATABASE {target.database} SET search_path = "other", public',
            )
            for sample in (0, 1):
                with (
                    open_replica_source(target) as source,
                    source.create_replica("alembic_version", sample) as (copy, _),
                ):
                    assert query_rows(copy, "SHOW search_path") == [("other, public",)]
                    assert set(query_rows(copy, "SELECT twice FROM t")) <= {(2,), (4,)}
        del small_project


class TestTask:
    def test_it_reports_and_exits_with_1_for_findings(self, small_project: SmallProject, inv: Inv) -> None:
        with scratch_sqlite() as target:
            apply_first_revision(small_project, target, f"INSERT INTO a VALUES (1, '{SECRET}'), (2, '{SECRET}')")
            small_project.write_revision("002", "op.create_index('uq', 'a', ['x'], unique=True)")
            ended = inv("db.rehearse", url=target.url)
            shown = inv("db.rehearse", "--show-values", url=target.url)
        assert ended.code == shown.code == 1
        assert ended.err == ""
        assert "  refused   UNIQUE of a (x): 2 rows" in ended.out
        assert SECRET not in ended.out
        assert f"id=1, x={SECRET}; id=2, x={SECRET}" in shown.out
        assert re.search(r"^target    untouched: .*byte for byte", ended.out, re.MULTILINE)

    def test_a_clean_rehearsal_exits_with_0(self, small_project: SmallProject, inv: Inv) -> None:
        with scratch_sqlite() as target:
            apply_first_revision(small_project, target)
            nothing = inv("db.rehearse", url=target.url)
            small_project.write_revision(
                "002", "op.add_column('a', sa.Column('y', sa.Text))", "op.drop_column('a', 'y')"
            )
            ended = inv("db.rehearse", "--at-rows", "1000", url=target.url)
        assert (nothing.code, ended.code) == (0, 0)
        assert nothing.out.endswith("is at 001, nothing is pending: nothing to rehearse\n")
        assert f"\nno findings · 1 revision on SQLite {sqlite3.sqlite_version}" in ended.out
        assert "forecast  none for 1000 rows" in ended.out

    @pytest.mark.parametrize("option", ["--sample=0", "--sample=many", "--at-rows=-1"])
    def test_an_invalid_number_of_rows_is_refused(self, inv: Inv, option: str) -> None:
        ended = inv("db.rehearse", option, url="sqlite:///x.db")
        assert ended.code == 2
        assert "is no number of rows" in ended.err
