"""Which rows are generated for a schema on each backend, which values they show, and which constraints they fulfil."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from dormatory.backends.introspection import read_snapshot
from dormatory.backends.url import Target
from dormatory.errors import FixtureFailedError
from dormatory.project.history import History
from dormatory.project.project import Project
from dormatory.rows.fixtures import run_fixtures
from dormatory.rows.generator import fill
from dormatory.runtime.runner import Runner
from tests.scratch import BACKENDS, scratch_connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

HERE = Path(__file__).parent
PROJECT = Project.read(HERE.parents[1] / "alembic.ini")
SCHEMAS = {backend: (HERE / f"rows_{backend}.sql").read_text() for backend in BACKENDS}
# Tables of those schemas that cannot be filled, with the reported reason.
UNFILLED_REASONS = {
    "sqlite": {
        "impossible": "no row was found that its constraints allow",
        "orphaned": "its foreign key to nowhere has no row to name",
        "rolls back": "a row that it refuses would roll everything back",
        "swallowed": "the database kept none of its rows: a trigger or a rule takes them away",
        "words": "it is a virtual table",
    },
    "postgresql": {
        "columnless": "it has no columns",
        "hard1": "it and hard2 need one another: "
        'insert or update on table "hard1" violates foreign key constraint "hard1_h_id_fkey"',
        "hard2": "it and hard1 need one another: "
        'insert or update on table "hard1" violates foreign key constraint "hard1_h_id_fkey"',
        "impossible": "no row was found that its constraints allow",
        "swallowed": "the database kept none of its rows: a trigger or a rule takes them away",
    },
}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def connection(backend: str, request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A connection to an empty database."""
    with scratch_connection(backend, request) as opened:
        yield opened


def execute_script(connection: Connection, script: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(script, execution_options={"no_parameters": True})
        return
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.exec_driver_sql(statement)
            statement = ""


def quote_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def all_rows(connection: Connection) -> dict[str, list[Any]]:
    """Return all rows of all tables, in the order in which the database gives them."""
    found = {}
    for table in read_snapshot(connection).tables:
        name = f"{quote_name(table.namespace)}.{quote_name(table.name)}" if table.namespace else quote_name(table.name)
        cast = "::text" if table.namespace else ""
        listed = ", ".join(f"{quote_name(column.name)}{cast}" for column in table.columns) or "1"
        rows = connection.exec_driver_sql(f"SELECT {listed} FROM {name}", execution_options={"no_parameters": True})
        found[table.name] = [tuple(row) for row in rows]
    return found


def column_values(connection: Connection, column: str, table: str = "t") -> list[Any]:
    return list(connection.execute(text(f"SELECT {column} FROM {table}")).scalars())


class TestAnySchema:
    """What holds for a schema with everything difficult in it."""

    def test_every_table_that_can_be_filled_is_filled(self, connection: Connection, backend: str) -> None:
        execute_script(connection, SCHEMAS[backend])
        schema = read_snapshot(connection)
        filling = fill(connection, schema)
        assert {it.table: it.reason for it in filling.unfilled} == UNFILLED_REASONS[backend]
        children = {it.name for it in schema.tables if it.partition_bound}
        assert {it.table for it in filling.filled} == {it.name for it in schema.tables} - {
            *UNFILLED_REASONS[backend]
        } - children

    def test_reported_rows_exist_and_foreign_keys_hold(self, connection: Connection, backend: str) -> None:
        execute_script(connection, SCHEMAS[backend])
        filling = fill(connection, read_snapshot(connection))
        found = all_rows(connection)
        for table in filling.filled:
            assert len(found[table.table]) == table.row_count, table.table
        if backend == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"

    def test_the_same_schema_gets_the_same_rows(self, backend: str, request: pytest.FixtureRequest) -> None:
        found = []
        for _ in range(2):
            with scratch_connection(backend, request) as connection:
                execute_script(connection, SCHEMAS[backend])
                for _ in range(2):
                    fill(connection, read_snapshot(connection))
                found.append(all_rows(connection))
        assert found[0] == found[1]

    def test_a_second_fill_adds_rows_to_every_table(self, connection: Connection, backend: str) -> None:
        execute_script(connection, SCHEMAS[backend])
        schema = read_snapshot(connection)
        first = {it.table for it in fill(connection, schema).filled}
        second = {it.table for it in fill(connection, schema).filled}
        assert first - second == {"enumerated", "one flag"}  # their keys are used up
        assert {it.table for it in fill(connection, schema).unfilled} == {*UNFILLED_REASONS[backend]}

    def test_only_requested_tables_and_their_empty_parents_are_filled(self, connection: Connection) -> None:
        execute_script(
            connection,
            "CREATE TABLE grandparent (id INTEGER PRIMARY KEY);\n"
            "CREATE TABLE parent (id INTEGER PRIMARY KEY, up INTEGER NOT NULL REFERENCES grandparent (id));\n"
            "CREATE TABLE t (id INTEGER PRIMARY KEY, up INTEGER NOT NULL REFERENCES parent (id));\n"
            "CREATE TABLE other (id INTEGER PRIMARY KEY);\n",
        )
        schema = read_snapshot(connection)
        filling = fill(connection, schema, tables=[schema.table("t")])
        assert [it.table for it in filling.filled] == ["grandparent", "parent", "t"]
        again = fill(connection, schema, tables=[schema.table("t")])
        assert [it.table for it in again.filled] == ["t"]


class TestTransaction:
    """What the caller's transaction is left with."""

    def test_nothing_is_committed(self, connection: Connection) -> None:
        execute_script(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL);\n")
        connection.commit()
        assert fill(connection, read_snapshot(connection)).filled
        connection.rollback()
        assert column_values(connection, "id") == []

    def test_rows_of_the_caller_survive_a_table_that_rejects_every_row(self, connection: Connection) -> None:
        execute_script(connection, "CREATE TABLE t (id INTEGER NOT NULL CHECK (id < 2), CHECK (id * id < 0));\n")
        execute_script(connection, "CREATE TABLE mine (id INTEGER NOT NULL);\n")
        connection.execute(text("INSERT INTO mine VALUES (1)"))
        filling = fill(connection, read_snapshot(connection))
        assert [it.table for it in filling.unfilled] == ["t"]
        assert column_values(connection, "id", "mine")[0] == 1

    @pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
    def test_a_table_with_deferred_constraints_can_be_altered_next(self, connection: Connection) -> None:
        execute_script(
            connection,
            "CREATE TABLE parent (id int PRIMARY KEY);"
            "CREATE TABLE t (id int PRIMARY KEY, up int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);",
        )
        fill(connection, read_snapshot(connection))
        execute_script(connection, "ALTER TABLE t ADD COLUMN later int")
        execute_script(connection, "INSERT INTO t VALUES (1, 1, 1); DELETE FROM t WHERE id = 1;")  # it waits again


class TestPlausibleRows:
    """What rows show even without extreme values."""

    def test_columns_without_constraints_hold_duplicates_and_nulls(self, connection: Connection) -> None:
        execute_script(
            connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, phone VARCHAR(20), born DATE, n INTEGER);\n"
        )
        fill(connection, read_snapshot(connection), with_extremes=False)
        for column in ("phone", "born", "n"):
            counted = Counter(column_values(connection, column))
            assert counted.pop(None) >= 1
            assert max(counted.values()) > 1, column

    def test_two_columns_are_duplicated_together(self, connection: Connection) -> None:
        execute_script(
            connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(20) NOT NULL, b INTEGER NOT NULL);\n"
        )
        fill(connection, read_snapshot(connection))
        pairs = Counter(tuple(row) for row in connection.execute(text("SELECT a, b FROM t")))
        assert max(pairs.values()) > 1

    def test_every_value_that_a_check_lists_is_inserted(self, connection: Connection) -> None:
        listed = [f"state {number}" for number in range(30)]
        values = ", ".join(f"'{value}'" for value in listed)
        execute_script(
            connection,
            f"CREATE TABLE t (id INTEGER PRIMARY KEY, s VARCHAR(20) NOT NULL CHECK (s IN ({values})),"
            " n INTEGER CHECK (n IN (10, 20, 30) OR n IS NULL), o VARCHAR(5) CHECK (o = 'a' OR o = 'b'));\n",
        )
        fill(connection, read_snapshot(connection), with_extremes=False)
        assert set(column_values(connection, "s")) == set(listed)
        assert set(column_values(connection, "n")) == {10, 20, 30, None}
        assert set(column_values(connection, "o")) == {"a", "b", None}

    def test_columns_that_exclude_or_require_one_another_are_filled_in_every_allowed_way(
        self, connection: Connection
    ) -> None:
        execute_script(
            connection,
            "CREATE TABLE host (id INTEGER PRIMARY KEY);\n"
            "CREATE TABLE t (id INTEGER PRIMARY KEY, way VARCHAR(9) NOT NULL CHECK (way IN ('door', 'lift', 'stairs')),"
            " card VARCHAR(20), pin VARCHAR(20) UNIQUE, host_id INTEGER REFERENCES host (id), steps INTEGER,"
            " CHECK ((card IS NULL) <> (host_id IS NULL)), CHECK ((card IS NULL) = (pin IS NULL)),"
            " CHECK (way <> 'lift' OR (card IS NOT NULL AND steps IS NULL)),"
            " CHECK (way = 'stairs' OR steps IS NULL), CHECK (way <> 'stairs' OR steps IS NOT NULL));\n",
        )
        fill(connection, read_snapshot(connection))
        rows = connection.execute(text("SELECT way, card IS NULL, steps IS NULL FROM t"))
        shown = {(way, bool(card), bool(steps)) for way, card, steps in rows}
        assert {way for way, _, _ in shown} == {"door", "lift", "stairs"}
        assert {card for _, card, _ in shown} == {True, False}

    def test_a_table_with_rows_that_has_room_for_no_more_is_not_unfilled(self, connection: Connection) -> None:
        execute_script(
            connection,
            "CREATE TABLE job (id INTEGER PRIMARY KEY, kind VARCHAR(9) NOT NULL CHECK (kind IN ('clean', 'wash')),"
            " UNIQUE (kind, id));\n"
            "CREATE TABLE washing (id INTEGER PRIMARY KEY, kind VARCHAR(9) NOT NULL CHECK (kind = 'wash'),"
            " FOREIGN KEY (kind, id) REFERENCES job (kind, id));\n",
        )
        schema = read_snapshot(connection)
        fill(connection, schema)
        again = fill(connection, schema, tables=[table for table in schema.tables if table.name == "washing"])
        assert again.unfilled == ()

    def test_a_column_that_looks_like_a_foreign_key_holds_matching_and_dangling_values(
        self, connection: Connection
    ) -> None:
        execute_script(connection, "CREATE TABLE hotel (id INTEGER PRIMARY KEY);\n")
        execute_script(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, hotel_id INTEGER NOT NULL);\n")
        fill(connection, read_snapshot(connection), with_extremes=False)
        hotels, named = set(column_values(connection, "id", "hotel")), set(column_values(connection, "hotel_id"))
        assert named & hotels
        assert named - hotels

    def test_every_parent_is_referenced(self, connection: Connection) -> None:
        execute_script(connection, "CREATE TABLE parent (id INTEGER PRIMARY KEY);\n")
        execute_script(
            connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, up INTEGER NOT NULL REFERENCES parent (id));\n"
        )
        fill(connection, read_snapshot(connection))
        assert set(column_values(connection, "up")) == set(column_values(connection, "id", "parent"))

    def test_constant_defaults_are_used_sometimes(self, connection: Connection) -> None:
        execute_script(
            connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, s VARCHAR(9) DEFAULT 'default' NOT NULL);\n"
        )
        fill(connection, read_snapshot(connection))
        assert column_values(connection, "s").count("default") == 1

    def test_generated_keys_do_not_collide_with_rows_of_revisions(self, connection: Connection, backend: str) -> None:
        key = "SERIAL" if backend == "postgresql" else "INTEGER"
        execute_script(connection, f"CREATE TABLE t (id {key} PRIMARY KEY, name VARCHAR(30) NOT NULL UNIQUE);\n")
        fill(connection, read_snapshot(connection))
        execute_script(connection, "INSERT INTO t (id, name) VALUES (4, 'admin'), (5, 'reader');\n")
        execute_script(connection, "INSERT INTO t (name) VALUES ('numbered by the database');\n")
        assert len(set(column_values(connection, "id"))) == 15

    def test_extreme_values_can_be_turned_off(self, connection: Connection) -> None:
        execute_script(
            connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, s VARCHAR(30) NOT NULL, n INTEGER NOT NULL);\n"
        )
        fill(connection, read_snapshot(connection), with_extremes=False)
        assert all(value.isalpha() for value in column_values(connection, "s"))
        assert max(column_values(connection, "n")) < 1000


class TestExtremeRows:
    """What rows show when extreme values are wanted."""

    def test_texts_are_empty_of_maximum_length_and_in_any_script(self, connection: Connection) -> None:
        execute_script(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, s VARCHAR(40) NOT NULL);\n")
        fill(connection, read_snapshot(connection))
        found = column_values(connection, "s")
        assert {"", "0012", "ü" * 40, 'it\'s "q" `t` 100% :x %s \\ {0};<b>&'} <= set(found)
        assert max(map(len, found)) == 40
        assert len(found) == 12

    def test_a_nullable_column_gets_every_extreme(self, connection: Connection) -> None:
        columns = ", ".join(f"c{number} VARCHAR(40)" for number in range(9))
        execute_script(connection, f"CREATE TABLE t (id INTEGER PRIMARY KEY, {columns});\n")
        fill(connection, read_snapshot(connection))
        for number in range(9):
            assert {None, "", "0012", "ü" * 40} <= set(column_values(connection, f"c{number}")), number

    def test_a_new_column_gets_most_of_its_extremes_though_its_table_has_rows(self, connection: Connection) -> None:
        execute_script(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, s VARCHAR(40));\n")
        fill(connection, read_snapshot(connection))
        execute_script(connection, "ALTER TABLE t ADD COLUMN day DATE;\n")
        fill(connection, read_snapshot(connection))
        assert {"2024-02-29", "1900-01-01", "9999-12-31"} <= set(column_values(connection, "CAST(day AS text)"))

    def test_a_table_that_is_changed_a_hundred_times_stays_small(self, connection: Connection) -> None:
        execute_script(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, s VARCHAR(40), kind VARCHAR(9));\n")
        for _ in range(100):
            fill(connection, read_snapshot(connection))
        assert 60 < len(column_values(connection, "id")) < 300

    def test_numbers_reach_their_limits(self, connection: Connection) -> None:
        execute_script(
            connection,
            "CREATE TABLE t (id INTEGER PRIMARY KEY, small SMALLINT, whole INTEGER, big BIGINT, p NUMERIC(6, 2));\n",
        )
        fill(connection, read_snapshot(connection))
        for column, largest in (("small", 2**15 - 1), ("whole", 2**31 - 1), ("big", 2**63 - 1)):
            assert {largest, -largest - 1, 0} <= set(column_values(connection, column)), column
        assert {9999.99, -9999.99, 0} <= {float(it) for it in column_values(connection, "p") if it is not None}

    def test_timestamps_include_those_that_clocks_skip_and_repeat(self, connection: Connection, backend: str) -> None:
        execute_script(
            connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, at TIMESTAMP NOT NULL, day DATE NOT NULL);\n"
        )
        fill(connection, read_snapshot(connection))
        moments = column_values(connection, "CAST(at AS text)")
        gap, overlap, leap = "2024-03-31 02:30:00", "2024-10-27 02:30:00", "2024-02-29 23:59:59.999999"
        fraction = ".000000" if backend == "sqlite" else ""
        assert {gap + fraction, overlap + fraction, leap} <= set(moments)
        assert {"2024-02-29", "1900-01-01", "9999-12-31"} <= set(column_values(connection, "CAST(day AS text)"))


class TestSQLiteTypes:
    """Values follow the declared types, although SQLite itself ignores these."""

    @pytest.fixture
    def connection(self, request: pytest.FixtureRequest) -> Iterator[Connection]:
        with scratch_connection("sqlite", request) as opened:
            yield opened

    def test_values_have_the_form_that_sqlalchemy_reads(self, connection: Connection) -> None:
        connection.exec_driver_sql(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, short VARCHAR(3) NOT NULL, hex CHAR(32) NOT NULL,"
            " dashed CHAR(36) NOT NULL, at DATETIME NOT NULL, flag BOOLEAN NOT NULL,"
            " j JSON NOT NULL, bytes BLOB NOT NULL)"
        )
        fill(connection, read_snapshot(connection))
        assert max(map(len, column_values(connection, "short"))) == 3
        assert {len(it) for it in column_values(connection, "hex")} == {32}
        assert {it.count("-") for it in column_values(connection, "dashed")} == {4}
        assert {len(it) for it in column_values(connection, "at")} == {26}
        assert set(column_values(connection, "flag")) == {0, 1}
        assert all(column_values(connection, "json_valid(j)"))
        assert {type(it) for it in column_values(connection, "bytes")} == {bytes}

    def test_foreign_keys_hold_when_they_are_on_as_well(self, connection: Connection) -> None:
        connection.connection.driver_connection.execute("PRAGMA foreign_keys = ON")  # type: ignore[union-attr]
        execute_script(connection, SCHEMAS["sqlite"])
        filling = fill(connection, read_snapshot(connection))
        assert {it.table: it.reason for it in filling.unfilled} == UNFILLED_REASONS["sqlite"]
        connection.commit()


class TestFixtures:
    """What a project's own file of rows for a revision does."""

    def test_its_statements_run_and_their_rows_count(self, connection: Connection, tmp_path: Path) -> None:
        file = tmp_path / "001.sql"
        file.write_text("-- ours; first\nINSERT INTO t VALUES (1, 'a;b');\n\nINSERT INTO t VALUES (2, '100% :x');\n")
        execute_script(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT NOT NULL);\n")
        run_fixtures(connection, file)
        fill(connection, read_snapshot(connection))
        assert {"a;b", "100% :x"} <= set(column_values(connection, "s"))
        assert len(column_values(connection, "s")) == 12

    def test_a_missing_file_is_ignored(self, connection: Connection, tmp_path: Path) -> None:
        execute_script(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY);\n")
        run_fixtures(connection, tmp_path / "none.sql")
        assert column_values(connection, "id") == []

    def test_a_failing_statement_is_reported_with_file_and_line(self, connection: Connection, tmp_path: Path) -> None:
        file = tmp_path / "001.sql"
        file.write_text("INSERT INTO t VALUES (1);\n-- again\nINSERT INTO t\n  VALUES (1);\n")
        execute_script(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY);\n")
        with pytest.raises(FixtureFailedError) as caught:
            run_fixtures(connection, file)
        message = {
            "sqlite": "UNIQUE constraint failed: t.id",
            "postgresql": 'duplicate key value violates unique constraint "t_pkey"',
        }[connection.dialect.name]
        assert str(caught.value) == (
            f"{file}:3 failed: INSERT INTO t VALUES (1) ({message}); "
            "make it fit the schema of its revision, which is the one in its name"
        )
        assert isinstance(caught.value.__cause__, DBAPIError)


def test_our_own_history_is_filled_at_every_revision(connection: Connection) -> None:
    target = Target.parse(connection.engine.url.render_as_string(hide_password=False), root=Path("/"))
    runner = Runner(PROJECT, target=target, connection=connection)
    for revision in History.read(PROJECT).revisions:
        runner.upgrade(revision.id)
        connection.commit()
        schema = read_snapshot(connection, ignore=("alembic_version",))
        filling = fill(connection, schema)
        connection.commit()
        assert filling.unfilled == ()
        assert {it.table for it in filling.filled} == {table.name for table in schema.tables}
