"""Tokens and their parentheses: how deep each token stands, what closes a parenthesis, which commas divide a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dormatory.sql.lexer import Token


def nesting_depths(tokens: Iterable[Token]) -> Iterator[int]:
    """Yield for each token in how many parentheses it stands; a parenthesis itself stands outside."""
    depth = 0
    for token in tokens:
        word = token.word
        if word == ")":
            depth -= 1
        yield depth
        if word == "(":
            depth += 1


def top_level(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens that stand in no parentheses."""
    return [token for token, depth in zip(tokens, nesting_depths(tokens), strict=True) if not depth]


def closing_parenthesis(tokens: Sequence[Token], opening: int) -> int:
    """Return the place of the parenthesis that closes the one at `opening`, the number of tokens if none does."""
    depth = 0
    for place in range(opening, len(tokens)):
        word = tokens[place].word
        depth += (word == "(") - (word == ")")
        if not depth:
            return place
    return len(tokens)


def split_at_commas(tokens: Sequence[Token]) -> list[list[Token]]:
    """Return the runs of tokens between the commas that stand in no parentheses."""
    runs: list[list[Token]] = [[]]
    for token, depth in zip(tokens, nesting_depths(tokens), strict=True):
        if token.word == "," and not depth:
            runs.append([])
        else:
            runs[-1].append(token)
    return runs


def without_parentheses(tokens: Sequence[Token]) -> list[Token]:
    """Return an expression without the parentheses that enclose all of it."""
    inner = list(tokens)
    while inner and inner[0].word == "(" and closing_parenthesis(inner, 0) == len(inner) - 1:
        inner = inner[1:-1]
    return inner
