"""SQL text in pieces: statements, the code in strings, lists, and what is quoted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dormatory.backends.postgresql.dialect import DIALECT as POSTGRESQL
from dormatory.backends.sqlite.dialect import DIALECT as SQLITE
from dormatory.sql.lexer import tokenize
from dormatory.sql.nesting import split_at_commas, without_parentheses
from dormatory.sql.split import (
    executed_statements,
    quoted_code,
    split_expressions,
    statements_with_lines,
    text_in_parentheses,
    text_spans,
    without_trailing_space,
)

if TYPE_CHECKING:
    from dormatory.sql.dialect import Dialect

BOTH = (SQLITE, POSTGRESQL)
TEXTS = st.text(alphabet="ab$'\"`[]\\-*/eE \n\t;()")


@given(TEXTS, st.sampled_from(BOTH))
def test_text_spans_joined_give_the_text_back(text: str, dialect: Dialect) -> None:
    assert "".join(piece.text for piece in text_spans(text, dialect)) == text


def test_trailing_blanks_are_removed_unless_they_are_quoted() -> None:
    text = "a  \n'b  \nc' , -- d \n\te \t\n$x$ f  \n$x$  "

    assert without_trailing_space(text, POSTGRESQL) == "a\n'b  \nc' , -- d\n\te\n$x$ f  \n$x$"


@pytest.mark.parametrize(
    ("dialect", "sql", "expected"),
    [
        (POSTGRESQL, "", []),
        (POSTGRESQL, "SELECT 1", [(1, "SELECT 1")]),
        (POSTGRESQL, "SELECT ';';\n\n-- a; comment\nSELECT 2 ;\n", [(1, "SELECT ';'"), (4, "SELECT 2")]),
        (
            POSTGRESQL,
            "/* a;\n */ SELECT $x$ ; $x$ ; SELECT E'\\';' ;",
            [(2, "SELECT $x$ ; $x$"), (2, "SELECT E'\\';'")],
        ),
        (POSTGRESQL, 'INSERT INTO "a;b" VALUES (1) -- end;', [(1, 'INSERT INTO "a;b" VALUES (1) -- end;')]),
        (SQLITE, "DELETE FROM [a;b]; -- nothing more", [(1, "DELETE FROM [a;b]")]),
    ],
)
def test_a_text_is_split_into_statements(dialect: Dialect, sql: str, expected: list[tuple[int, str]]) -> None:
    assert list(statements_with_lines(sql, dialect)) == expected


@given(TEXTS, st.sampled_from(BOTH))
def test_broken_text_has_statements_and_no_error(text: str, dialect: Dialect) -> None:
    assert all(statement in text for _, statement in statements_with_lines(text, dialect))
    assert text_in_parentheses(text, dialect) in text
    assert all(part in text for part in split_expressions(text, dialect))


def test_the_statements_of_a_do_block_are_executed_ones() -> None:
    sql = "DO $$ BEGIN IF a THEN ALTER TABLE b ADD c int; END IF; EXECUTE 'x'; END $$; DROP TABLE d"

    found = [" ".join(token.text for token in run) for run in executed_statements(sql, POSTGRESQL)]

    assert found == ["ALTER TABLE b ADD c int", "DROP TABLE d"]


@pytest.mark.parametrize(
    ("literal", "quote", "code"),
    [("$x$ a $$ $x$", "$x$", " a $$ "), ("$$$$", "$$", ""), ("'a'", "'", "a"), ("E'a'", "'", "a")],
)
def test_a_string_that_holds_code_has_a_quote_and_the_code(literal: str, quote: str, code: str) -> None:
    assert quoted_code(literal) == (quote, code)


def test_a_list_is_split_at_its_own_commas_only() -> None:
    assert split_expressions("lower(a, b), 'c, d', (e)", POSTGRESQL) == ["lower(a, b)", "'c, d'", "(e)"]
    assert text_in_parentheses("x) CHECK (a = ')' AND (b)) z)", SQLITE) == "a = ')' AND (b)"
    assert text_in_parentheses("CHECK (a", SQLITE) == ""
    runs = split_at_commas(tokenize("f(a, b), (c, d)", POSTGRESQL))
    assert [len(run) for run in runs] == [6, 5]


@pytest.mark.parametrize(
    ("sql", "expected"), [("((a))", "a"), ("(a) + (b)", "(a)+(b)"), ("(a", "(a"), ("()", ""), ("", "")]
)
def test_parentheses_around_a_whole_expression_are_removed(sql: str, expected: str) -> None:
    assert "".join(token.text for token in without_parentheses(tokenize(sql, SQLITE))) == expected
