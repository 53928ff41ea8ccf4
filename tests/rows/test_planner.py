"""Rows are planned for tables with any conditions, and are always the same."""

from __future__ import annotations

from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import NullPool, create_engine

from dormatory.backends.introspection import read_snapshot
from dormatory.backends.sqlite.dialect import DIALECT as SQLITE
from dormatory.rows.generator import fill
from dormatory.rows.planner import plan_table


def test_many_different_texts_satisfy_a_condition() -> None:
    # Three conditions; the last one, on a time as text, can only be evaluated by the database.
    with create_engine("sqlite://", poolclass=NullPool).connect() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE t (m TEXT NOT NULL UNIQUE CHECK (length(m) = 27 AND m GLOB '*Z'"
            " AND strftime('%Y-%m-%dT%H:%M:%S', substr(m, 1, 19), '+0 days') IS substr(m, 1, 19)))"
        )
        schema = read_snapshot(connection)
        column = plan_table(schema.tables[0], schema, SQLITE).columns[0]
        assert len(set(islice(column.distinct_values(0), 50))) == 50
        assert [it.row_count for it in fill(connection, schema).filled] == [12]


TYPES = ["INTEGER", "SMALLINT", "VARCHAR(1)", "VARCHAR(12)", "TEXT", "DATETIME", "DATE", "BOOLEAN", "NUMERIC(4, 2)"]
TYPES += ["CHAR(32)", "JSON", "BLOB", "FLOAT", ""]
RULES = ["", "UNIQUE", "DEFAULT 1", "CHECK ({0} <> '')", "CHECK ({0} IN ('a', 'b', 1))"]
COLUMNS = st.tuples(st.sampled_from(TYPES), st.booleans(), st.sampled_from(RULES))


@settings(max_examples=60, deadline=None)
@given(columns=st.lists(COLUMNS, min_size=1, max_size=5), keyed=st.booleans(), with_extremes=st.booleans())
def test_any_table_is_filled_or_reported_and_always_with_the_same_rows(
    columns: list[tuple[str, bool, str]],
    *,
    keyed: bool,
    with_extremes: bool,
) -> None:
    lines = [
        f"c{place} {type_} {'NOT NULL' * required} {extra.format(f'c{place}')}"
        for place, (type_, required, extra) in enumerate(columns)
    ]
    lines += ["PRIMARY KEY (c0)"] * keyed
    found = []
    for _ in range(2):
        with create_engine("sqlite://", poolclass=NullPool).connect() as connection:
            connection.exec_driver_sql(f"CREATE TABLE t ({', '.join(lines)})")
            schema = read_snapshot(connection)
            fillings = [fill(connection, schema, with_extremes=with_extremes) for _ in range(2)]
            rows = connection.exec_driver_sql("SELECT * FROM t").all()
            assert len(rows) == sum(it.row_count for filling in fillings for it in filling.filled)
            assert bool(rows) is not bool(fillings[0].unfilled)
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            found.append(rows)
    assert found[0] == found[1]
