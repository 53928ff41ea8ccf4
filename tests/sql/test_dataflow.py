"""Statements are read for what they do to rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.backends.postgresql.dialect import DIALECT as POSTGRESQL
from dormatory.backends.sqlite.dialect import DIALECT as SQLITE
from dormatory.sql.dataflow import Origin, read_dataflow

if TYPE_CHECKING:
    from dormatory.sql.dialect import Dialect


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE t SET b = upper(a)",
        'UPDATE ONLY "public"."t" AS x SET b = x."a" WHERE true',
        "UPDATE t SET (b, c) = (a, 1)",
        "INSERT INTO t (b) SELECT a || 'x' FROM s",
        "INSERT INTO t (b) (SELECT 'x' FROM r UNION ALL SELECT a FROM s)",
        "WITH s AS (SELECT a AS q FROM r) INSERT INTO t (b) SELECT q FROM s",
        "INSERT INTO t (b) WITH s AS (SELECT a AS q FROM r) SELECT q FROM s",
        "CREATE TABLE t AS SELECT a AS b FROM s",
        "ALTER TABLE t ALTER COLUMN b TYPE text USING a::text",
        "DO $x$ BEGIN UPDATE t SET b = a; END $x$",
        "INSERT INTO u (q) SELECT a FROM s; UPDATE t SET b = q FROM u",
    ],
)
def test_a_statement_shows_which_columns_are_derived_from_a_column(sql: str) -> None:
    found = read_dataflow(((sql, "x.py", 3),), POSTGRESQL)
    assert ("t", "b") in found.derived_columns("a")


@pytest.mark.parametrize(
    ("dialect", "update"),
    [
        (SQLITE, "UPDATE t SET b=? WHERE t.id = ?"),
        (POSTGRESQL, "UPDATE t SET b=%(b)s WHERE t.id = %(id_1)s"),
        (POSTGRESQL, "UPDATE t SET b=$1::VARCHAR WHERE t.id = $2::INTEGER"),
    ],
)
def test_statements_show_what_python_code_reads_and_writes(dialect: Dialect, update: str) -> None:
    found = read_dataflow((("SELECT id, a FROM t", "x.py", 3), (update, "x.py", 3)), dialect)
    assert found.update_statement("t", "b") == Origin("UPDATE", "x.py", 3)
    assert ("t", "b") in found.derived_columns("a")


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM t WHERE a = 1",
        "TRUNCATE TABLE s, t RESTART IDENTITY CASCADE",
        "WITH gone AS (DELETE FROM t RETURNING *) INSERT INTO s SELECT * FROM gone",
    ],
)
def test_a_statement_shows_which_table_it_deletes_from(sql: str) -> None:
    found = read_dataflow(((sql, "x.py", 3),), POSTGRESQL)
    assert str(found.delete_statement("t")).endswith("in line 3")


@pytest.mark.parametrize(
    "sql", ["", ";;", "UPDATE", "INSERT INTO", "DROP TABLE", "ALTER TABLE t", "UPDATE t SET", "DELETE FROM"]
)
def test_a_statement_of_unknown_form_writes_nothing(sql: str) -> None:
    assert read_dataflow(((sql, "x.py", 3),), POSTGRESQL).writes == []
