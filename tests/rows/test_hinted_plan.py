"""Whether rows hold the values that the code of a revision knows, as far as the schema allows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dormatory.backends.introspection import read_snapshot
from dormatory.rows.generator import fill
from dormatory.sql.value_hints import ColumnHint
from tests.scratch import BACKENDS, scratch_connection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

TASK = frozenset({"task", "other"})
TABLE = "CREATE TABLE task (id INTEGER PRIMARY KEY, kind VARCHAR(9), body TEXT NOT NULL, size INTEGER, at TIMESTAMP)"


@pytest.fixture(params=BACKENDS)
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A connection to an empty database."""
    with scratch_connection(str(request.param), request) as opened:
        yield opened


def filled(
    connection: Connection, hints: Sequence[ColumnHint], column: str, table: str = TABLE, **options: Any
) -> set[Any]:
    """Return the values of a column of the filled table."""
    connection.exec_driver_sql(table)
    fill(connection, read_snapshot(connection), hints=hints, **options)
    return set(connection.exec_driver_sql(f"SELECT {column} FROM task").scalars())


@pytest.mark.parametrize("with_extremes", [True, False])
def test_rows_hold_hinted_values_next_to_others(connection: Connection, *, with_extremes: bool) -> None:
    labels = tuple(f"k{number}" for number in range(20))

    kinds = filled(connection, [ColumnHint("kind", TASK, labels)], "kind", with_extremes=with_extremes)

    assert kinds > {*labels, None}


@pytest.mark.parametrize("with_extremes", [True, False])
def test_an_exclusive_hint_leaves_no_other_values(connection: Connection, *, with_extremes: bool) -> None:
    hint = ColumnHint("body", TASK, ('{"a": 1}', "{}"), is_exclusive=True)

    assert filled(connection, [hint], "body", with_extremes=with_extremes) == {'{"a": 1}', "{}"}


def test_values_without_a_certain_column_are_in_each_text_column(connection: Connection) -> None:
    hint = ColumnHint("value", TASK, ("needle",), is_for_any=True)

    assert "needle" in filled(connection, [hint], "body")
    assert "needle" in connection.exec_driver_sql("SELECT kind FROM task").scalars().all()


def test_values_of_another_table_are_left_out(connection: Connection) -> None:
    hints = [ColumnHint("kind", frozenset({"other"}), ("needle",)), ColumnHint("name", TASK, ("needle",))]
    connection.exec_driver_sql("CREATE TABLE other (id INTEGER PRIMARY KEY, name TEXT)")

    assert "needle" not in filled(connection, hints, "kind")


def test_values_that_do_not_fit_are_left_out(connection: Connection) -> None:
    hints = [
        ColumnHint("kind", TASK, ("longer than nine", "short")),
        ColumnHint("size", TASK, (77, "x", "78")),
        ColumnHint("at", TASK, ("2024-05-06", "yesterday")),
    ]

    assert {77, 78} < filled(connection, hints, "size")
    kinds = connection.exec_driver_sql("SELECT kind FROM task").scalars().all()
    days = connection.exec_driver_sql("SELECT substr(CAST(at AS TEXT), 1, 10) FROM task").scalars().all()
    assert "short" in kinds
    assert "2024-05-06" in days


def test_a_unique_column_shows_each_hinted_value_once(connection: Connection) -> None:
    table = "CREATE TABLE task (id INTEGER PRIMARY KEY, kind VARCHAR(9) NOT NULL UNIQUE)"

    kinds = filled(connection, [ColumnHint("kind", TASK, ("a", "b", "c"))], "kind", table)

    assert kinds > {"a", "b", "c"}


def test_a_value_that_a_row_holds_already_is_not_repeated(connection: Connection) -> None:
    connection.exec_driver_sql(TABLE)
    connection.exec_driver_sql("INSERT INTO task (id, kind, body) VALUES (5, 'admin', 'x')")

    fill(connection, read_snapshot(connection), hints=[ColumnHint("kind", TASK, ("admin", "guest"))])

    kinds = connection.exec_driver_sql("SELECT kind FROM task").scalars().all()
    assert kinds.count("admin") == 1
    assert "guest" in kinds


def test_a_check_decides_before_a_hint(connection: Connection) -> None:
    table = "CREATE TABLE task (id INTEGER PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('x', 'y')), size TEXT)"
    hints = [ColumnHint("kind", TASK, ("a", "x"), is_exclusive=True)]

    assert filled(connection, hints, "kind", table) == {"x", "y"}
