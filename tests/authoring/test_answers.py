"""Revisions that give rows the values that a change of the models needs, or ask for them: played on rows."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from dormatory.backends.names import BACKEND_NAMES
from dormatory.backends.registry import backend_for
from dormatory.commands.revision import write_revision
from dormatory.runtime import scratch
from dormatory.runtime.runner import Runner

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.backends.url import Target
    from tests.conftest import SmallProject

HEAD = """
import sqlalchemy as sa
metadata = sa.MetaData()
def make(*columns):
    sa.Table("room", metadata, sa.Column("id", sa.Integer, primary_key=True), *columns)
"""


class Rooms:
    """A project with one table, whose models change."""

    def __init__(self, project: SmallProject) -> None:
        self.small = project

    def write(self, before: str, after: str) -> Path:
        """Write a first revision from models, and a second one from others; return the second one."""
        self.small.write_env(HEAD, f"make({before})", "environment.run(metadata)")
        assert write_revision(self.small.project, "Create rooms", empty=False)
        self.small.write_env(HEAD, f"make({after})", "environment.run(metadata)")
        file = write_revision(self.small.project, "Change rooms", empty=False)
        assert file is not None
        return file

    def play(self, insert: str, select: str, between: str = "") -> dict[str, tuple[list[object], list[object]]]:
        """Return for each backend what is selected after the upgrade of rows, and after the downgrade."""
        return {name: self._play(name, insert, select, between) for name in BACKEND_NAMES}

    def _play(self, name: str, insert: str, select: str, between: str) -> tuple[list[object], list[object]]:
        with ExitStack() as stack:
            maker = stack.enter_context(scratch.databases(name))
            target = stack.enter_context(scratch.at_revision(self.small.project, maker, "001"))
            with _connection(target) as connection:
                connection.execute(sa.text(insert))
            self._move(target, "002")
            with _connection(target) as connection:
                upgraded = [tuple(row) for row in connection.execute(sa.text(select))]
                if between:
                    connection.execute(sa.text(between))
            self._move(target, "001")
            with _connection(target) as connection:
                return [*upgraded], [tuple(row) for row in connection.execute(sa.text(select))]

    def _move(self, target: Target, to: str) -> None:
        with backend_for(target).engine(target, writing=True).connect() as connection:
            runner = Runner(self.small.project, target=target, connection=connection)
            runner.upgrade(to) if to == "002" else runner.downgrade(to)
            connection.commit()


def _connection(target: Target) -> sa.Connection:
    return _Committing(backend_for(target).engine(target, writing=True))  # type: ignore[return-value]


class _Committing:
    """A connection that commits at the end of its block."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def __enter__(self) -> sa.Connection:
        self._connection = self._engine.connect()
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.commit()
        self._connection.close()


@pytest.fixture
def rooms(small_project: SmallProject) -> Rooms:
    return Rooms(small_project)


def test_a_required_column_is_filled_with_the_default_of_the_models(rooms: Rooms) -> None:
    new = 'sa.Column("note", sa.String(9), nullable=False, default="it\'s: %"), sa.Column("flag", sa.Boolean, nullable=False, default=False)'  # noqa: E501
    file = rooms.write(
        'sa.Column("name", sa.String(9))', f'sa.Column("name", sa.String(9), nullable=False, default="a"), {new}'
    )
    assert "RuntimeError" not in file.read_text()
    played = rooms.play("INSERT INTO room (id) VALUES (1)", "SELECT * FROM room")
    assert {name: up for name, (up, _) in played.items()} == {name: [(1, "a", "it's: %", 0)] for name in played}
    assert {name: down for name, (_, down) in played.items()} == {name: [(1, "a")] for name in played}


def test_a_required_column_without_a_default_is_a_question(rooms: Rooms) -> None:
    text = rooms.write(
        "", 'sa.Column("code", sa.Integer, nullable=False), sa.UniqueConstraint("code", name="uq_code")'
    ).read_text()
    assert text.count("raise RuntimeError(") == 1
    assert "room.code becomes required" in text
    assert text.index("add_column") < text.index("RuntimeError") < text.rindex("NOT NULL")


def test_an_index_is_dropped_while_others_work(rooms: Rooms) -> None:
    column = 'sa.Column("name", sa.String(9){})'
    upgrade, _, downgrade = (
        rooms.write(column.format(", index=True"), column.format("")).read_text().partition("def downgrade")
    )
    assert '"DROP INDEX CONCURRENTLY ix_room_name"' in upgrade
    assert '"CREATE INDEX CONCURRENTLY ix_room_name ON room (name)"' in downgrade


def test_a_dropped_required_column_comes_back_on_rows(rooms: Rooms) -> None:
    file = rooms.write('sa.Column("name", sa.String(9), nullable=False), sa.Column("day", sa.Date, nullable=False)', "")
    assert "RuntimeError" not in file.read_text()
    played = rooms.play("INSERT INTO room (id, name, day) VALUES (1, 'x', '2020-02-02')", "SELECT * FROM room")
    assert {len(down[0]) for _, down in played.values()} == {3}  # type: ignore[arg-type]


def test_a_column_that_a_downgrade_requires_again_is_a_question_there(rooms: Rooms) -> None:
    text = rooms.write('sa.Column("name", sa.String(9), nullable=False)', 'sa.Column("name", sa.String(9))').read_text()
    upgrade, _, downgrade = text.partition("def downgrade")
    assert "RuntimeError" not in upgrade
    assert "room.name is required again" in downgrade


def test_rows_with_a_new_value_get_the_default_on_the_way_back(rooms: Rooms) -> None:
    column = 'sa.Column("level", sa.Enum({}, name="level", create_constraint=True), server_default="read")'
    rooms.write(column.format('"read", "own"'), column.format('"read", "own", "admin"'))
    played = rooms.play(
        "INSERT INTO room (id, level) VALUES (1, 'own')",
        "SELECT level FROM room ORDER BY id",
        "INSERT INTO room (id, level) VALUES (2, 'admin')",
    )
    assert played == dict.fromkeys(played, ([("own",)], [("own",), ("read",)]))


@pytest.mark.parametrize("options", ["", ", create_constraint=True", ", native_enum=False, create_constraint=True"])
def test_a_renamed_value_is_renamed_in_the_rows(rooms: Rooms, options: str) -> None:
    column = f'sa.Column("state", sa.Enum({{}}, name="state"{options}))'
    file = rooms.write(column.format('"open", "cancelled"'), column.format('"open", "canceled"'))
    assert "RuntimeError" not in file.read_text()
    played = rooms.play("INSERT INTO room (id, state) VALUES (1, 'cancelled')", "SELECT state FROM room")
    assert played == dict.fromkeys(played, ([("canceled",)], [("cancelled",)]))


def test_a_removed_value_is_a_question(rooms: Rooms) -> None:
    column = 'sa.Column("level", sa.Enum({}, name="level"))'
    text = rooms.write(column.format('"read", "write", "own"'), column.format('"read", "own"')).read_text()
    assert text.count("raise RuntimeError(") == 1
    assert "room.level may hold 'write'" in text


def test_a_cast_that_loses_something_is_a_question(rooms: Rooms) -> None:
    text = rooms.write('sa.Column("size", sa.Text)', 'sa.Column("size", sa.Integer)').read_text()
    upgrade, _, downgrade = text.partition("def downgrade")
    assert "room.size changes from " in upgrade
    assert "USING size::integer" in upgrade
    assert "RuntimeError" not in downgrade


def test_a_date_that_becomes_a_moment_stays_one_on_each_backend(rooms: Rooms) -> None:
    file = rooms.write('sa.Column("day", sa.Date)', 'sa.Column("day", sa.DateTime)')
    text = file.read_text()
    at = text.index("    raise RuntimeError")  # the downgrade cuts the time
    file.write_text(text[:at] + text[text.index("\n    )\n", at) + len("\n    )\n") :])
    played = rooms.play("INSERT INTO room (id, day) VALUES (1, '2020-02-29')", "SELECT CAST(day AS TEXT) FROM room")
    assert {str(up).split("'")[1][:19] for up, _ in played.values()} == {"2020-02-29 00:00:00"}
    assert {str(down) for _, down in played.values()} == {"[('2020-02-29',)]"}


def test_a_time_zone_that_comes_or_goes_is_not_that_of_the_session(rooms: Rooms) -> None:
    column = 'sa.Column("moment", sa.DateTime(timezone={}))'
    file = rooms.write(column.format("True"), column.format("False"))
    upgrade, downgrade = (re.sub(r'"\s+"', "", it) for it in file.read_text().split("def downgrade"))
    assert "USING (moment AT TIME ZONE 'UTC')" in upgrade
    assert "USING (moment AT TIME ZONE 'UTC')" in downgrade


def test_rows_are_filled_without_the_lock_of_the_new_column(rooms: Rooms) -> None:
    text = rooms.write("", 'sa.Column("size", sa.Integer, nullable=False)').read_text()
    upgrade = text[: text.index("def downgrade")]
    assert upgrade.index("add_column") < upgrade.index("autocommit_block") < upgrade.index("raise RuntimeError")
