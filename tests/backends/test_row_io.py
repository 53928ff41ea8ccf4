"""Rows that are read as they are stored come back exactly, whatever triggers and foreign keys would do meanwhile."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from dormatory.backends.registry import backend_by_name
from tests.scratch import BACKENDS, scratch_connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from dormatory.backends.row_io import RowWriter

TABLES = (
    """CREATE TABLE "Lot" (id integer PRIMARY KEY, price numeric(9, 2), title text,
    twice integer GENERATED ALWAYS AS (id * 2) STORED)""",
    'CREATE TABLE bid (id integer PRIMARY KEY, lot_id integer NOT NULL REFERENCES "Lot" (id) ON DELETE CASCADE)',
    "CREATE TABLE log (what text)",
    """INSERT INTO "Lot" (id, price, title) VALUES (1, 1.50, 'it''s 5% \\ off'), (2, NULL, '')""",
    "INSERT INTO bid VALUES (7, 1), (8, 2)",
)
TRIGGERS = {
    "sqlite": (
        """CREATE TRIGGER noted AFTER INSERT ON "Lot" BEGIN INSERT INTO log VALUES (NEW.title); END""",
        """CREATE TRIGGER kept BEFORE DELETE ON "Lot" BEGIN SELECT RAISE(ABORT, 'lots are kept'); END""",
    ),
    "postgresql": (
        """CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN INSERT INTO log VALUES (TG_OP); RETURN NULL; END $$""",
        """CREATE TRIGGER noted AFTER INSERT OR DELETE ON "Lot" FOR EACH ROW EXECUTE FUNCTION note()""",
        """CREATE RULE kept AS ON DELETE TO "Lot" DO INSTEAD NOTHING""",
    ),
}
NAMESPACES = {"sqlite": None, "postgresql": "public"}


@pytest.fixture(params=BACKENDS)
def connection(request: pytest.FixtureRequest) -> Iterator[sa.Connection]:
    """A database of each backend with rows, triggers that would change them and rules that would keep them."""
    with scratch_connection(request.param, request) as connected:
        for statement in (*TABLES, *TRIGGERS[request.param]):
            connected.exec_driver_sql(statement, execution_options={"no_parameters": True})
        yield connected


@pytest.fixture
def writer(connection: sa.Connection) -> Iterator[RowWriter]:
    """A writer on the connection."""
    with closing(backend_by_name(connection.dialect.name).row_io.row_writer(connection)) as found:
        yield found


def table_id(connection: sa.Connection, name: str) -> tuple[str | None, str]:
    return NAMESPACES[connection.dialect.name], name


def test_only_tables_with_rows_are_read_and_no_generated_column(connection: sa.Connection, writer: RowWriter) -> None:
    stored = writer.stored_rows()
    assert set(stored) == {table_id(connection, name) for name in ("Lot", "bid")}
    assert stored[table_id(connection, "Lot")].columns == ("id", "price", "title")


def test_rows_are_put_back_without_triggers_rules_and_foreign_keys(
    connection: sa.Connection, writer: RowWriter
) -> None:
    stored, lot = writer.stored_rows(), table_id(connection, "Lot")
    connection.exec_driver_sql("""UPDATE "Lot" SET title = 'changed'""")
    connection.exec_driver_sql("""INSERT INTO log VALUES ('noise')""")
    log_before = connection.exec_driver_sql("SELECT * FROM log").all()
    writer.replace_rows([lot], stored)
    assert writer.stored_rows()[lot] == stored[lot]
    assert connection.exec_driver_sql("SELECT count(*) FROM bid").scalar_one() == 2
    assert connection.exec_driver_sql("SELECT * FROM log").all() == log_before


def test_triggers_fire_again_afterwards(connection: sa.Connection, writer: RowWriter) -> None:
    writer.replace_rows([table_id(connection, "Lot"), table_id(connection, "log")], {})
    connection.exec_driver_sql("""INSERT INTO "Lot" (id) VALUES (3)""")
    assert connection.exec_driver_sql("SELECT count(*) FROM log").scalar_one() == 1


def test_a_table_is_left_as_it_is_if_its_rows_are_refused(connection: sa.Connection, writer: RowWriter) -> None:
    stored, lot = writer.stored_rows(), table_id(connection, "Lot")
    other = {lot: stored[table_id(connection, "bid")]}
    with pytest.raises(writer.error):
        writer.replace_rows([lot], other)
    assert writer.stored_rows() == stored


@pytest.mark.parametrize("connection", ["sqlite"], indirect=True)
def test_foreign_keys_act_where_they_are_enforced(connection: sa.Connection, writer: RowWriter) -> None:
    assert not writer.foreign_keys_act
    connection.commit()
    connection.connection.cursor().execute("PRAGMA foreign_keys = ON")
    assert writer.foreign_keys_act


@pytest.mark.parametrize("connection", ["postgresql"], indirect=True)
def test_an_identity_that_is_always_generated_keeps_its_numbers(connection: sa.Connection, writer: RowWriter) -> None:
    connection.exec_driver_sql("CREATE TABLE room (id integer GENERATED ALWAYS AS IDENTITY, label text)")
    connection.exec_driver_sql("INSERT INTO room (label) VALUES ('one'), ('two')")
    connection.exec_driver_sql("DELETE FROM room WHERE id = 1")
    stored = writer.stored_rows()
    writer.replace_rows([("public", "room")], stored)
    assert connection.exec_driver_sql("SELECT id FROM room").scalars().all() == [2]
