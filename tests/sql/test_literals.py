"""Literals of SQL and their values."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dormatory.sql.literals import quote_literal, string_value, text_form


@given(st.text())
def test_a_quoted_text_has_the_text_as_its_value(text: str) -> None:
    assert string_value(quote_literal(text)) == text


@pytest.mark.parametrize("literal", ["", "5", "$$a$$", "E'a'"])
def test_a_literal_of_another_form_is_returned_as_it_is(literal: str) -> None:
    assert string_value(literal) == literal


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (b"\x01\xff", "\\x01ff"), (Decimal("1E+3"), "1000"), (2, "2"), ("a", "a")]
)
def test_a_value_has_a_text_form_that_postgresql_reads(value: object, text: str) -> None:
    assert text_form(value) == text
