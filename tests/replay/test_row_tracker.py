"""The row tracker reads again only what a leg may have changed, and finds the losses that a full read finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.backends.introspection import read_snapshot
from dormatory.backends.registry import dialect_by_name
from dormatory.dataloss import contents
from dormatory.dataloss.detect import detect_losses
from dormatory.dataloss.model import DatabaseState, RoundTrip
from dormatory.recording.leg import Direction, Statement
from dormatory.replay.row_filler import RowFiller
from dormatory.replay.row_tracker import RowTracker
from tests.scratch import BACKENDS, scratch_connection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import sqlalchemy as sa

    from dormatory.dataloss.contents import Contents
    from dormatory.recording.loss import Loss
    from dormatory.schema.snapshot import Snapshot

OWNERS = "CREATE TABLE owners (id integer PRIMARY KEY, name varchar(40) NOT NULL)"
PETS = (
    "CREATE TABLE pets (id integer PRIMARY KEY, owner_id integer NOT NULL REFERENCES owners (id) ON DELETE CASCADE,"
    " name varchar(80), born date)"
)
ZOO = "CREATE TABLE zoo (id integer PRIMARY KEY, title varchar(20))"
ALL = (OWNERS, PETS, ZOO)
SPLIT = ("ALTER TABLE owners ADD COLUMN nick varchar(40)", "UPDATE owners SET nick = substr(name, 1, 3)")


class TrackedDatabase:
    """A database on which a revision, given as SQL, makes its round trip with tracked rows."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection, self.dialect = connection, dialect_by_name(connection.dialect.name)
        self.tracker = RowTracker(self.dialect)
        self.filler = RowFiller(self.tracker, self.dialect)
        self.tables_read: list[set[str]] = []  # by each reading

    def execute(self, *statements: str) -> tuple[Statement, ...]:
        for statement in statements:
            self.connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
        return tuple(Statement(sql, (), "x.py", line, 0.0, -1) for line, sql in enumerate(statements, start=1))

    def schema(self) -> Snapshot:
        return read_snapshot(self.connection)

    def full_state(self) -> DatabaseState:
        return DatabaseState(self.schema(), contents.read_rows(self.connection, self.schema()))

    def begin_trip(self, schema: Snapshot | None = None) -> None:
        """Fill the empty tables, and begin a round trip."""
        schema = schema or self.schema()
        self.tracker.read_unknown(self.connection, schema)
        self.filler.prepare(self.connection, schema, None)
        self.tracker.begin_trip(schema)

    def record_upgrade(self, statements: tuple[Statement, ...]) -> None:
        """Record an upgrade that may have written to any table, and add rows to the tables that it changed."""
        schema = self.schema()
        self.tracker.record_leg(self.connection, schema, Direction.UPGRADE, statements, None)
        self.filler.fill_changed_tables(self.connection, schema)

    def round_trip(self, up: Sequence[str], down: Sequence[str]) -> tuple[Loss, ...]:
        """Make a tracked round trip, and return the losses found in all rows of all tables."""
        self.begin_trip()
        before = self.full_state()
        upgrade = self.execute(*up)
        upgraded = self.full_state()
        self.record_upgrade(upgrade)
        filled = self.full_state().contents
        downgrade = self.execute(*down)
        downgraded = self.full_state()
        self.tracker.record_leg(self.connection, downgraded.schema, Direction.DOWNGRADE, downgrade, None)
        again = self.execute(*up)
        last = self.full_state()
        self.tracker.record_leg(self.connection, last.schema, Direction.SECOND_UPGRADE, again, None)
        trip = RoundTrip(self.dialect, before, upgrade, upgraded, filled, downgrade, downgraded, again, last)
        return detect_losses(trip)


@pytest.fixture(params=BACKENDS)
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrackedDatabase]:
    """A database of each backend that notes which tables are read."""
    with scratch_connection(request.param, request) as connection:
        found = TrackedDatabase(connection)
        read = contents.read_rows

        def read_and_record(connection: sa.Connection, schema: Snapshot, **options: object) -> Contents:
            rows_read = read(connection, schema, **options)  # type: ignore[arg-type]
            if "tables" in options:
                found.tables_read.append({it.name for it in rows_read.tables})
            return rows_read

        monkeypatch.setattr(contents, "read_rows", read_and_record)
        yield found


class TestReading:
    def test_all_tables_are_read_once_and_then_those_that_a_leg_wrote_or_changed(
        self, database: TrackedDatabase
    ) -> None:
        database.execute(*ALL)
        schema = database.schema()
        database.begin_trip()
        assert database.tables_read == [{"owners", "pets", "zoo"}, {"owners"}, {"pets"}, {"zoo"}]  # empty, then filled
        database.tables_read.clear()
        zoo = schema.table("zoo")
        database.tracker.record_leg(database.connection, schema, Direction.UPGRADE, (), {zoo.id})
        database.execute("ALTER TABLE pets ADD COLUMN tail integer")
        database.tracker.record_leg(database.connection, database.schema(), Direction.DOWNGRADE, (), ())
        assert database.tables_read == [{"zoo"}, {"pets"}]

    def test_all_tables_are_read_if_the_written_ones_are_unknown(self, database: TrackedDatabase) -> None:
        database.execute(*ALL)
        schema = database.schema()
        database.begin_trip()
        database.tables_read.clear()
        database.tracker.record_leg(database.connection, schema, Direction.UPGRADE, (), None)
        assert database.tables_read == [{"owners", "pets", "zoo"}]

    def test_the_next_round_trip_reads_no_table_again(self, database: TrackedDatabase) -> None:
        database.execute(*ALL)
        assert database.round_trip(SPLIT, ("ALTER TABLE owners DROP COLUMN nick",)) == ()
        database.tables_read.clear()
        database.begin_trip()
        assert database.tables_read == [set()]


class TestLosses:
    @pytest.mark.parametrize(
        ("up", "down"),
        [
            (SPLIT, ("ALTER TABLE owners DROP COLUMN nick",)),
            (("UPDATE owners SET name = 'same'",), ()),
            (("DELETE FROM owners",), ()),
            (("ALTER TABLE pets RENAME TO animals",), ("ALTER TABLE animals RENAME TO pets",)),
            (("CREATE TABLE names AS SELECT name FROM pets", "ALTER TABLE pets DROP COLUMN name"),
             ("ALTER TABLE pets ADD COLUMN name varchar(80)", "DROP TABLE names")),
            (("INSERT INTO zoo (id, title) VALUES ((SELECT max(id) + 1 FROM zoo), 'new')",), ()),
            (("CREATE TABLE toys (id integer PRIMARY KEY, pet integer REFERENCES pets (id))",), ("DROP TABLE toys",)),
            (("ALTER TABLE zoo ADD COLUMN pet_id integer", "UPDATE zoo SET pet_id = 7"),
             ("ALTER TABLE zoo DROP COLUMN pet_id",)),
        ],
        ids=["split", "flattened", "emptied", "renamed", "moved", "repeated", "created", "unrelated"],
    )  # fmt: skip
    def test_losses_are_those_of_a_full_read(
        self, database: TrackedDatabase, up: Sequence[str], down: Sequence[str]
    ) -> None:
        database.execute(*ALL)
        assert database.tracker.losses() == ()
        whole = database.round_trip(up, down)
        assert database.tracker.losses() == whole

    def test_lost_rows_are_detected(self, database: TrackedDatabase) -> None:
        database.execute(*ALL)
        database.round_trip(("DELETE FROM owners",), ())
        assert "owners" in {loss.table.rpartition(".")[2] for loss in database.tracker.losses()}


class TestFilling:
    def test_a_table_that_cannot_be_filled_is_tried_again_only_when_something_changed(
        self, database: TrackedDatabase
    ) -> None:
        database.execute("CREATE TABLE narrow (id integer PRIMARY KEY, x integer NOT NULL CHECK (x > 5 AND x < 3))")
        schema = database.schema()
        database.begin_trip(schema)
        (table,) = database.filler.unfilled
        assert table.endswith("narrow")
        database.filler.unfilled.clear()
        database.begin_trip(schema)
        assert database.filler.unfilled == {}
        database.execute(
            "DROP TABLE narrow", "CREATE TABLE narrow (id integer PRIMARY KEY, x integer NOT NULL CHECK (x > 5))"
        )
        database.begin_trip()
        assert database.full_state().contents.table("narrow").rows

    def test_a_table_that_is_filled_later_is_no_longer_named(self, database: TrackedDatabase) -> None:
        database.execute("CREATE TABLE narrow (id integer PRIMARY KEY, x integer NOT NULL CHECK (x > 5 AND x < 3))")
        database.begin_trip()
        assert database.filler.unfilled
        database.execute("DROP TABLE narrow", "CREATE TABLE narrow (id integer PRIMARY KEY)")
        database.begin_trip()
        assert database.filler.unfilled == {}

    def test_extremes_are_inserted_unless_turned_off(self, database: TrackedDatabase) -> None:
        database.execute(OWNERS)
        database.filler.with_extremes = False
        database.begin_trip()
        plain = {row[1] for row in database.full_state().contents.table("owners").rows}
        assert "" not in plain
        database.execute(ZOO)
        database.filler.with_extremes = True
        database.begin_trip()
        assert "" in {row[1] for row in database.full_state().contents.table("zoo").rows}

    def test_a_widened_column_gets_no_extremes_after_the_upgrade(self, database: TrackedDatabase) -> None:
        database.execute(ZOO)
        database.begin_trip()
        wider = {
            "sqlite": (
                "DROP TABLE zoo",
                "CREATE TABLE zoo (id integer PRIMARY KEY, title varchar(90), note varchar(9))",
            ),
            "postgresql": (
                "ALTER TABLE zoo ALTER COLUMN title TYPE varchar(90)",
                "ALTER TABLE zoo ADD COLUMN note varchar(9)",
            ),
        }[database.connection.dialect.name]
        statements = database.execute(*wider)
        database.record_upgrade(statements)
        rows = database.full_state().contents.table("zoo").rows
        assert max(len(str(title)) for _, title, _ in rows) <= 20
        assert {"ü" * 9, ""}.isdisjoint(note for *_, note in rows)
        assert len({note for *_, note in rows}) > 2
