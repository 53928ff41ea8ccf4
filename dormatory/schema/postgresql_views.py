"""What a view's text looks like on one PostgreSQL major version and not on another."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from dormatory.schema.tokens import Kind, Syntax, Token, render, split, tokenize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BARE_SINCE = 160000  # server_version_num
_QUERIES = frozenset({"SELECT", "WITH", "VALUES"})
_AFTER_FROM = frozenset({"WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR"})
_SETS = frozenset({"UNION", "INTERSECT", "EXCEPT"})
_JOINS = frozenset({"JOIN", "CROSS", "NATURAL"})


@lru_cache(maxsize=4096)
def view_definition(text: str, version: int) -> str:
    """Return the query of a view, in the form that the newest version gives it."""
    tokens = tokenize(text.rstrip().removesuffix(";"), Syntax.POSTGRESQL)
    if version < _BARE_SINCE:
        tokens = _without_prefix(tokens)
    return render(tokens, Syntax.POSTGRESQL, fold=False)


def _without_prefix(tokens: list[Token]) -> list[Token]:
    """Return a query without the table before its columns, if it reads one table only.

    Up to 15 the two entries for rules in a view's range table made ruleutils.c name the table of every column at the
    top of the query; since 16 it does so only where there are several tables, as it always did below the top.
    """
    top = _top_level(tokens)
    words = [tokens[place].text if place in top and tokens[place].kind is Kind.WORD else "" for place in range(len(tokens))]
    if "FROM" not in words or _SETS.intersection(words):
        return tokens
    start = words.index("FROM") + 1
    end = next((place for place in range(start, len(words)) if words[place] in _AFTER_FROM), len(words))
    item = tokens[start:end]
    if _JOINS.intersection(words[start:end]) or len(list(split(item))) != 1:
        return tokens
    alias = _alias(item)
    return [token for place, token in enumerate(tokens) if not _is_prefix(tokens, place, top, alias)]
