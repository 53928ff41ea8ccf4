"""The clauses of a statement that moves data: where one begins, which names it holds, which column it copies."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from dormatory.sql.cursor import split_at_commas, without_parentheses
from dormatory.sql.lexer import Token, TokenKind, tokenize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dormatory.sql.dialect import Dialect

NAME_KINDS = (
    TokenKind.WORD,
    TokenKind.NAME,
)  # to look for one in a set would call its hash, which is written in Python
_CLAUSE_WORDS = frozenset({"from", "where", "returning", "on", "order", "limit", "using", "when"})


@lru_cache(maxsize=1024)  # every leg is looked at from several sides, and one of two legs is played again
def tokenize_statement(sql: str, dialect: Dialect) -> tuple[Token, ...]:
    """Return the tokens of a statement as it was sent: the = before a %(mark)s is no part of an operator."""
    found = list[Token]()
    for token in tokenize(sql, dialect):
        if token.kind is TokenKind.SYMBOL and token.text == "=%":
            found += [Token(TokenKind.SYMBOL, "=", "="), Token(TokenKind.SYMBOL, "%", "%")]
        else:
            found.append(token)
    return tuple(found)


def split_by_semicolon(tokens: Iterable[Token]) -> Iterator[list[Token]]:
    """Yield the statements between semicolons."""
    statement: list[Token] = []
    for token in tokens:
        if token.word == ";":
            yield statement
            statement = []
        else:
            statement.append(token)
    yield statement


def table_name_token_count(tokens: Sequence[Token], at: int) -> int:
    """Return how many tokens a table's name takes."""
    return 3 if [token.text for token in tokens[at + 1 : at + 2]] == ["."] else 1


def table_at(tokens: Sequence[Token], at: int) -> str:
    """Return the table that is named at a place, without its namespace."""
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
    """Return the place behind a word that follows soon, as INTO does INSERT OR IGNORE, 0 if it does not."""
    next_words = words[at + 1 : at + 4]
    return at + 2 + next_words.index(word) if word in next_words else 0


def clause_end(tokens: Sequence[Token], start: int) -> int:
    """Return where the next clause begins outside of parentheses."""
    depth = 0
    for at in range(start, len(tokens)):
        depth += (tokens[at].word == "(") - (tokens[at].word == ")")
        if not depth and tokens[at].word in _CLAUSE_WORDS and tokens[at].kind is TokenKind.WORD:
            return at
    return len(tokens)


def closing_parenthesis(tokens: Sequence[Token], at: int) -> int:
    """Return where the parenthesis that opens at a place closes."""
    depth = 0
    for position in range(at, len(tokens)):
        depth += (tokens[position].word == "(") - (tokens[position].word == ")")
        if not depth:
            return position
    return len(tokens) - 1


def select_bodies(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Yield what follows SELECT, for each that a UNION joins; not those in parentheses, unless all is."""
    tokens = without_parentheses(tokens)
    depth, found = 0, list[Token]()
    started = False
    for token in tokens:
        depth += (token.word == "(") - (token.word == ")")
        if not depth and token.word in {"union", "select"}:
            if started and found:
                yield found
            found, started = [], token.word == "select"
        elif started and not (token.word in {"distinct", "all"} and not found):
            found.append(token)
    if started:
        yield found


def dollar_quoted_body(text: str) -> str:
    """Return what stands between dollar quotes."""
    delimiter = text[: text.index("$", 1) + 1]
    return text[len(delimiter) : -len(delimiter)]


def source_tables(tokens: Sequence[Token]) -> frozenset[str]:
    """Return the tables that are read from."""
    found = [table_at(tokens, at + 1) for at, token in enumerate(tokens[:-1]) if token.word in {"from", "join"}]
    return frozenset(found)


def token_names(tokens: Sequence[Token]) -> set[str]:
    """Return all names and words."""
    return {token.text.lower() for token in tokens if token.kind in NAME_KINDS}


def alias(item: Sequence[Token]) -> str:
    """Return the name that an item of a list is given, or has."""
    return item[-1].text.lower() if item and item[-1].kind in NAME_KINDS else ""


def copied_column(item: Sequence[Token]) -> str:
    """Return the column that an expression takes as it is or only casts, "" where there is more to it."""
    words = [token.word for token in item]
    inner = list(item)
    if words[:2] == ["cast", "("] and "as" in words:
        inner = inner[2 : words.index("as")]
    elif "::" in words:
        inner = inner[: words.index("::")]
    elif "as" in words:
        inner = inner[: words.index("as")]
    named = [token for token in inner if token.kind in NAME_KINDS]
    rest = [token for token in inner if token.kind not in NAME_KINDS and token.text != "."]
    return named[-1].text.lower() if named and not rest and len(inner) in {1, 3} else ""


def literal_text(token: Token) -> str:
    """Return what a literal says."""
    return token.text.strip("'").replace("''", "'") if token.kind is TokenKind.STRING else token.text
