"""Conditions are evaluated for a row; what only a database can compute is undecided."""

from __future__ import annotations

from typing import Any

import pytest

from dormatory.backends.postgresql.dialect import DIALECT as POSTGRESQL
from dormatory.backends.sqlite.dialect import DIALECT as SQLITE
from dormatory.sql.evaluate import UNDECIDED, evaluate, is_surely_false
from dormatory.sql.expression import portable_expression

ROW: dict[str, Any] = {"n": 5, "f": 0.5, "s": "Ab-1", "none": None, "d": "2024-02-29", "j": '{"a": 1}', "yes": True}
ON_POSTGRESQL = [
    ("n > 4 AND n <= 5", True),
    ("n BETWEEN 1 AND 4", False),
    ("n > 9 OR none > 1", None),
    ("n > 1 OR none > 1", True),
    ("none IS NULL", True),
    ("none IS NOT NULL", False),
    ("none <> 'x'", None),
    ("n IS DISTINCT FROM 5", False),
    ("NOT (n = 5)", False),
    ("(s)::text = ANY ((ARRAY['x'::character varying, 'Ab-1'::character varying])::text[])", True),
    ("n = ANY (ARRAY[1, 2])", False),
    ("n <> ALL (ARRAY[1, 2])", True),
    ("(s)::text ~ '^[A-Z][[:lower:]]-\\d$'::text", True),
    ("s ~* '^AB'", True),
    ("s !~ '^A'", False),
    ("s ~~ 'A_-%'::text", True),
    ("s ~~ 'a%'::text", False),
    ("s ~~* 'a%'::text", True),
    ("char_length(s) = 4", True),
    ("lower(s) = 'ab-1'", True),
    ("substr(s, 1, 1) = 'B'", False),
    ("btrim(s) <> ''", True),
    ("n % 2 = 1", True),
    ("n / 2 = 2", True),
    ("n * 2 - 1 = 9", True),
    ("- n < 0", True),
    ("f < 0.6", True),
    ("s || 'x' = 'Ab-1x'", True),
    ("d < '2024-03-01'::date", True),
    ("n = '5'", True),
    ("yes", True),
    ("NOT yes", False),
    ("coalesce(none, n) = 5", True),
    ("num_nonnulls(n, none) = 1", True),
    ("jsonb_typeof(j) = 'object'", True),
    ("CASE WHEN n > 3 THEN s <> '' ELSE false END", True),
    ("CASE WHEN n > 7 THEN s <> '' ELSE false END", False),
    ("s = E'A\\'b'", False),
    ("my_function(s)", UNDECIDED),
    ("my_function(s) AND n > 9", False),
    ("my_function(s) OR n > 1", True),
    ("elsewhere > 3", UNDECIDED),
]
ON_SQLITE = [
    ("s GLOB 'A[a-z]-[0-9]'", True),
    ("s GLOB '[^A]*'", False),
    ("s LIKE 'aB%'", True),
    ("json_valid(j)", True),
    ("json_valid(s)", False),
    ("n IN (4, 5)", True),
    ("n NOT IN (4, 5)", False),
    ("length(none) = 3", None),
    ("n IS 5", True),
    ("strftime('%Y', d) = '2024'", UNDECIDED),
]


@pytest.mark.parametrize(("sql", "expected"), ON_POSTGRESQL)
def test_a_postgresql_condition_is_evaluated(sql: str, expected: object) -> None:
    assert as_truth_value(evaluate(portable_expression(sql, POSTGRESQL), ROW)) is expected


@pytest.mark.parametrize(("sql", "expected"), ON_SQLITE)
def test_a_sqlite_condition_is_evaluated(sql: str, expected: object) -> None:
    assert as_truth_value(evaluate(portable_expression(sql, SQLITE), ROW)) is expected


def as_truth_value(value: Any) -> Any:
    return bool(value) if isinstance(value, int) else value


def test_only_a_surely_false_condition_rejects_a_row() -> None:
    answers = {
        sql: is_surely_false(portable_expression(sql, SQLITE), ROW) for sql in ("n > 9", "none > 9", "f(n)", "n")
    }
    assert answers == {"n > 9": True, "none > 9": False, "f(n)": False, "n": False}
