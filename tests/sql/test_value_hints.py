"""What SQL texts know of the values of columns."""

from __future__ import annotations

import pytest

from dormatory.backends.registry import dialect_by_name
from dormatory.sql.value_hints import ComparedValue, JSONRead, read_value_hints

COMPARED = {
    "an equation": ("WHERE u.kind = 'a'", {("kind", "a")}),
    "a cast": ("WHERE kind::text <> 'a'", {("kind", "a")}),
    "a function": ("WHERE lower(name) = 'x'", {("name", "x")}),
    "a list": ("WHERE kind NOT IN ('a', 'it''s')", {("kind", "a"), ("kind", "it's")}),
    "an array": ("WHERE kind = ANY (ARRAY['a', 'b'])", {("kind", "a"), ("kind", "b")}),
    "a pattern": ("WHERE name NOT LIKE 'adm_%'", {("name", "admaa"), ("name", "admba")}),
    "a case": ("SELECT CASE kind WHEN 'a' THEN 1 WHEN 'b' THEN 2 END", {("kind", "a"), ("kind", "b")}),
    "a searched case": ("CASE WHEN kind = 'a' THEN 1 END", {("kind", "a")}),
    "a mark": ("SET first = split_part(whole, ';', 1)", {("whole", "one;two")}),
    "a default": ("SET kind = coalesce(sort, 'none')", {("sort", "none")}),
    "nothing": ("INSERT INTO t (kind) VALUES ('a')", set()),
    "an unfinished text": ("'a' IN ( '", set()),
    "a call of nothing": ("SELECT json_array(), now(), json_extract()", set()),
    "a call that does not end": ("SELECT json_extract(", set()),
}
READ_AS_JSON = {
    "a key": ("WHERE payload ->> 'size' = '1'", {("size",)}),
    "keys of keys": ("SELECT payload -> 'size' ->> 'height'", {("size",), ("height",)}),
    "a path": ("SELECT payload #>> '{size,height}'", {("size", "height")}),
    "a cast": ("SET x = payload::jsonb", {()}),
    "a function": ("SELECT json_extract(payload, '$.parts[0].name')", {(), ("parts", "[]", "name")}),
    "CAST": ("SELECT CAST(payload AS json)", {()}),
}


@pytest.mark.parametrize("case", COMPARED)
def test_literals_belong_to_the_column_they_are_compared_with(case: str) -> None:
    sql, expected = COMPARED[case]

    found = read_value_hints(sql, dialect_by_name("postgresql"))

    assert {(it.column, it.text) for it in found if isinstance(it, ComparedValue)} == expected


@pytest.mark.parametrize("case", READ_AS_JSON)
def test_a_column_that_is_read_as_json_comes_with_the_places_that_are_read(case: str) -> None:
    sql, expected = READ_AS_JSON[case]

    found = [it for it in read_value_hints(sql, dialect_by_name("postgresql")) if isinstance(it, JSONRead)]

    assert {it.path for it in found} == expected
    assert {it.column for it in found} == {"payload"}
