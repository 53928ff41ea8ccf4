"""The parts of a statement that moves data: its tables, its clauses, the columns that it copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.sql.lexer import Token, TokenKind
from dormatory.sql.nesting import nesting_depths, split_at_commas, without_parentheses

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


_CLAUSE_WORDS = frozenset({"from", "where", "returning", "on", "order", "limit", "using", "when"})


def table_name_token_count(tokens: Sequence[Token], at: int) -> int:
    """Return how many tokens the name of a table has: three with its namespace."""
    return 3 if [token.text for token in tokens[at + 1 : at + 2]] == ["."] else 1


def table_at(tokens: Sequence[Token], at: int) -> str:
    """Return the table whose name begins at a place, without its namespace."""
    at += at < len(tokens) and tokens[at].word == "only"
    end = at + table_name_token_count(tokens, at)
    return tokens[end - 1].text.lower() if end <= len(tokens) else ""


def truncated_tables(tokens: Sequence[Token]) -> list[str]:
    """Return the tables that a TRUNCATE lists."""
    words = {"table", "only", "restart", "continue", "identity", "cascade", "restrict"}
    return [
        table_at(item, 0) for item in split_at_commas([token for token in tokens if token.word not in words]) if item
    ]


def position_after(words: Sequence[str], at: int, word: str) -> int:
    """Return the place after a word that follows soon, as INTO follows INSERT OR IGNORE; 0 if it does not."""
    next_words = words[at + 1 : at + 4]
    return at + 2 + next_words.index(word) if word in next_words else 0


def clause_end(tokens: Sequence[Token], start: int) -> int:
    """Return where the next clause begins outside of parentheses."""
    for place, depth in enumerate(nesting_depths(tokens[start:]), start):
        if not depth and tokens[place].word in _CLAUSE_WORDS and tokens[place].kind is TokenKind.WORD:
            return place
    return len(tokens)


def select_bodies(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Yield what follows each SELECT that a UNION joins; a SELECT in parentheses counts only if they enclose it all."""
    tokens = without_parentheses(tokens)
    found, is_started = list[Token](), False
    for token, depth in zip(tokens, nesting_depths(tokens), strict=True):
        if not depth and token.word in {"union", "select"}:
            if is_started and found:
                yield found
            found, is_started = [], token.word == "select"
        elif is_started and not (token.word in {"distinct", "all"} and not found):
            found.append(token)
    if is_started:
        yield found


def source_tables(tokens: Sequence[Token]) -> frozenset[str]:
    """Return the tables that are read from."""
    found = [table_at(tokens, at + 1) for at, token in enumerate(tokens[:-1]) if token.word in {"from", "join"}]
    return frozenset(found)


def column_label(item: Sequence[Token]) -> str:
    """Return the alias of an item of a SELECT list, or its own name."""
    return item[-1].text.lower() if item and item[-1].is_name else ""


def copied_column(item: Sequence[Token]) -> str:
    """Return the column that an expression takes unchanged or only casts, "" for any other expression."""
    words = [token.word for token in item]
    inner = list(item)
    if words[:2] == ["cast", "("] and "as" in words:
        inner = inner[2 : words.index("as")]
    elif "::" in words:
        inner = inner[: words.index("::")]
    elif "as" in words:
        inner = inner[: words.index("as")]
    named = [token for token in inner if token.is_name]
    rest = [token for token in inner if not token.is_name and token.text != "."]
    return named[-1].text.lower() if named and not rest and len(inner) in {1, 3} else ""
