"""Rows are read as values with a meaning, equal on every backend and through every driver and session."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from dormatory.backends.introspection import read_snapshot
from dormatory.dataloss import contents, values
from tests.scratch import BACKENDS, scratch_connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from dormatory.dataloss.values import CellValue


@pytest.fixture
def sqlite(request: pytest.FixtureRequest) -> Iterator[sa.Connection]:
    """A connection to an empty SQLite database."""
    with scratch_connection("sqlite", request) as connection:
        yield connection


@pytest.fixture
def postgresql(request: pytest.FixtureRequest) -> Iterator[sa.Connection]:
    """A connection to an empty PostgreSQL database."""
    with scratch_connection("postgresql", request) as connection:
        yield connection


@pytest.fixture(params=BACKENDS)
def connection(request: pytest.FixtureRequest) -> sa.Connection:
    """A connection to an empty database, once per backend."""
    found: sa.Connection = request.getfixturevalue(request.param)
    return found


def execute(connection: sa.Connection, *statements: str) -> None:
    for statement in statements:  # percent signs in them are no placeholders
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def read_cell(connection: sa.Connection, declared: str, literal: str) -> CellValue:
    execute(connection, f"CREATE TABLE t (x {declared})", f"INSERT INTO t VALUES ({literal})")
    (table,) = contents.read_rows(connection, read_snapshot(connection)).tables
    return table.rows[0][0]


class TestOnPostgreSQL:
    @pytest.mark.parametrize(
        ("declared", "literal", "value"),
        [
            ("integer", "7", 7),
            ("numeric(8, 3)", "1.500", Decimal("1.5")),
            ("numeric", "'NaN'", "NaN"),
            ("double precision", "0.1", 0.1),
            ("double precision", "'NaN'", "NaN"),
            ("boolean", "true", True),
            ("bytea", r"'\x00ff'", b"\x00\xff"),
            ("text", "'a%b:c'", "a%b:c"),
            ("char(5)", "'ab'", "ab"),
            ("uuid", "'0f8fad5b-d9cb-469f-a165-70867728950e'", "0f8fad5b-d9cb-469f-a165-70867728950e"),
            ("timestamp", "'2024-07-01 09:00'", datetime(2024, 7, 1, 9)),  # noqa: DTZ001  # it has no zone
            ("timestamptz", "'2024-07-01 09:00+02'", datetime(2024, 7, 1, 7, tzinfo=UTC)),
            ("timestamptz", "'infinity'", "infinity"),
            ("date", "'0044-03-15 BC'", "0044-03-15 BC"),
            ("text", "NULL", None),
            ("text", "''", ""),
        ],
        ids=lambda value: str(value)[:24],
    )
    def test_a_value_is_read_by_its_type(
        self, postgresql: sa.Connection, declared: str, literal: str, value: CellValue
    ) -> None:
        assert values.is_same_value(read_cell(postgresql, declared, literal), value)

    def test_time_zone_and_date_style_of_the_session_do_not_change_a_timestamp(self, postgresql: sa.Connection) -> None:
        postgresql.exec_driver_sql("SET TIME ZONE 'Asia/Kathmandu'")
        found = read_cell(postgresql, "timestamptz", "'2024-07-01 09:00+02'")
        assert found == datetime(2024, 7, 1, 7, tzinfo=UTC)

    def test_json_is_compared_by_its_meaning(self, postgresql: sa.Connection) -> None:
        postgresql.exec_driver_sql("CREATE TABLE t (x json)")
        postgresql.exec_driver_sql("""INSERT INTO t VALUES ('{"a": 1.0, "b": []}'), ('{"b":[], "a":1}'), ('"1"')""")
        one, same, other = (row[0] for row in contents.read_rows(postgresql, read_snapshot(postgresql)).tables[0].rows)
        assert one == same
        assert one != other

    def test_arrays_are_compared_by_their_items(self, postgresql: sa.Connection) -> None:
        postgresql.exec_driver_sql("CREATE TABLE t (x text[])")
        postgresql.exec_driver_sql("INSERT INTO t VALUES (ARRAY['a,b']), (ARRAY['a','b']), (ARRAY['a,b'])")
        one, other, same = (row[0] for row in contents.read_rows(postgresql, read_snapshot(postgresql)).tables[0].rows)
        assert one == same != other

    def test_rows_of_partitions_and_inheriting_tables_are_read_once(self, postgresql: sa.Connection) -> None:
        for statement in (
            "CREATE TABLE parted (id int) PARTITION BY LIST (id)",
            "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1)",
            "INSERT INTO parted VALUES (1)",
            "CREATE TABLE parent (id int)",
            "CREATE TABLE heir () INHERITS (parent)",
            "INSERT INTO heir VALUES (2)",
        ):
            postgresql.exec_driver_sql(statement)
        found = contents.read_rows(postgresql, read_snapshot(postgresql))
        assert {table.name: table.rows for table in found.tables} == {
            "parted": ((1,),),
            "parent": (),
            "heir": ((2,),),
        }


class TestOnSQLite:
    @pytest.mark.parametrize(
        ("declared", "literal", "value"),
        [
            ("INTEGER", "7", 7),
            ("TEXT", "'7'", "7"),
            ("", "7.5", 7.5),
            ("BLOB", "x'00ff'", b"\x00\xff"),
            ("DATETIME", "'2024-07-01T09:00:00'", datetime(2024, 7, 1, 9)),  # noqa: DTZ001  # it has no zone
            ("DATETIME", "'2024-07-01 09:00:00+02:00'", datetime(2024, 7, 1, 7, tzinfo=UTC)),
            ("DATETIME", "'someday'", "someday"),
            ("CHAR(32)", "'0f8fad5bd9cb469fa16570867728950e'", "0f8fad5bd9cb469fa16570867728950e"),
            ("JSON", "'{not json'", "{not json"),
            ("TEXT", "NULL", None),
        ],
        ids=lambda value: str(value)[:24],
    )
    def test_a_value_is_read_as_it_is_stored(
        self, sqlite: sa.Connection, declared: str, literal: str, value: CellValue
    ) -> None:
        found = read_cell(sqlite, declared, literal)
        assert (type(found), found) == (type(value), value)


class TestOnBoth:
    def test_generated_columns_are_left_out(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE t (a integer, b integer GENERATED ALWAYS AS (a + 1) STORED)")
        connection.exec_driver_sql("INSERT INTO t (a) VALUES (1)")
        (table,) = contents.read_rows(connection, read_snapshot(connection)).tables
        assert (table.columns, table.rows) == (("a",), ((1,),))

    def test_a_limit_reads_the_first_rows_by_key_and_is_reported(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE t (id integer PRIMARY KEY)")
        connection.exec_driver_sql("INSERT INTO t VALUES (3), (1), (2)")
        (table,) = contents.read_rows(connection, read_snapshot(connection), limit=2).tables
        assert (table.rows, table.is_whole) == (((1,), (2,)), False)

    def test_names_are_quoted_and_only_requested_tables_are_read(self, connection: sa.Connection) -> None:
        execute(
            connection,
            'CREATE TABLE "Order" ("select" integer, "per % cent" integer)',
            "CREATE TABLE other (id integer)",
            'INSERT INTO "Order" VALUES (1, 2)',
        )
        schema = read_snapshot(connection)
        found = contents.read_rows(connection, schema, tables=[schema.table("Order")])
        assert found.table("Order").rows == ((1, 2),)
        with pytest.raises(KeyError):
            found.table("other")


class TestCanonicalForm:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (7, "7"),
            (Decimal("7.50"), 7.5),
            (True, 1),
            ("0f8fad5b-d9cb-469f-a165-70867728950e", "0F8FAD5BD9CB469FA16570867728950E"),
            ("2024-07-01T09:00:00", datetime(2024, 7, 1, 9)),  # noqa: DTZ001  # it has no zone
            (-0.0, 0),
        ],
    )
    def test_is_equal_for_the_same_value_in_another_type(self, one: CellValue, other: CellValue) -> None:
        assert values.canonical_form(one) == values.canonical_form(other)

    @pytest.mark.parametrize(("one", "other"), [("7", "07"), (None, ""), ("a", "A"), (1.5, 1)])
    def test_values_differ_where_something_was_lost(self, one: CellValue, other: CellValue) -> None:
        assert values.canonical_form(one) != values.canonical_form(other)


def test_floats_are_compared_with_a_tolerance_and_exact_numbers_without() -> None:
    assert values.is_same_value(0.1 + 0.2, 0.3)
    assert not values.is_same_value(Decimal("0.30"), Decimal("0.31"))
    assert values.is_same_value(Decimal("1.0"), Decimal("1.00"))
    assert not values.is_same_value(None, "")
