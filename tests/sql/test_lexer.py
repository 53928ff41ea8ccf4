"""SQL text is compared as tokens."""

from __future__ import annotations

import pytest

from dormatory.sql.lexer import Kind, Syntax, canonical, identifier, tokenize

BOTH = (Syntax.SQLITE, Syntax.POSTGRESQL)

SAME = [
    (BOTH, "a  >\n\t 1", "a > 1"),
    (BOTH, "SELECT A", "select a"),
    (BOTH, 'select "a"', "select a"),
    (BOTH, "a -- it's gone\n> 1", "a > 1"),
    (BOTH, "a /* -- */ > 1", "a > 1"),
    (BOTH, "in('a')", "IN ( 'a' )"),
    (BOTH, "1E5", "1e5"),
    (BOTH, "-1", "- 1"),
    (BOTH, "x'ab' ", "x'ab'"),
    ((Syntax.SQLITE,), '[a] + `b` + "C"', "a + b + c"),
    ((Syntax.SQLITE,), "a /* one /* two */ > 1", "a > 1"),
    ((Syntax.SQLITE,), '"key"', "key"),
    ((Syntax.POSTGRESQL,), "a /* one /* two */ three */ > 1", "a > 1"),
    ((Syntax.POSTGRESQL,), "a::text", "a :: text"),
]

DIFFERENT = [
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


@pytest.mark.parametrize(("syntax", "one", "other"), _cases(SAME))
def test_texts_with_the_same_tokens_have_one_spelling(syntax: Syntax, one: str, other: str) -> None:
    assert canonical(one, syntax) == canonical(other, syntax)


@pytest.mark.parametrize(("syntax", "one", "other"), _cases(DIFFERENT))
def test_texts_with_other_tokens_have_other_spellings(syntax: Syntax, one: str, other: str) -> None:
    assert canonical(one, syntax) != canonical(other, syntax)


@pytest.mark.parametrize("syntax", BOTH)
@pytest.mark.parametrize(
    "sql",
    [
        "CHECK (kind in ('a', 'b') and \"Odd name\" <> -1.5e3)",
        'create trigger t after insert on "a b" begin select count(*) over (order by x desc), coalesce(a, b); end',
        "a - -1 + (- b) * +2 || 'x' || u&'\\0041'",
    ],
)
def test_the_one_spelling_is_its_own_spelling(syntax: Syntax, sql: str) -> None:
    assert canonical(canonical(sql, syntax), syntax) == canonical(sql, syntax)


@pytest.mark.parametrize("syntax", BOTH)
@pytest.mark.parametrize(
    "sql", ["'never closed", '"never closed', "/* never closed", "$$ never", "[", "\\", "", "  \n"]
)
def test_broken_text_gives_tokens_and_no_error(syntax: Syntax, sql: str) -> None:
    spelled = canonical(sql, syntax)

    assert canonical(spelled, syntax) == spelled
    assert spelled.replace(" ", "") == sql.replace(" ", "").strip() or sql == "/* never closed"


def test_a_comment_ends_a_word() -> None:
    assert [token.text for token in tokenize("a/**/b", Syntax.SQLITE)] == ["a", "b"]


def test_a_quoted_name_keeps_what_its_quotes_hold() -> None:
    (token,) = tokenize('"a ""b"" c"', Syntax.POSTGRESQL)

    assert (token.kind, token.text) == (Kind.NAME, 'a "b" c')
    assert identifier(token.text, Syntax.POSTGRESQL) == '"a ""b"" c"'
