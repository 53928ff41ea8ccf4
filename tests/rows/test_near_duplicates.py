"""Whether generated rows hold values that only a coarser uniqueness takes for equal, where the schema allows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import IntegrityError

from dormatory.backends.introspection import read_snapshot
from dormatory.rows.generator import fill
from tests.scratch import BACKENDS, scratch_connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

TABLES = {
    "a constraint": "CREATE TABLE account (id INTEGER PRIMARY KEY, code VARCHAR(40) NOT NULL UNIQUE)",
    "the key": "CREATE TABLE account (code VARCHAR(40) NOT NULL PRIMARY KEY)",
    "a column that may be NULL": "CREATE TABLE account (id INTEGER PRIMARY KEY, code VARCHAR(40) UNIQUE)",
    "two columns": "CREATE TABLE account (id INTEGER PRIMARY KEY, site INTEGER, code TEXT, UNIQUE (site, code))",
    "a composite key": "CREATE TABLE account (code TEXT NOT NULL, site INTEGER NOT NULL, PRIMARY KEY (code, site))",
}
COARSER = {"case": "lower(code)", "outer blanks": "trim(code)"}


@pytest.fixture(params=BACKENDS)
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A connection to an empty database."""
    with scratch_connection(str(request.param), request) as opened:
        yield opened


def fill_account(connection: Connection, *scripts: str, with_extremes: bool = False) -> int:
    """Create the table, fill it and return the number of its rows."""
    for script in scripts:
        connection.exec_driver_sql(script)
    fill(connection, read_snapshot(connection), with_extremes=with_extremes)
    return int(connection.exec_driver_sql("SELECT count(*) FROM account").scalar_one())


def has_composite_key(connection: Connection) -> bool:
    return "site" in connection.exec_driver_sql("SELECT * FROM account").keys()  # noqa: SIM118  # of a result


@pytest.mark.parametrize("difference", COARSER)
@pytest.mark.parametrize("uniqueness", TABLES)
def test_some_texts_differ_in_nothing_else(connection: Connection, uniqueness: str, difference: str) -> None:
    fill_account(connection, TABLES[uniqueness])
    site = "site, " if has_composite_key(connection) else ""

    with pytest.raises(IntegrityError):
        connection.exec_driver_sql(f"CREATE UNIQUE INDEX coarser ON account ({site}{COARSER[difference]})")


@pytest.mark.parametrize("columns", ["at", "site, at"])
def test_some_times_are_on_the_same_day(connection: Connection, columns: str) -> None:
    table = f"CREATE TABLE account (id INTEGER PRIMARY KEY, site INTEGER, at TIMESTAMP NOT NULL, UNIQUE ({columns}))"
    fill_account(connection, table)
    day = "substr(at, 1, 10)" if connection.dialect.name == "sqlite" else "date_trunc('day', at)"

    with pytest.raises(IntegrityError):
        connection.exec_driver_sql(f"CREATE UNIQUE INDEX coarser ON account ({columns.replace('at', day)})")


def test_only_extreme_rows_differ_in_the_normal_form_of_unicode(connection: Connection) -> None:
    fill_account(connection, TABLES["a constraint"], with_extremes=True)

    codes = connection.exec_driver_sql("SELECT code FROM account").scalars().all()

    assert {"Zo\u00e9", "Zoe\u0301"} <= set(codes)


@pytest.mark.parametrize("rule", ["UNIQUE INDEX coarser ON account (lower(trim(code)))", "a CHECK"])
def test_rows_fit_a_uniqueness_that_is_coarser_already(connection: Connection, rule: str) -> None:
    if rule == "a CHECK":
        script = "CREATE TABLE account (code TEXT UNIQUE CHECK (code = lower(code) AND code = trim(code)))"
        rows = fill_account(connection, script)
    else:
        rows = fill_account(connection, TABLES["a constraint"], f"CREATE {rule}")

    assert rows == 12
    connection.exec_driver_sql("CREATE UNIQUE INDEX coarser_still ON account (lower(trim(code)))")


def test_rows_fit_a_column_that_ignores_case(connection: Connection) -> None:
    type_ = "TEXT COLLATE NOCASE"
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("CREATE EXTENSION citext")
        type_ = "citext"

    assert fill_account(connection, f"CREATE TABLE account (code {type_} NOT NULL UNIQUE)") == 12
