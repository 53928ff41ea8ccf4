"""Bring the text of a view into the form of the newest PostgreSQL version."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.dialect import DIALECT
from dormatory.sql.lexer import Token, TokenKind, render, tokenize
from dormatory.sql.nesting import nesting_depths, split_at_commas, top_level

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNQUALIFIED_SINCE = 160000  # server_version_num
_QUERY_KEYWORDS = frozenset({"SELECT", "WITH", "VALUES"})
_CLAUSES_AFTER_FROM = frozenset({"WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR"})
_SET_OPERATIONS = frozenset({"UNION", "INTERSECT", "EXCEPT"})
_JOIN_KEYWORDS = frozenset({"JOIN", "CROSS", "NATURAL"})


@lru_cache(maxsize=4096)
def view_definition(text: str, version: int) -> str:
    """Return the query of a view, in the form that the newest version gives it."""
    tokens = tokenize(text.rstrip().removesuffix(";"), DIALECT)
    if version < _UNQUALIFIED_SINCE:
        tokens = _without_table_prefix(tokens)
    return render(tokens, DIALECT, fold=False)


def _without_table_prefix(tokens: list[Token]) -> list[Token]:
    """Return a query without the table before its columns, if it reads one table only.

    Up to 15 the two entries for rules in a view's range table made ruleutils.c name the table of every column at the
    top of the query; since 16 it does so only where there are several tables, as it always did below the top.
    """
    # Keywords of the query itself: EXTRACT(year FROM ...) has a FROM of its own, one level down.
    words = [
        "" if depth or token.kind is not TokenKind.WORD else token.text
        for token, depth in zip(tokens, nesting_depths(tokens), strict=True)
    ]
    if "FROM" not in words or not _SET_OPERATIONS.isdisjoint(words):
        return tokens
    start = words.index("FROM") + 1
    end = next((place for place in range(start, len(words)) if words[place] in _CLAUSES_AFTER_FROM), len(words))
    alias = _only_alias(tokens[start:end])
    if alias is None:
        return tokens
    nested = _in_subquery(tokens)
    kept, place = list[Token](), 0
    while place < len(tokens):
        if not (nested[place] or start <= place < end) and _is_table_prefix(tokens, place, alias):
            place += 2
        kept.append(tokens[place])
        place += 1
    return kept


def _in_subquery(tokens: Sequence[Token]) -> list[bool]:
    """Return for each token whether the parentheses of a query enclose it."""
    nested, opened = list[bool](), list[bool]()
    for place, token in enumerate(tokens):
        if token.word == ")":
            opened.pop()
        nested.append(any(opened))
        if token.word == "(":
            opened.append(tokens[place + 1].text in _QUERY_KEYWORDS)
    return nested


def _only_alias(item: Sequence[Token]) -> str | None:
    """Return the name of the only table or subquery after FROM, None if there are several."""
    first = next((token.text for token in item if token.word != "("), "")
    if len(split_at_commas(item)) > 1 or (item[0].word == "(" and first not in _QUERY_KEYWORDS):
        return None  # a join is in parentheses
    outer = top_level(item)
    if any(token.kind is TokenKind.WORD and token.text in _JOIN_KEYWORDS for token in outer):
        return None
    texts = [token.text for token in outer]
    if "TABLESAMPLE" in texts:
        outer = outer[: texts.index("TABLESAMPLE")]
    return [token.text for token in outer if token.is_name][-1]


def _is_table_prefix(tokens: Sequence[Token], place: int, alias: str) -> bool:
    """Return whether a token is the table's name before a column: not a schema, and not the name of a whole row."""
    after = [token.text for token in tokens[place + 1 : place + 4]]
    before = tokens[place - 1].text if place else ""
    return (
        tokens[place].text == alias
        and tokens[place].is_name
        and before not in {".", "::"}
        and after[:1] == ["."]
        and after[1:2] != ["*"]
        and after[2:3] != ["("]
    )
