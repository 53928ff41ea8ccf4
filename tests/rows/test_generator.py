"""What rows are made for a schema, on both backends: that they are there, what they show, which rules they keep."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from dormatory.backends.introspection import snapshot
from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.registry import backend_for
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.backends.url import Target
from dormatory.errors import OwnRowsError
from dormatory.project.history import History
from dormatory.project.project import Project
from dormatory.rows.generator import fill
from dormatory.runtime.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

HERE = Path(__file__).parent
PROJECT = Project.read(HERE.parents[1] / "alembic.ini")
BACKENDS = ("sqlite", "postgresql")
SCHEMAS = {backend: (HERE / f"rows_{backend}.sql").read_text() for backend in BACKENDS}
# Tables of those schemas that nobody could fill, and what is said about them.
UNFILLED = {
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
    with open_database(backend, request) as target, connected(target) as opened:
        yield opened


def open_database(backend: str, request: pytest.FixtureRequest) -> Any:
    if backend == "sqlite":
        return scratch_sqlite()
    return throwaway.scratch_postgresql(request.getfixturevalue("postgres_server"))


def connected(target: Target) -> Any:
    return backend_for(target).engine(target, writing=True).connect()


def execute(connection: Connection, script: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(script, execution_options={"no_parameters": True})
        return
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.exec_driver_sql(statement)
            statement = ""


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def contents(connection: Connection) -> dict[str, list[Any]]:
    """Return all rows of all tables, in the order in which the database gives them."""
    found = {}
    for table in snapshot(connection).tables:
        name = f"{quoted(table.namespace)}.{quoted(table.name)}" if table.namespace else quoted(table.name)
        cast = "::text" if table.namespace else ""
        listed = ", ".join(f"{quoted(column.name)}{cast}" for column in table.columns) or "1"
        rows = connection.exec_driver_sql(f"SELECT {listed} FROM {name}", execution_options={"no_parameters": True})
        found[table.name] = [tuple(row) for row in rows]
    return found


def values_of(connection: Connection, column: str, table: str = "t") -> list[Any]:
    return list(connection.execute(text(f"SELECT {column} FROM {table}")).scalars())


class TestAnySchema:
    """What holds for a schema with everything difficult in it."""

    def test_all_but_the_impossible_is_filled(self, connection: Connection, backend: str) -> None:
        execute(connection, SCHEMAS[backend])
        schema = snapshot(connection)
        filling = fill(connection, schema)
        assert {it.table: it.reason for it in filling.unfilled} == UNFILLED[backend]
        children = {it.name for it in schema.tables if it.partition_bound}
        assert {it.table for it in filling.inserted} == {it.name for it in schema.tables} - {
            *UNFILLED[backend]
        } - children

    def test_every_row_is_there_and_none_dangles(self, connection: Connection, backend: str) -> None:
        execute(connection, SCHEMAS[backend])
        filling = fill(connection, snapshot(connection))
        found = contents(connection)
        for table in filling.inserted:
            assert len(found[table.table]) == table.rows, table.table
        if backend == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"

    def test_the_same_schema_gets_the_same_rows(self, backend: str, request: pytest.FixtureRequest) -> None:
        found = []
        for _ in range(2):
            with open_database(backend, request) as target, connected(target) as connection:
                execute(connection, SCHEMAS[backend])
                for _ in range(2):
                    fill(connection, snapshot(connection))
                found.append(contents(connection))
        assert found[0] == found[1]

    def test_a_second_filling_adds_to_every_table(self, connection: Connection, backend: str) -> None:
        execute(connection, SCHEMAS[backend])
        schema = snapshot(connection)
        first = {it.table for it in fill(connection, schema).inserted}
        second = {it.table for it in fill(connection, schema).inserted}
        assert first - second == {"enumerated", "one flag"}  # their keys are used up
        assert {it.table for it in fill(connection, schema).unfilled} == {*UNFILLED[backend]}

    def test_only_the_tables_asked_for_and_their_empty_parents_are_filled(self, connection: Connection) -> None:
        execute(
            connection,
            "CREATE TABLE grandparent (id INTEGER PRIMARY KEY);\n"
            "CREATE TABLE parent (id INTEGER PRIMARY KEY, up INTEGER NOT NULL REFERENCES grandparent (id));\n"
            "CREATE TABLE t (id INTEGER PRIMARY KEY, up INTEGER NOT NULL REFERENCES parent (id));\n"
            "CREATE TABLE other (id INTEGER PRIMARY KEY);\n",
        )
        schema = snapshot(connection)
        filling = fill(connection, schema, tables=[schema.table("t")])
        assert [it.table for it in filling.inserted] == ["grandparent", "parent", "t"]
        again = fill(connection, schema, tables=[schema.table("t")])
        assert [it.table for it in again.inserted] == ["t"]


class TestTransaction:
    """What the caller's transaction is left with."""

    def test_nothing_is_committed(self, connection: Connection) -> None:
        execute(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL);\n")
        connection.commit()
        assert fill(connection, snapshot(connection)).inserted
        connection.rollback()
        assert values_of(connection, "id") == []

    def test_rows_of_the_caller_outlive_a_table_that_refuses(self, connection: Connection) -> None:
        execute(connection, "CREATE TABLE t (id INTEGER NOT NULL CHECK (id < 2), CHECK (id * id < 0));\n")
        execute(connection, "CREATE TABLE mine (id INTEGER NOT NULL);\n")
        connection.execute(text("INSERT INTO mine VALUES (1)"))
        filling = fill(connection, snapshot(connection))
        assert [it.table for it in filling.unfilled] == ["t"]
        assert values_of(connection, "id", "mine")[0] == 1

    @pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
    def test_a_table_with_deferred_constraints_can_be_altered_next(self, connection: Connection) -> None:
        execute(
            connection,
            "CREATE TABLE parent (id int PRIMARY KEY);"
            "CREATE TABLE t (id int PRIMARY KEY, up int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);",
        )
        fill(connection, snapshot(connection))
        execute(connection, "ALTER TABLE t ADD COLUMN later int")
        execute(connection, "INSERT INTO t VALUES (1, 1, 1); DELETE FROM t WHERE id = 1;")  # it waits again


class TestPlausibleRows:
    """What rows show even without extreme values."""

    def test_columns_without_a_rule_hold_duplicates_and_nulls(self, connection: Connection) -> None:
        execute(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, phone VARCHAR(20), born DATE, n INTEGER);\n")
        fill(connection, snapshot(connection), edges=False)
        for column in ("phone", "born", "n"):
            counted = Counter(values_of(connection, column))
            assert counted.pop(None) >= 1
            assert max(counted.values()) > 1, column

    def test_two_columns_are_duplicated_together(self, connection: Connection) -> None:
        execute(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(20) NOT NULL, b INTEGER NOT NULL);\n")
        fill(connection, snapshot(connection))
        pairs = Counter(tuple(row) for row in connection.execute(text("SELECT a, b FROM t")))
        assert max(pairs.values()) > 1

    def test_every_value_that_a_check_lists_is_there(self, connection: Connection) -> None:
        listed = [f"state {number}" for number in range(30)]
        values = ", ".join(f"'{value}'" for value in listed)
        execute(
            connection,
            f"CREATE TABLE t (id INTEGER PRIMARY KEY, s VARCHAR(20) NOT NULL CHECK (s IN ({values})),"
            " n INTEGER CHECK (n IN (10, 20, 30) OR n IS NULL), o VARCHAR(5) CHECK (o = 'a' OR o = 'b'));\n",
        )
        fill(connection, snapshot(connection), edges=False)
        assert set(values_of(connection, "s")) == set(listed)
        assert set(values_of(connection, "n")) == {10, 20, 30, None}
        assert set(values_of(connection, "o")) == {"a", "b", None}

    def test_a_column_like_a_reference_holds_orphans_and_others(self, connection: Connection) -> None:
        execute(connection, "CREATE TABLE hotel (id INTEGER PRIMARY KEY);\n")
        execute(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, hotel_id INTEGER NOT NULL);\n")
        fill(connection, snapshot(connection), edges=False)
        hotels, named = set(values_of(connection, "id", "hotel")), set(values_of(connection, "hotel_id"))
        assert named & hotels
        assert named - hotels

    def test_every_parent_is_named(self, connection: Connection) -> None:
        execute(connection, "CREATE TABLE parent (id INTEGER PRIMARY KEY);\n")
        execute(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, up INTEGER NOT NULL REFERENCES parent (id));\n")
        fill(connection, snapshot(connection))
        assert set(values_of(connection, "up")) == set(values_of(connection, "id", "parent"))

    def test_constant_defaults_are_used_sometimes(self, connection: Connection) -> None:
        execute(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, s VARCHAR(9) DEFAULT 'default' NOT NULL);\n")
        fill(connection, snapshot(connection))
        assert values_of(connection, "s").count("default") == 1

    def test_rows_that_a_revision_inserts_are_not_in_the_way(self, connection: Connection, backend: str) -> None:
        key = "SERIAL" if backend == "postgresql" else "INTEGER"
        execute(connection, f"CREATE TABLE t (id {key} PRIMARY KEY, name VARCHAR(30) NOT NULL UNIQUE);\n")
        fill(connection, snapshot(connection))
        execute(connection, "INSERT INTO t (id, name) VALUES (4, 'admin'), (5, 'reader');\n")
        execute(connection, "INSERT INTO t (name) VALUES ('numbered by the database');\n")
        assert len(set(values_of(connection, "id"))) == 15

    def test_extreme_values_stay_away_where_they_are_not_wanted(self, connection: Connection) -> None:
        execute(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, s VARCHAR(30) NOT NULL, n INTEGER NOT NULL);\n")
        fill(connection, snapshot(connection), edges=False)
        assert all(value.isalpha() for value in values_of(connection, "s"))
        assert max(values_of(connection, "n")) < 1000


class TestExtremeRows:
    """What rows show when extreme values are wanted."""

    def test_text_is_empty_as_long_as_can_be_and_in_any_script(self, connection: Connection) -> None:
        execute(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, s VARCHAR(40) NOT NULL);\n")
        fill(connection, snapshot(connection))
        found = values_of(connection, "s")
        assert {"", "0012", "ü" * 40, 'it\'s "q" `t` 100% :x %s \\ {0};<b>&'} <= set(found)
        assert max(map(len, found)) == 40
        assert len(found) == 12

    def test_every_extreme_is_shown_though_the_column_may_be_null(self, connection: Connection) -> None:
        columns = ", ".join(f"c{number} VARCHAR(40)" for number in range(9))
        execute(connection, f"CREATE TABLE t (id INTEGER PRIMARY KEY, {columns});\n")
        fill(connection, snapshot(connection))
        for number in range(9):
            assert {None, "", "0012", "ü" * 40} <= set(values_of(connection, f"c{number}")), number

    def test_a_column_that_has_come_shows_most_of_its_extremes_beside_rows_there_were(
        self, connection: Connection
    ) -> None:
        execute(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, s VARCHAR(40));\n")
        fill(connection, snapshot(connection))
        execute(connection, "ALTER TABLE t ADD COLUMN day DATE;\n")
        fill(connection, snapshot(connection))
        assert {"2024-02-29", "1900-01-01", "9999-12-31"} <= set(values_of(connection, "CAST(day AS text)"))

    def test_a_table_that_is_changed_a_hundred_times_stays_small(self, connection: Connection) -> None:
        execute(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, s VARCHAR(40), kind VARCHAR(9));\n")
        for _ in range(100):
            fill(connection, snapshot(connection))
        assert 60 < len(values_of(connection, "id")) < 300

    def test_numbers_reach_their_limits(self, connection: Connection) -> None:
        execute(
            connection,
            "CREATE TABLE t (id INTEGER PRIMARY KEY, small SMALLINT, whole INTEGER, big BIGINT, p NUMERIC(6, 2));\n",
        )
        fill(connection, snapshot(connection))
        for column, largest in (("small", 2**15 - 1), ("whole", 2**31 - 1), ("big", 2**63 - 1)):
            assert {largest, -largest - 1, 0} <= set(values_of(connection, column)), column
        assert {9999.99, -9999.99, 0} <= {float(it) for it in values_of(connection, "p") if it is not None}

    def test_moments_are_those_that_clocks_skip_and_repeat(self, connection: Connection, backend: str) -> None:
        execute(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, at TIMESTAMP NOT NULL, day DATE NOT NULL);\n")
        fill(connection, snapshot(connection))
        moments = values_of(connection, "CAST(at AS text)")
        gap, overlap, leap = "2024-03-31 02:30:00", "2024-10-27 02:30:00", "2024-02-29 23:59:59.999999"
        fraction = ".000000" if backend == "sqlite" else ""
        assert {gap + fraction, overlap + fraction, leap} <= set(moments)
        assert {"2024-02-29", "1900-01-01", "9999-12-31"} <= set(values_of(connection, "CAST(day AS text)"))


class TestSQLiteTypes:
    """How declared types are honoured that SQLite itself does not look at."""

    @pytest.fixture
    def connection(self) -> Iterator[Connection]:
        with scratch_sqlite() as target, connected(target) as opened:
            yield opened

    def test_values_have_the_form_that_sqlalchemy_reads(self, connection: Connection) -> None:
        connection.exec_driver_sql(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, short VARCHAR(3) NOT NULL, hex CHAR(32) NOT NULL,"
            " dashed CHAR(36) NOT NULL, at DATETIME NOT NULL, flag BOOLEAN NOT NULL,"
            " j JSON NOT NULL, bytes BLOB NOT NULL)"
        )
        fill(connection, snapshot(connection))
        assert max(map(len, values_of(connection, "short"))) == 3
        assert {len(it) for it in values_of(connection, "hex")} == {32}
        assert {it.count("-") for it in values_of(connection, "dashed")} == {4}
        assert {len(it) for it in values_of(connection, "at")} == {26}
        assert set(values_of(connection, "flag")) == {0, 1}
        assert all(values_of(connection, "json_valid(j)"))
        assert {type(it) for it in values_of(connection, "bytes")} == {bytes}

    def test_foreign_keys_hold_when_they_are_on_as_well(self, connection: Connection) -> None:
        connection.connection.driver_connection.execute("PRAGMA foreign_keys = ON")  # type: ignore[union-attr]
        execute(connection, SCHEMAS["sqlite"])
        filling = fill(connection, snapshot(connection))
        assert {it.table: it.reason for it in filling.unfilled} == UNFILLED["sqlite"]
        connection.commit()


class TestOwnRows:
    """What a project's own file of rows for a revision does."""

    def test_its_statements_run_first(self, connection: Connection, tmp_path: Path) -> None:
        file = tmp_path / "001.sql"
        file.write_text("-- ours; first\nINSERT INTO t VALUES (1, 'a;b');\n\nINSERT INTO t VALUES (2, '100% :x');\n")
        execute(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT NOT NULL);\n")
        fill(connection, snapshot(connection), own_rows=file)
        assert {"a;b", "100% :x"} <= set(values_of(connection, "s"))
        assert len(values_of(connection, "s")) == 12

    def test_a_file_that_is_not_there_is_none(self, connection: Connection, tmp_path: Path) -> None:
        execute(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY);\n")
        assert fill(connection, snapshot(connection), own_rows=tmp_path / "none.sql").inserted

    def test_a_statement_that_fails_is_named_with_its_file(self, connection: Connection, tmp_path: Path) -> None:
        file = tmp_path / "001.sql"
        file.write_text("INSERT INTO t VALUES (1);\n-- again\nINSERT INTO t\n  VALUES (1);\n")
        execute(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY);\n")
        with pytest.raises(OwnRowsError) as caught:
            fill(connection, snapshot(connection), own_rows=file)
        said = {
            "sqlite": "UNIQUE constraint failed: t.id",
            "postgresql": 'duplicate key value violates unique constraint "t_pkey"',
        }[connection.dialect.name]
        assert str(caught.value) == (
            f"{file}:3 failed: INSERT INTO t VALUES (1) ({said}); "
            "make it fit the schema of its revision, which is the one in its name"
        )
        assert isinstance(caught.value.__cause__, DBAPIError)


def test_the_own_history_is_filled_at_every_revision(connection: Connection) -> None:
    target = Target(connection.engine.url, connection.engine.url.drivername)
    runner = Runner(PROJECT, target=target, connection=connection)
    for revision in History.read(PROJECT).revisions:
        runner.upgrade(revision.id)
        connection.commit()
        schema = snapshot(connection, ignore=("alembic_version",))
        filling = fill(connection, schema)
        connection.commit()
        assert filling.unfilled == ()
        assert {it.table for it in filling.inserted} == {table.name for table in schema.tables}
