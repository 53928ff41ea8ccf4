"""SQL texts are compared as tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.backends.postgresql.dialect import DIALECT as POSTGRESQL
from dormatory.backends.sqlite.dialect import DIALECT as SQLITE
from dormatory.sql.lexer import TokenKind, canonical_sql, tokenize

if TYPE_CHECKING:
    from dormatory.sql.dialect import Dialect

BOTH = (SQLITE, POSTGRESQL)

EQUAL_CASES = [
    (BOTH, "a  >\n\t 1", "a > 1"),
    (BOTH, "SELECT A", "select a"),
    (BOTH, 'select "a"', "select a"),
    (BOTH, "a -- it's gone\n> 1", "a > 1"),
    (BOTH, "a /* -- */ > 1", "a > 1"),
    (BOTH, "in('a')", "IN ( 'a' )"),
    (BOTH, "1E5", "1e5"),
    (BOTH, "-1", "- 1"),
    (BOTH, "x'ab' ", "x'ab'"),
    ((SQLITE,), '[a] + `b` + "C"', "a + b + c"),
    ((SQLITE,), "a /* one /* two */ > 1", "a > 1"),
    ((SQLITE,), '"key"', "key"),
    ((POSTGRESQL,), "a /* one /* two */ three */ > 1", "a > 1"),
    ((POSTGRESQL,), "a::text", "a :: text"),
]

DIFFERENT_CASES = [
    (BOTH, "'a  b'", "'a b'"),
    (BOTH, "'A'", "'a'"),
    (BOTH, "'a -- b'", "'a'"),
    (BOTH, "'it''s'", "'its'"),
    (BOTH, '"a b"', "a b"),
    (BOTH, '"select"', "select"),
    (BOTH, '"true"', "true"),
    (BOTH, "a - 1", "a"),
    (BOTH, "a.b", "a, b"),
    (BOTH, "1.0", "1.00"),
    (BOTH, "a <= b", "a < b"),
    (BOTH, "ab", "a b"),
    ((SQLITE,), "x'ab'", "x 'ab'"),
    ((POSTGRESQL,), '"A"', "a"),
    ((POSTGRESQL,), r"E'a\'b'", r"E'a\''"),
    ((POSTGRESQL,), "$$a -- b$$", "$$a$$"),
    ((POSTGRESQL,), "$x$ a $$ b $x$", "$x$ a $x$"),
    ((POSTGRESQL,), "a @> b", "a @ > b"),
    ((POSTGRESQL,), "a[1]", "a(1)"),
]


def _cases(table: list[tuple[tuple[Dialect, ...], str, str]]) -> list[tuple[Dialect, str, str]]:
    return [(dialect, one, other) for syntaxes, one, other in table for dialect in syntaxes]


@pytest.mark.parametrize(("dialect", "one", "other"), _cases(EQUAL_CASES))
def test_texts_with_the_same_tokens_have_one_spelling(dialect: Dialect, one: str, other: str) -> None:
    assert canonical_sql(one, dialect) == canonical_sql(other, dialect)


@pytest.mark.parametrize(("dialect", "one", "other"), _cases(DIFFERENT_CASES))
def test_texts_with_different_tokens_have_different_spellings(dialect: Dialect, one: str, other: str) -> None:
    assert canonical_sql(one, dialect) != canonical_sql(other, dialect)


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize(
    "sql",
    [
        "CHECK (kind in ('a', 'b') and \"Odd name\" <> -1.5e3)",
        'create trigger t after insert on "a b" begin select count(*) over (order by x desc), coalesce(a, b); end',
        "a - -1 + (- b) * +2 || 'x' || u&'\\0041'",
    ],
)
def test_the_canonical_spelling_is_stable(dialect: Dialect, sql: str) -> None:
    assert canonical_sql(canonical_sql(sql, dialect), dialect) == canonical_sql(sql, dialect)


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize(
    "sql", ["'never closed", '"never closed', "/* never closed", "$$ never", "[", "\\", "", "  \n"]
)
def test_broken_text_gives_tokens_and_no_error(dialect: Dialect, sql: str) -> None:
    spelled = canonical_sql(sql, dialect)

    assert canonical_sql(spelled, dialect) == spelled
    assert spelled.replace(" ", "") == sql.replace(" ", "").strip() or sql == "/* never closed"


def test_a_comment_ends_a_word() -> None:
    assert [token.text for token in tokenize("a/**/b", SQLITE)] == ["a", "b"]


def test_a_quoted_name_keeps_what_its_quotes_hold() -> None:
    (token,) = tokenize('"a ""b"" c"', POSTGRESQL)

    assert (token.kind, token.text) == (TokenKind.NAME, 'a "b" c')
    assert POSTGRESQL.quote_identifier(token.text) == '"a ""b"" c"'
