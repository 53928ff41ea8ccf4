"""Lines that are broken between words, with a column at the right."""

from __future__ import annotations

import io

import pytest

from dormatory.report.layout import column_after, line_width, shorten_words, wrap_parts, wrap_words


def test_no_word_is_cut_not_even_one_that_is_too_long() -> None:
    assert wrap_words("a bed in room 100000000000000000000000 is lost", 20, "  ") == [
        "  a bed in room",
        "  100000000000000000000000",
        "  is lost",
    ]


def test_without_a_width_nothing_is_broken() -> None:
    assert wrap_words("word " * 100, None, "  ") == ["  " + "word " * 100]
    assert column_after("line", "column", None) == "  column"
    assert wrap_parts(["a", "b"], None) == ["a · b"]


def test_a_column_ends_at_the_width_on_the_line_or_below_it() -> None:
    assert column_after("12345", "abc", 10) == "  abc"
    assert column_after("123456", "abc", 10) == "\n       abc"


def test_parts_stay_together_where_they_can() -> None:
    assert wrap_parts(["1 error", "13 revisions on SQLite", "1 suppressed"], 30) == [
        "1 error",
        "  13 revisions on SQLite",
        "  1 suppressed",
    ]


@pytest.mark.parametrize(("limit", "shown"), [(None, "a bed in a room"), (15, "a bed in a room"), (9, "a bed …")])
def test_an_excerpt_ends_after_a_word(limit: int | None, shown: str) -> None:
    assert shorten_words("a bed in a room", limit) == shown


@pytest.mark.parametrize(("columns", "width"), [("100", 100), ("10", 40), ("", None), ("wide", None), ("0", None)])
def test_the_width_is_that_of_columns_where_there_is_no_terminal(columns: str, width: int | None) -> None:
    assert line_width(io.StringIO(), {"COLUMNS": columns}) == width
