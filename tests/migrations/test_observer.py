"""What is recorded of a statement: its text, the types of its parameters, its line in the revision, never a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.database import throwaway
from dormatory.migrations.recording import Direction
from dormatory.migrations.roundtrip import play

if TYPE_CHECKING:
    from dormatory.migrations.recording import Statement
    from tests.conftest import SmallProject

UPGRADE = """
op.create_table("room", sa.Column("id", sa.Integer, primary_key=True), sa.Column("label", sa.String(40)))
room = sa.table("room", sa.column("id", sa.Integer), sa.column("label", sa.String))
op.bulk_insert(room, [{"id": 1, "label": "attic"}, {"id": 2, "label": "cellar"}])
op.execute(room.update().where(room.c.id == 1).values(label="secret words"))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def statements(request: pytest.FixtureRequest, small_project: SmallProject) -> tuple[Statement, ...]:
    """What the upgrade of a small revision executed, once per backend."""
    small_project.revision("001", UPGRADE, 'op.drop_table("room")')
    if request.param == "sqlite":
        recording = play(small_project.project, throwaway.scratch_sqlite)
    else:
        server: throwaway.Server = request.getfixturevalue("postgres_server")
        recording = play(small_project.project, lambda: throwaway.scratch_postgresql(server))
    assert all(leg.is_clean for leg in recording.steps[0].legs), recording
    (leg,) = (leg for leg in recording.steps[0].legs if leg.direction is Direction.UPGRADE)
    return leg.statements


def test_each_statement_has_the_line_that_issued_it(statements: tuple[Statement, ...]) -> None:
    found = {statement.sql.split()[0]: statement for statement in statements if statement.line}
    assert found["CREATE"].file == "scripts/versions/001_x.py"
    assert found["CREATE"].line + 2 == found["INSERT"].line == found["UPDATE"].line - 1


def test_rows_are_counted(statements: tuple[Statement, ...]) -> None:
    (update,) = (statement for statement in statements if statement.sql.startswith("UPDATE room"))
    assert update.rows == 1
    assert update.seconds > 0


def test_parameters_are_kept_as_types_and_never_as_values(statements: tuple[Statement, ...]) -> None:
    (update,) = (statement for statement in statements if statement.sql.startswith("UPDATE room"))
    assert sorted(update.parameters) == ["int", "str"]
    assert "secret words" not in repr(statements)
    assert "attic" not in repr(statements)
