"""What is recorded of a statement: its text, the types of its parameters, its line in the revision, never a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import OperationalError

from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.replay.statement_recorder import StatementRecorder
from dormatory.runtime.runner import Runner
from tests.scratch import BACKENDS, scratch_maker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.recording.leg import Statement
    from tests.conftest import SmallProject

UPGRADE = """
op.create_table("room", sa.Column("id", sa.Integer, primary_key=True), sa.Column("label", sa.String(40)))
room = sa.table("room", sa.column("id", sa.Integer), sa.column("label", sa.String))
op.bulk_insert(room, [{"id": 1, "label": "attic"}, {"id": 2, "label": "cellar"}])
op.execute("SELECT 'all of 100%'")
op.execute(room.update().where(room.c.id == 1).values(label="secret words"))
"""


@pytest.fixture(params=BACKENDS)
def statements(request: pytest.FixtureRequest, small_project: SmallProject) -> Iterator[tuple[Statement, ...]]:
    """What the upgrade of a small revision executed, once per backend."""
    small_project.write_revision("001", UPGRADE)
    maker = scratch_maker(request.param, request)
    with maker() as target, create_engine(target.sqlalchemy_url(), poolclass=NullPool).connect() as connection:
        recorder = StatementRecorder(connection, small_project.project)
        recorder.start()
        Runner(small_project.project, target=target, connection=connection).upgrade()
        yield recorder.stop()


def test_each_statement_has_the_line_that_issued_it(statements: tuple[Statement, ...]) -> None:
    found = {statement.sql.split()[0]: statement for statement in statements if statement.line}
    assert found["CREATE"].file == "scripts/versions/001_x.py"
    assert found["CREATE"].line + 2 == found["INSERT"].line == found["UPDATE"].line - 2


def test_rows_are_counted(statements: tuple[Statement, ...]) -> None:
    (update,) = (statement for statement in statements if statement.sql.startswith("UPDATE room"))
    assert update.rows == 1
    assert update.seconds > 0


def test_parameters_are_kept_as_types_and_never_as_values(statements: tuple[Statement, ...]) -> None:
    (update,) = (statement for statement in statements if statement.sql.startswith("UPDATE room"))
    assert sorted(update.parameters) == ["int", "str"]
    assert "secret words" not in repr(statements)
    assert "attic" not in repr(statements)


def test_statements_between_two_legs_are_not_recorded(small_project: SmallProject) -> None:
    with scratch_sqlite() as target, create_engine(target.sqlalchemy_url(), poolclass=NullPool).connect() as connection:
        recorder = StatementRecorder(connection, small_project.project)
        recorder.start()
        connection.exec_driver_sql("SELECT 1")
        first = recorder.stop()
        connection.exec_driver_sql("SELECT 2")
        recorder.start()
        assert [statement.sql for statement in first] == ["SELECT 1"]
        assert recorder.stop() == ()


def test_another_connection_of_the_engine_is_not_recorded(small_project: SmallProject) -> None:
    with scratch_sqlite() as target:
        engine = create_engine(target.sqlalchemy_url(), poolclass=NullPool)
        with engine.connect() as connection, engine.connect() as other:
            recorder = StatementRecorder(connection, small_project.project)
            recorder.start()
            with pytest.raises(OperationalError):
                other.exec_driver_sql("SELECT * FROM nothing")
            with pytest.raises(OperationalError):
                connection.exec_driver_sql("SELECT * FROM nought")
            assert [(each.sql, each.rows) for each in recorder.stop()] == [("SELECT * FROM nought", -1)]


def test_a_percent_sign_is_recorded_once(statements: tuple[Statement, ...]) -> None:
    """SQLAlchemy doubles it for drivers that would take it for a parameter."""
    (selected,) = (statement for statement in statements if statement.sql.startswith("SELECT 'all"))
    assert selected.sql == "SELECT 'all of 100%'"
