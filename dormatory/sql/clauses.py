"""The clauses of a statement that moves data: where one begins, which names it holds, which column it copies."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from dormatory.sql.cursor import split, unwrapped
from dormatory.sql.lexer import Kind, Syntax, Token, tokenize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

NAMED = (Kind.WORD, Kind.NAME)  # to look for one in a set would call its hash, which is written in Python
_CLAUSES = frozenset({"from", "where", "returning", "on", "order", "limit", "using", "when"})


@lru_cache(maxsize=1024)  # every leg is looked at from several sides, and one of two legs is played again
def tokens(sql: str, syntax: Syntax) -> tuple[Token, ...]:
    """Return the tokens of a statement as it was sent: the = before a %(mark)s is no part of an operator."""
    found = list[Token]()
    for token in tokenize(sql, syntax):
        if token.kind is Kind.SYMBOL and token.text == "=%":
            found += [Token(Kind.SYMBOL, "=", "="), Token(Kind.SYMBOL, "%", "%")]
        else:
            found.append(token)
    return tuple(found)


def statements(tokens: Iterable[Token]) -> Iterator[list[Token]]:
    """Yield the statements between semicolons."""
    run: list[Token] = []
    for token in tokens:
        if token.word == ";":
            yield run
            run = []
        else:
            run.append(token)
    yield run


def width(run: Sequence[Token], at: int) -> int:
    """Return how many tokens a table's name takes."""
    return 3 if [token.text for token in run[at + 1 : at + 2]] == ["."] else 1


def table_at(run: Sequence[Token], at: int) -> str:
    """Return the table that is named at a place, without its namespace."""
    at += at < len(run) and run[at].word == "only"
    end = at + width(run, at)
    return run[end - 1].text.lower() if end <= len(run) else ""


def truncated(run: Sequence[Token]) -> list[str]:
    """Return the tables that a TRUNCATE lists."""
    words = {"table", "only", "restart", "continue", "identity", "cascade", "restrict"}
    return [table_at(item, 0) for item in split([token for token in run if token.word not in words]) if item]


def after(words: Sequence[str], at: int, word: str) -> int:
    """Return the place behind a word that follows soon, as INTO does INSERT OR IGNORE, 0 if it does not."""
    near = words[at + 1 : at + 4]
    return at + 2 + near.index(word) if word in near else 0


def clause_end(run: Sequence[Token], start: int) -> int:
    """Return where the next clause begins outside of parentheses."""
    depth = 0
    for at in range(start, len(run)):
        depth += (run[at].word == "(") - (run[at].word == ")")
        if not depth and run[at].word in _CLAUSES and run[at].kind is Kind.WORD:
            return at
    return len(run)


def closing(run: Sequence[Token], at: int) -> int:
    """Return where the parenthesis that opens at a place closes."""
    depth = 0
    for place in range(at, len(run)):
        depth += (run[place].word == "(") - (run[place].word == ")")
        if not depth:
            return place
    return len(run) - 1


def selects(run: Sequence[Token]) -> Iterator[list[Token]]:
    """Yield what follows SELECT, for each that a UNION joins; not those in parentheses, unless all is."""
    run = unwrapped(run)
    depth, found = 0, list[Token]()
    started = False
    for token in run:
        depth += (token.word == "(") - (token.word == ")")
        if not depth and token.word in {"union", "select"}:
            if started and found:
                yield found
            found, started = [], token.word == "select"
        elif started and not (token.word in {"distinct", "all"} and not found):
            found.append(token)
    if started:
        yield found


def body(text: str) -> str:
    """Return what stands between dollar quotes."""
    mark = text[: text.index("$", 1) + 1]
    return text[len(mark) : -len(mark)]


def sources_of(run: Sequence[Token]) -> frozenset[str]:
    """Return the tables that are read from."""
    found = [table_at(run, at + 1) for at, token in enumerate(run[:-1]) if token.word in {"from", "join"}]
    return frozenset(found)


def names_in(run: Sequence[Token]) -> set[str]:
    """Return all names and words."""
    return {token.text.lower() for token in run if token.kind in NAMED}


def alias(item: Sequence[Token]) -> str:
    """Return the name that an item of a list is given, or has."""
    return item[-1].text.lower() if item and item[-1].kind in NAMED else ""


def copied(item: Sequence[Token]) -> str:
    """Return the column that an expression takes as it is or only casts, "" where there is more to it."""
    words = [token.word for token in item]
    inner = list(item)
    if words[:2] == ["cast", "("] and "as" in words:
        inner = inner[2 : words.index("as")]
    elif "::" in words:
        inner = inner[: words.index("::")]
    elif "as" in words:
        inner = inner[: words.index("as")]
    named = [token for token in inner if token.kind in NAMED]
    rest = [token for token in inner if token.kind not in NAMED and token.text != "."]
    return named[-1].text.lower() if named and not rest and len(inner) in {1, 3} else ""


def unquoted(token: Token) -> str:
    """Return what a literal says."""
    return token.text.strip("'").replace("''", "'") if token.kind is Kind.STRING else token.text
