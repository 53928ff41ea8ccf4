"""SQLite reports which tables are written, including by statements that SQLAlchemy does not see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.registry import backend_for
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.backends.sqlite.tracer import collect_written_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

SCHEMA = (
    "CREATE TABLE owners (id INTEGER PRIMARY KEY)",
    "CREATE TABLE pets (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES owners (id) ON DELETE CASCADE)",
    "CREATE TABLE toys (id INTEGER PRIMARY KEY, pet INTEGER REFERENCES pets (id) ON DELETE SET NULL)",
    "CREATE TABLE log (said TEXT)",
    "CREATE TABLE zoo (id INTEGER PRIMARY KEY)",
    "CREATE TRIGGER note AFTER INSERT ON zoo BEGIN INSERT INTO log VALUES (new.id); END",
)


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    """A connection to a SQLite database with a few tables, which enforces foreign keys."""
    with scratch_sqlite() as target, backend_for(target).engine(target, writing=True).connect() as opened:
        opened.connection.cursor().execute("PRAGMA foreign_keys = ON")
        for statement in SCHEMA:
            opened.exec_driver_sql(statement)
        yield opened


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("UPDATE owners SET id = id + 1", {"owners"}),
        ("DELETE FROM owners", {"owners", "pets", "toys"}),
        ("INSERT INTO zoo VALUES (1)", {"zoo", "log"}),
        ("SELECT * FROM owners", set()),
    ],
)
def test_writes_of_a_driver_cursor_and_their_cascades_are_collected(
    connection: sa.Connection, statement: str, tables: set[str]
) -> None:
    with collect_written_tables(connection) as found:
        connection.connection.cursor().execute(statement)
    assert found is not None
    assert tables <= {name for _, name in found} <= tables | {"owners", "pets", "toys"}
    assert bool(found) is bool(tables)


def test_writes_of_a_statement_compiled_earlier_are_collected(connection: sa.Connection) -> None:
    connection.exec_driver_sql("UPDATE owners SET id = 2")
    with collect_written_tables(connection) as found:
        connection.exec_driver_sql("UPDATE owners SET id = 2")
    assert found is not None
    assert (None, "owners") in found


def test_renamed_tables_are_collected(connection: sa.Connection) -> None:
    with collect_written_tables(connection) as found:
        for old, new in (("owners", "spare"), ("zoo", "owners"), ("spare", "zoo")):
            connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")
    assert found is not None
    assert {"owners", "zoo"} <= {name for _, name in found}


def test_nothing_is_collected_after_the_block(connection: sa.Connection) -> None:
    with collect_written_tables(connection) as found:
        pass
    connection.exec_driver_sql("DELETE FROM log")
    assert found == set()


def test_no_tables_are_collected_on_another_backend(postgres_server: throwaway.Server) -> None:
    with (
        throwaway.scratch_postgresql(postgres_server) as target,
        backend_for(target).engine(target, writing=True).connect() as opened,
        collect_written_tables(opened) as found,
    ):
        assert found is None
