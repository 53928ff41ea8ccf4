"""The SQL that turns one structure of an SQLite database into another, and back, with the rows."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError

from dormatory.backends.introspection import read_snapshot
from dormatory.backends.sqlite.alter import alter_statements
from dormatory.schema.diff import diff

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dormatory.schema.alteration import ColumnId
    from dormatory.schema.snapshot import Snapshot

BUILDING = (
    "CREATE TABLE building (id INTEGER NOT NULL, code VARCHAR(8) NOT NULL, CONSTRAINT pk_building PRIMARY KEY (id))"
)
ROOM = "CREATE TABLE room (id INTEGER NOT NULL PRIMARY KEY, label TEXT, floor INTEGER)"
BED = "CREATE TABLE bed (id INTEGER NOT NULL PRIMARY KEY, room_id INTEGER REFERENCES room (id) ON DELETE CASCADE)"
CELLAR = (
    "CREATE TRIGGER tr AFTER UPDATE OF floor ON room WHEN new.floor < 0"
    " BEGIN UPDATE room SET label = 'cellar' WHERE id = new.id; SELECT raise(abort, 'No; never') WHERE 0; END"
)


def room(*parts: str, options: str = "") -> str:
    body = ", ".join(("id INTEGER NOT NULL PRIMARY KEY, label TEXT, floor INTEGER", *parts))
    return f"CREATE TABLE room ({body}){options}"


# Name: the structure before, and after.
CASES: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "nothing": ([ROOM], [ROOM]),
    "table": ([], [ROOM, "CREATE INDEX ix_room_label ON room (label)"]),
    "table and its parent": ([], [ROOM, BED]),
    "column at the end": ([ROOM], [room("area NUMERIC(10, 2)")]),
    "two columns at the end": ([ROOM], [room("area NUMERIC(10, 2)", "note TEXT DEFAULT 'it''s: free' NOT NULL")]),
    "column in between": ([ROOM], ["CREATE TABLE room (id INTEGER PRIMARY KEY, label TEXT, area REAL, floor INTEGER)"]),
    "column with a number as default": (
        [ROOM],
        [room("area INTEGER DEFAULT -1 NOT NULL", "share REAL DEFAULT 1.5e-3")],
    ),
    "column with a clock as default": ([ROOM], [room("made DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL")]),
    "column with an expression as default": ([ROOM], [room("made DATETIME DEFAULT (datetime('now', '+1 day'))")]),
    "column with a boolean default": ([ROOM], [room("open BOOLEAN DEFAULT TRUE NOT NULL")]),
    "column with a blob as default": ([ROOM], [room("seal BLOB DEFAULT X'00ff'")]),
    "column with a foreign key": (
        [BUILDING, ROOM],
        [BUILDING, room("building_id INTEGER", "CONSTRAINT fk FOREIGN KEY (building_id) REFERENCES building (id)")],
    ),
    "column with a foreign key and a default": (
        [BUILDING, ROOM],
        [BUILDING, room("building_id INTEGER DEFAULT 1 REFERENCES building (id) ON DELETE SET NULL")],
    ),
    "column with a check": ([ROOM], [room("area REAL", "CONSTRAINT ck_area CHECK (area > 0 AND floor > -9)")]),
    "column that is unique": ([ROOM], [room("code TEXT", "CONSTRAINT uq_room_code UNIQUE (code)")]),
    "column with a collation": ([ROOM], [room("name TEXT COLLATE NOCASE")]),
    "generated column, virtual": ([ROOM], [room("double INTEGER GENERATED ALWAYS AS (floor * 2) VIRTUAL")]),
    "generated column, stored": ([ROOM], [room("double INTEGER GENERATED ALWAYS AS (floor * 2) STORED")]),
    "generated column with another expression": (
        [room("double INTEGER AS (floor * 2) STORED", "note TEXT")],
        [room("double INTEGER AS (floor + floor) STORED", "note TEXT")],
    ),
    "generated column becomes a plain one": (
        [room("double INTEGER AS (floor * 2) STORED")],
        [room("double INTEGER")],
    ),
    "not null": ([ROOM], ["CREATE TABLE room (id INTEGER PRIMARY KEY, label TEXT NOT NULL, floor INTEGER)"]),
    "default": ([ROOM], ["CREATE TABLE room (id INTEGER PRIMARY KEY, label TEXT DEFAULT 'x', floor INTEGER)"]),
    "type": ([ROOM], ["CREATE TABLE room (id INTEGER PRIMARY KEY, label VARCHAR(40), floor BIGINT)"]),
    "collation": ([ROOM], ["CREATE TABLE room (id INTEGER PRIMARY KEY, label TEXT COLLATE NOCASE, floor INTEGER)"]),
    "order of the columns": ([ROOM], ["CREATE TABLE room (floor INTEGER, label TEXT, id INTEGER PRIMARY KEY)"]),
    "case of a name": ([ROOM], ['CREATE TABLE "Room" (id INTEGER PRIMARY KEY, "Label" TEXT, floor INTEGER)']),
    "constraints of every kind": (
        [BUILDING, ROOM],
        [
            BUILDING,
            room(
                "CONSTRAINT ck_floor CHECK (floor BETWEEN -2 AND 40)",
                "CHECK (label <> '')",
                "CONSTRAINT uq_label UNIQUE (label, floor)",
                "CONSTRAINT fk_floor FOREIGN KEY (floor) REFERENCES building (id)"
                " ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED",
            ),
        ],
    ),
    "enumeration with another value": (
        [room("kind VARCHAR(6) CONSTRAINT kind CHECK (kind IN ('single', 'shared'))")],
        [room("kind VARCHAR(6) CONSTRAINT kind CHECK (kind IN ('single', 'shared', 'none'))")],
    ),
    "names with capitals": (
        [ROOM],
        [
            room(
                '"buildingId" INTEGER',
                '"order" INTEGER',
                """CONSTRAINT "Ck" CHECK ("buildingId" > 0 AND "order" <> 'buildingId')""",
                'UNIQUE ("buildingId", "order")',
            ),
            'CREATE INDEX "Ix" ON room ("buildingId" DESC, lower(label)) WHERE "buildingId" > 1',
        ],
    ),
    "conflict clauses": (
        [ROOM],
        [room("code TEXT NOT NULL ON CONFLICT IGNORE DEFAULT 'c'", "UNIQUE (label) ON CONFLICT REPLACE")],
    ),
    "primary key of two columns": (
        ["CREATE TABLE stay (a INTEGER NOT NULL, b TEXT NOT NULL, PRIMARY KEY (a))"],
        ["CREATE TABLE stay (a INTEGER NOT NULL, b TEXT NOT NULL, CONSTRAINT pk_stay PRIMARY KEY (a, b))"],
    ),
    "key that is not the rowid": (
        ["CREATE TABLE stay (a INTEGER PRIMARY KEY, b TEXT)"],
        ["CREATE TABLE stay (a INTEGER CONSTRAINT pk_stay PRIMARY KEY DESC, b TEXT)"],
    ),
    "AUTOINCREMENT": ([ROOM], ["CREATE TABLE room (id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT, floor INTEGER)"]),
    "WITHOUT ROWID": ([ROOM], [room(options=" WITHOUT ROWID")]),
    "STRICT": ([ROOM], [room(options=" STRICT, WITHOUT ROWID")]),
    "indexes": (
        [ROOM, "CREATE INDEX ix_one ON room (label)", "CREATE INDEX ix_two ON room (floor)"],
        [ROOM, "CREATE UNIQUE INDEX ix_one ON room (label COLLATE NOCASE DESC, floor + 1) WHERE floor > 0"],
    ),
    "index that moves to another table": (
        [ROOM, BUILDING, "CREATE INDEX ix ON room (label)"],
        [ROOM, BUILDING, "CREATE INDEX ix ON building (code)"],
    ),
    "indexes and triggers of a rebuilt table": (
        [
            ROOM,
            "CREATE INDEX ix ON room (lower(label), floor DESC) WHERE floor > 0",
            CELLAR,
        ],
        [
            room("CHECK (floor < 99)"),
            "CREATE INDEX ix ON room (lower(label), floor DESC) WHERE floor > 0",
            CELLAR,
        ],
    ),
    "trigger of another table": (
        [
            ROOM,
            BED,
            "CREATE TRIGGER tr AFTER INSERT ON bed BEGIN UPDATE room SET floor = 1 WHERE id = new.room_id; END",
        ],
        [
            room("CHECK (floor < 99)"),
            BED,
            "CREATE TRIGGER tr AFTER INSERT ON bed BEGIN UPDATE room SET floor = 1 WHERE id = new.room_id; END",
        ],
    ),
    "trigger": (
        [ROOM, "CREATE TRIGGER tr AFTER INSERT ON room BEGIN UPDATE room SET floor = 1; END"],
        [ROOM, "CREATE TRIGGER tr AFTER INSERT ON room BEGIN UPDATE room SET floor = 2; END"],
    ),
    "view": ([ROOM], [ROOM, "CREATE VIEW rooms AS SELECT id, label FROM room WHERE label <> 'Attic'"]),
    "views and their triggers on a rebuilt table": (
        [
            ROOM,
            "CREATE VIEW rooms (number) AS SELECT id FROM room",
            "CREATE VIEW more AS SELECT number FROM rooms",
            "CREATE TRIGGER tr INSTEAD OF INSERT ON more BEGIN INSERT INTO room (id) VALUES (new.number); END",
        ],
        [
            room("CHECK (floor < 99)"),
            "CREATE VIEW rooms (number) AS SELECT id FROM room",
            "CREATE VIEW more AS SELECT number FROM rooms",
            "CREATE TRIGGER tr INSTEAD OF INSERT ON more BEGIN INSERT INTO room (id) VALUES (new.number); END",
        ],
    ),
    "view of a dropped column": (
        [room("area REAL"), "CREATE VIEW rooms AS SELECT id, area FROM room"],
        [ROOM, "CREATE VIEW rooms AS SELECT id, 0 FROM room"],
    ),
    "table becomes a view": ([BUILDING, ROOM], [ROOM, "CREATE VIEW building AS SELECT id FROM room"]),
    "parent and child are rebuilt": (
        [ROOM, BED],
        [
            room("CHECK (floor < 99)"),
            BED.replace("room_id INTEGER", "room_id INTEGER NOT NULL"),
        ],
    ),
    "foreign keys in a circle": (
        ["CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER)", "CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER)"],
        [
            "CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER CONSTRAINT fk_b REFERENCES b (id))",
            "CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER CONSTRAINT fk_a REFERENCES a (id))",
        ],
    ),
    "reference to itself": (
        [room("above INTEGER")],
        [room("above INTEGER CONSTRAINT fk_above REFERENCES room (id)")],
    ),
    "table name in its own constraint": ([ROOM], [room("CHECK (room.floor > 0)")]),
    "all columns but the key": ([ROOM], ["CREATE TABLE room (id INTEGER PRIMARY KEY, other TEXT)"]),
    "the only column": (["CREATE TABLE stay (a TEXT)"], ["CREATE TABLE stay (b TEXT)"]),
    "all columns": (
        ["CREATE TABLE stay (a TEXT)"],
        ["CREATE TABLE stay (x INTEGER DEFAULT 7 NOT NULL, y INTEGER AS (x) STORED)"],
    ),
}

VALUES = ("1", "2", "3")


@contextmanager
def database(*statements: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        yield connection
    engine.dispose()


def snapshot_of(*statements: str) -> Snapshot:
    with database(*statements) as connection:
        return read_snapshot(connection)


def fill(connection: sa.Connection) -> None:
    """Write three rows into each table, with the same number in every column but for texts that a CHECK wants."""
    for table in read_snapshot(connection).tables:
        names = [column.name for column in table.columns if not column.generated]
        for value in VALUES:
            values = ", ".join("'shared'" if name == "kind" else value for name in names)
            columns = ", ".join(f'"{name}"' for name in names)
            connection.exec_driver_sql(f'INSERT INTO "{table.name}" ({columns}) VALUES ({values})')


def rows(connection: sa.Connection, *structures: Snapshot) -> Mapping[str, object]:
    """Return for each table that all structures have the values of the columns that all of them store."""
    found: dict[str, object] = {}
    for name in set.intersection(*({table.name.lower() for table in it.tables} for it in structures)):
        tables = [next(table for table in it.tables if table.name.lower() == name) for it in structures]
        columns = set.intersection(*({it.name.lower() for it in table.columns if not it.generated} for table in tables))
        selected = ", ".join(f'CAST("{column}" AS TEXT)' for column in sorted(columns)) or "count(*)"
        found[name] = sorted(tuple(row) for row in connection.exec_driver_sql(f'SELECT {selected} FROM "{name}"'))
    return found


def alter(connection: sa.Connection, after: Snapshot, conversions: Mapping[ColumnId, str] | None = None) -> list[str]:
    """Give the database another structure; return the statements."""
    statements = [it.sql for it in alter_statements(read_snapshot(connection), after, conversions or {})]
    for statement in statements:
        connection.exec_driver_sql(statement)
    return statements


@pytest.mark.parametrize("way", ["there", "back"])
@pytest.mark.parametrize("name", CASES)
def test_a_structure_becomes_the_other_one_with_its_rows(name: str, way: str) -> None:
    old, new = CASES[name] if way == "there" else reversed(CASES[name])
    before, after = snapshot_of(*old), snapshot_of(*new)
    with database(*old) as connection:
        fill(connection)
        expected = rows(connection, before, after)
        alter(connection, after)
        found = read_snapshot(connection)
        assert diff(found, after) == ()
        assert found == after
        assert rows(connection, before, after) == expected
        assert not alter(connection, after)


# Name: the structure before, after, and how the statements begin.
SHORT_CASES: dict[str, tuple[Sequence[str], Sequence[str], list[str]]] = {
    "plain column": ([ROOM], [room("area REAL")], ["ALTER TABLE room ADD COLUMN"]),
    "column with a reference": (
        [BUILDING, ROOM],
        [BUILDING, room("building_id INTEGER REFERENCES building (id)")],
        ["ALTER TABLE room ADD COLUMN building_id INTEGER REFERENCES building"],
    ),
    "dropped column": ([room("area REAL")], [ROOM], ["ALTER TABLE room DROP COLUMN area"]),
    "index": ([ROOM], [ROOM, "CREATE INDEX ix ON room (label)"], ["CREATE INDEX ix"]),
    "default": (
        [ROOM, "CREATE INDEX ix ON room (floor)"],
        [ROOM.replace("label TEXT", "label TEXT DEFAULT 'x'"), "CREATE INDEX ix ON room (floor)"],
        ["CREATE TABLE _alembic_tmp_room", "INSERT INTO _alembic_tmp_room", "DROP TABLE room",
         "ALTER TABLE _alembic_tmp_room RENAME TO room", "CREATE INDEX ix"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHORT_CASES)
def test_a_table_is_rebuilt_only_where_sqlite_cannot_alter_it(name: str) -> None:
    old, new, expected = SHORT_CASES[name]
    statements = [it.sql for it in alter_statements(snapshot_of(*old), snapshot_of(*new))]
    assert len(statements) == len(expected)
    assert [
        statement for statement, start in zip(statements, expected, strict=True) if not statement.startswith(start)
    ] == []


def test_a_column_takes_its_values_from_a_conversion() -> None:
    after = snapshot_of("CREATE TABLE room (id INTEGER PRIMARY KEY, label TEXT NOT NULL, level TEXT NOT NULL)")
    with database(ROOM, "INSERT INTO room VALUES (1, NULL, 3), (2, 'b', 4)") as connection:
        alter(
            connection, after, {((None, "room"), "label"): "coalesce(label, '?')", ((None, "room"), "level"): "floor"}
        )
        assert connection.exec_driver_sql("SELECT * FROM room").all() == [(1, "?", "3"), (2, "b", "4")]


def test_rows_without_a_value_for_a_new_column_are_refused() -> None:
    after = snapshot_of(room("area REAL NOT NULL"))
    error = r"NOT NULL constraint failed: _alembic_tmp_room\.area"
    with (
        database(ROOM, "INSERT INTO room VALUES (1, 'a', 3)") as connection,
        pytest.raises(IntegrityError, match=error),
    ):
        alter(connection, after)


@pytest.mark.parametrize("kept", [7, 1])
def test_a_counter_stays_where_it_was(kept: int) -> None:
    """The counter remembers rows that are gone; the table may have none left."""
    counted = "CREATE TABLE room (id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT{})"
    after = snapshot_of(counted.format(", CHECK (label <> '')"))
    inserted = "INSERT INTO room VALUES (1, 'a'), (9, 'b')"
    with database(counted.format(""), inserted, f"DELETE FROM room WHERE id >= {kept}") as connection:
        alter(connection, after)
        connection.exec_driver_sql("INSERT INTO room (label) VALUES ('c')")
        assert connection.exec_driver_sql("SELECT max(id) FROM room").scalar_one() == 10
        assert connection.exec_driver_sql("SELECT * FROM sqlite_sequence").all() == [("room", 10)]


def test_rows_of_other_tables_are_not_deleted_by_a_rebuild() -> None:
    after = snapshot_of(room("CHECK (floor < 99)"), BED)
    inserted = "INSERT INTO room VALUES (1, 'a', 3)", "INSERT INTO bed VALUES (5, 1)"
    with database("PRAGMA foreign_keys = ON", ROOM, BED, *inserted) as connection:
        with pytest.raises(OperationalError, match="to drop room would delete rows of bed"):
            alter(connection, after)
        assert connection.exec_driver_sql("SELECT * FROM bed").all() == [(5, 1)]
        connection.exec_driver_sql("DELETE FROM bed")
        alter(connection, after)
        assert connection.exec_driver_sql("SELECT * FROM room").all() == [(1, "a", 3)]
        assert read_snapshot(connection) == after


def test_sqlalchemy_reads_the_names_as_they_were_declared() -> None:
    after = snapshot_of(
        'CREATE TABLE "Building" (id INTEGER PRIMARY KEY)',
        room(
            '"buildingId" INTEGER NOT NULL REFERENCES "Building" (id)',
            '"Label2" TEXT',
            'UNIQUE ("buildingId", "Label2")',
            'CHECK ("buildingId" > 0)',
        ),
        'CREATE INDEX "Ix" ON room ("Label2")',
    )
    with database(ROOM) as connection:
        alter(connection, after)
        inspector = sa.inspect(connection)
        assert [it["column_names"] for it in inspector.get_unique_constraints("room")] == [["buildingId", "Label2"]]
        assert [it["column_names"] for it in inspector.get_indexes("room")] == [["Label2"]]
        assert [it["sqltext"] for it in inspector.get_check_constraints("room")] == ['"buildingId" > 0']
        (key,) = inspector.get_foreign_keys("room")
        assert (key["constrained_columns"], key["referred_table"]) == (["buildingId"], "Building")


def test_a_virtual_table_stays_as_it_is() -> None:
    with database(ROOM, "CREATE VIRTUAL TABLE note USING fts5 (body)", "INSERT INTO note VALUES ('a')") as connection:
        alter(connection, snapshot_of(room("area REAL")))
        assert connection.exec_driver_sql("SELECT * FROM note").all() == [("a",)]
