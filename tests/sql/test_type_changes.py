"""What a change of type does to the values of a column."""

from __future__ import annotations

import pytest

from dormatory.sql.type_changes import TypeChange, type_change


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("integer", "bigint", TypeChange.SAFE),
        ("bigint", "integer", TypeChange.NARROWER),
        ("VARCHAR(10)", "TEXT", TypeChange.SAFE),
        ("character varying(50)", "character varying(10)", TypeChange.NARROWER),
        ("uuid", "character varying(36)", TypeChange.SAFE),
        ("integer", "text", TypeChange.SAFE),
        ("text", "integer", TypeChange.PARSED),
        ("json", "text", TypeChange.PARSED),
        ("json", "jsonb", TypeChange.SAFE),
        ("NUMERIC(10, 2)", "NUMERIC(12, 2)", TypeChange.SAFE),
        ("numeric(10,2)", "numeric(12,1)", TypeChange.ROUNDED),
        ("numeric", "numeric(5,1)", TypeChange.ROUNDED),
        ("numeric(10,2)", "integer", TypeChange.ROUNDED),
        ("integer", "numeric(12,2)", TypeChange.SAFE),
        ("integer", "numeric(8,2)", TypeChange.NARROWER),
        ("integer", "double precision", TypeChange.SAFE),
        ("bigint", "double precision", TypeChange.ROUNDED),
        ("integer[]", "bigint[]", TypeChange.SAFE),
        ("DATETIME", "DATE", TypeChange.CUT),
        ("date", "timestamp without time zone", TypeChange.SAFE),
        ("timestamp without time zone", "timestamp with time zone", TypeChange.PARSED),
        ("boolean", "integer", TypeChange.SAFE),
        ("integer", "boolean", TypeChange.CUT),
    ],
)
def test_a_change_of_type_is_known_by_what_it_does_to_values(old: str, new: str, expected: TypeChange) -> None:
    assert type_change(old, new) is expected
