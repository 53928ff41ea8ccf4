"""What gives rows their keys is read with its position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.backends.counter import Counter
from dormatory.backends.introspection import read_snapshot
from dormatory.backends.registry import backend_by_name
from tests.scratch import scratch_connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa


@pytest.fixture
def sqlite(request: pytest.FixtureRequest) -> Iterator[sa.Connection]:
    """A connection to SQLite."""
    with scratch_connection("sqlite", request) as connection:
        yield connection


@pytest.fixture
def postgresql(request: pytest.FixtureRequest) -> Iterator[sa.Connection]:
    """A connection to PostgreSQL."""
    with scratch_connection("postgresql", request) as connection:
        yield connection


def counters(connection: sa.Connection, *statements: str) -> tuple[tuple[Counter, ...], dict[str, tuple[str, ...]]]:
    """Return the counters after some statements, and the columns of each table that take their keys from one."""
    for statement in statements:
        connection.exec_driver_sql(statement)
    part = backend_by_name(connection.dialect.name).counters
    tables = read_snapshot(connection).tables
    return part.read_counters(connection), {table.name: part.numbered_columns(table) for table in tables}


def test_sequences_are_read_with_the_columns_that_read_them(postgresql: sa.Connection) -> None:
    found, columns = counters(
        postgresql,
        "CREATE TABLE a (id serial PRIMARY KEY)",
        "CREATE TABLE b (id bigint GENERATED ALWAYS AS IDENTITY (START WITH 7 INCREMENT BY 5))",
        'CREATE SEQUENCE "My Numbers"',
        """CREATE TABLE c (id int DEFAULT nextval('"My Numbers"'), other int DEFAULT 7)""",
        "CREATE SEQUENCE unused",
        "INSERT INTO a DEFAULT VALUES",
        "INSERT INTO a DEFAULT VALUES",
    )
    assert [(it.id[1], it.table and it.table[1], it.column, it.next_value) for it in found] == [
        ("My Numbers", "c", "id", 1),
        ("a_id_seq", "a", "id", 3),
        ("b_id_seq", "b", "id", 7),
        ("unused", None, None, 1),
    ]
    assert columns == {"a": ("id",), "b": ("id",), "c": ("id",)}


def test_a_database_without_counters_has_none(sqlite: sa.Connection) -> None:
    assert counters(sqlite, "CREATE TABLE a (id INTEGER PRIMARY KEY)") == ((), {"a": ()})


def test_the_highest_keys_of_autoincrement_tables_are_read(sqlite: sa.Connection) -> None:
    found, columns = counters(
        sqlite,
        "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, x int)",
        "CREATE TABLE b (id INTEGER PRIMARY KEY AUTOINCREMENT)",
        "INSERT INTO a VALUES (41, 1)",
        "DELETE FROM a",
    )
    assert found == (Counter((None, "a"), (None, "a"), None, 41, never_repeats=True),)
    assert found[0].next_value == 42
    assert columns == {"a": ("id",), "b": ("id",)}


def test_sequences_are_set_back(postgresql: sa.Connection) -> None:
    before, _ = counters(
        postgresql,
        "CREATE TABLE a (id serial PRIMARY KEY)",
        "CREATE TABLE b (id bigint GENERATED ALWAYS AS IDENTITY (START WITH 7))",
        "INSERT INTO a DEFAULT VALUES",
        "ALTER SEQUENCE b_id_seq RESTART WITH 500",
    )
    changed, _ = counters(postgresql, "INSERT INTO a DEFAULT VALUES", "INSERT INTO b DEFAULT VALUES")
    assert changed != before
    backend_by_name("postgresql").counters.restore_counters(postgresql, [("public", "a"), ("public", "b")], before)
    assert counters(postgresql)[0] == before


def test_autoincrement_counters_are_set_back_or_forgotten(sqlite: sa.Connection) -> None:
    part = backend_by_name("sqlite").counters
    part.restore_counters(sqlite, [(None, "a")], ())  # there is no table of counters yet
    before, _ = counters(
        sqlite,
        "CREATE TABLE a (id integer PRIMARY KEY AUTOINCREMENT)",
        "CREATE TABLE b (id integer PRIMARY KEY AUTOINCREMENT)",
        "INSERT INTO a VALUES (5)",
    )
    changed, _ = counters(sqlite, "INSERT INTO a VALUES (9)", "INSERT INTO b VALUES (9)")
    assert changed != before
    part.restore_counters(sqlite, [(None, "a"), (None, "b")], before)
    assert counters(sqlite)[0] == before
