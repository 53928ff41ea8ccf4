"""Whether twelve rows show, in every column of any table, what its type and constraints allow."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from dormatory.backends.introspection import read_snapshot
from dormatory.rows.generator import fill
from tests.scratch import BACKENDS, scratch_connection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

TYPES = ("INTEGER", "SMALLINT", "NUMERIC(8, 2)", "REAL", "VARCHAR(30)", "TEXT", "TIMESTAMP", "DATE", "JSON")


@pytest.fixture(params=BACKENDS)
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A connection to an empty database."""
    with scratch_connection(str(request.param), request) as opened:
        yield opened


def create_random_table(connection: Connection, random: Random) -> dict[str, str]:
    """Create the tables `parent` and `item`, and return the definitions of the columns of `item`."""
    columns = {f"c{number}": random.choice(TYPES) for number in range(6)}
    columns |= {
        "flag": "BOOLEAN",
        "label": "VARCHAR(9) CHECK (label IN ('new', 'open', 'shut'))",
        "parent_id": "INTEGER",
    }
    columns |= {"adrift_id": "INTEGER", "left_half": "INTEGER NOT NULL", "right_half": "VARCHAR(20) NOT NULL"}
    names = list(columns)
    random.shuffle(names)
    optional = {name: random.choice(["", " NOT NULL"]) for name in names if "NOT NULL" not in columns[name]}
    columns = {name: columns[name] + optional.get(name, "") for name in names}
    listed = ", ".join(f"{name} {definition}" for name, definition in columns.items())
    connection.exec_driver_sql("CREATE TABLE parent (id INTEGER PRIMARY KEY, word TEXT)")
    connection.exec_driver_sql(
        f"CREATE TABLE item (id INTEGER PRIMARY KEY, {listed}, "
        "FOREIGN KEY (parent_id) REFERENCES parent (id), UNIQUE (left_half, right_half))"
    )
    return columns


def column_values(connection: Connection, column: str) -> Sequence[Any]:
    return connection.exec_driver_sql(f"SELECT CAST({column} AS TEXT) FROM item").scalars().all()


@pytest.mark.parametrize("with_extremes", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_each_column_shows_all_that_it_may_hold(connection: Connection, seed: int, *, with_extremes: bool) -> None:
    columns = create_random_table(connection, Random(seed))  # noqa: S311  # the same each time

    fill(connection, read_snapshot(connection), with_extremes=with_extremes)

    values = {name: column_values(connection, name) for name in columns}
    counts = {name: Counter(map(repr, found)) for name, found in values.items()}
    required = [name for name, definition in columns.items() if "NOT NULL" in definition]
    assert all(len(found) >= 12 for found in values.values())
    assert {name: None in found for name, found in values.items()} == {name: name not in required for name in columns}
    assert all(any(value is not None for value in found) for found in values.values())
    assert len({*values["flag"]} - {None}) == 2
    assert {"new", "open", "shut"} <= {*values["label"]}
    assert all(max(found[word] for word in found if word != "None") > 1 for found in counts.values())
    parents = set(connection.exec_driver_sql("SELECT CAST(id AS TEXT) FROM parent").scalars())
    assert len(parents & set(values["parent_id"])) > 1
    assert {*values["adrift_id"]} - parents - {None}
