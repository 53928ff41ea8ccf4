"""SQL text is compared as tokens."""

from __future__ import annotations

import pytest

from dormatory.sql.lexer import Syntax, TokenKind, canonical_sql, identifier, tokenize

BOTH_SYNTAXES = (Syntax.SQLITE, Syntax.POSTGRESQL)

EQUAL_CASES = [
    (BOTH_SYNTAXES, "a  >\n\t 1", "a > 1"),
    (BOTH_SYNTAXES, "SELECT A", "select a"),
    (BOTH_SYNTAXES, 'select "a"', "select a"),
    (BOTH_SYNTAXES, "a -- it's gone\n> 1", "a > 1"),
    (BOTH_SYNTAXES, "a /* -- */ > 1", "a > 1"),
    (BOTH_SYNTAXES, "in('a')", "IN ( 'a' )"),
    (BOTH_SYNTAXES, "1E5", "1e5"),
    (BOTH_SYNTAXES, "-1", "- 1"),
    (BOTH_SYNTAXES, "x'ab' ", "x'ab'"),
    ((Syntax.SQLITE,), '[a] + `b` + "C"', "a + b + c"),
    ((Syntax.SQLITE,), "a /* one /* two */ > 1", "a > 1"),
    ((Syntax.SQLITE,), '"key"', "key"),
    ((Syntax.POSTGRESQL,), "a /* one /* two */ three */ > 1", "a > 1"),
    ((Syntax.POSTGRESQL,), "a::text", "a :: text"),
]

DIFFERENT_CASES = [
    (BOTH_SYNTAXES, "'a  b'", "'a b'"),
    (BOTH_SYNTAXES, "'A'", "'a'"),
    (BOTH_SYNTAXES, "'a -- b'", "'a'"),
    (BOTH_SYNTAXES, "'it''s'", "'its'"),
    (BOTH_SYNTAXES, '"a b"', "a b"),
    (BOTH_SYNTAXES, '"select"', "select"),
    (BOTH_SYNTAXES, '"true"', "true"),
    (BOTH_SYNTAXES, "a - 1", "a"),
    (BOTH_SYNTAXES, "a.b", "a, b"),
    (BOTH_SYNTAXES, "1.0", "1.00"),
    (BOTH_SYNTAXES, "a <= b", "a < b"),
    (BOTH_SYNTAXES, "ab", "a b"),
    ((Syntax.SQLITE,), "x'ab'", "x 'ab'"),
    ((Syntax.POSTGRESQL,), '"A"', "a"),
    ((Syntax.POSTGRESQL,), r"E'a\'b'", r"E'a\''"),
    ((Syntax.POSTGRESQL,), "$$a -- b$$", "$$a$$"),
    ((Syntax.POSTGRESQL,), "$x$ a $$ b $x$", "$x$ a $x$"),
    ((Syntax.POSTGRESQL,), "a @> b", "a @ > b"),
    ((Syntax.POSTGRESQL,), "a[1]", "a(1)"),
]


def _cases(table: list[tuple[tuple[Syntax, ...], str, str]]) -> list[tuple[Syntax, str, str]]:
    return [(syntax, one, other) for syntaxes, one, other in table for syntax in syntaxes]


@pytest.mark.parametrize(("syntax", "one", "other"), _cases(EQUAL_CASES))
def test_texts_with_the_same_tokens_have_one_spelling(syntax: Syntax, one: str, other: str) -> None:
    assert canonical_sql(one, syntax) == canonical_sql(other, syntax)


@pytest.mark.parametrize(("syntax", "one", "other"), _cases(DIFFERENT_CASES))
def test_texts_with_different_tokens_have_different_spellings(syntax: Syntax, one: str, other: str) -> None:
    assert canonical_sql(one, syntax) != canonical_sql(other, syntax)


@pytest.mark.parametrize("syntax", BOTH_SYNTAXES)
@pytest.mark.parametrize(
    "sql",
    [
        "CHECK (kind in ('a', 'b') and \"Odd name\" <> -1.5e3)",
        'create trigger t after insert on "a b" begin select count(*) over (order by x desc), coalesce(a, b); end',
        "a - -1 + (- b) * +2 || 'x' || u&'\\0041'",
    ],
)
def test_the_canonical_spelling_is_stable(syntax: Syntax, sql: str) -> None:
    assert canonical_sql(canonical_sql(sql, syntax), syntax) == canonical_sql(sql, syntax)


@pytest.mark.parametrize("syntax", BOTH_SYNTAXES)
@pytest.mark.parametrize(
    "sql", ["'never closed", '"never closed', "/* never closed", "$$ never", "[", "\\", "", "  \n"]
)
def test_broken_text_gives_tokens_and_no_error(syntax: Syntax, sql: str) -> None:
    spelled = canonical_sql(sql, syntax)

    assert canonical_sql(spelled, syntax) == spelled
    assert spelled.replace(" ", "") == sql.replace(" ", "").strip() or sql == "/* never closed"


def test_a_comment_ends_a_word() -> None:
    assert [token.text for token in tokenize("a/**/b", Syntax.SQLITE)] == ["a", "b"]


def test_a_quoted_name_keeps_what_its_quotes_hold() -> None:
    (token,) = tokenize('"a ""b"" c"', Syntax.POSTGRESQL)

    assert (token.kind, token.text) == (TokenKind.NAME, 'a "b" c')
    assert identifier(token.text, Syntax.POSTGRESQL) == '"a ""b"" c"'
