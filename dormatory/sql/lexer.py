"""SQL text as tokens: two texts that differ only in how they are typed have equal tokens.

White space, comments, the case of keywords and needless quotes around a name make no difference; anything
inside a string, a dollar quote or a name that needs its quotes does. Tokens have no lines and no places.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dormatory.sql.dialect import Dialect


class TokenKind(Enum):
    """What a token is."""

    WORD = "word"  # a keyword or a name without quotes
    NAME = "name"  # a name in quotes; the text is what stands between them
    STRING = "string"
    NUMBER = "number"
    SYMBOL = "symbol"  # an operator, a parameter or a punctuation mark


class Token(NamedTuple):
    """One word, name, literal or symbol."""

    kind: TokenKind
    text: str
    word: str = ""  # of a word or a symbol: the text in small letters, which parsers compare
    quote: str = ""  # how a name was quoted

    @property
    def is_name(self) -> bool:
        """Whether the token is a name, or a word that may be one."""
        # Not by a set: that would call the hash of the enumeration, which is written in Python.
        return self.kind is TokenKind.WORD or self.kind is TokenKind.NAME


_BEFORE_PARENTHESIS = frozenset({"by", "exists", "filter", "over", "set", "values"})  # reads better with a space
# Groups of a lexer, see `lexemes`.
COMMENT_GROUPS = frozenset({"comment", "line"})
QUOTED_GROUPS = frozenset({"string", "escaped", "dollar", "name", "ticked"})
_COMMENT_MARKS = re.compile(r"/\*|\*/")


def tokenize(sql: str, dialect: Dialect) -> list[Token]:
    """Return the tokens of `sql`, without comments; text that no rule knows becomes symbols, never an error."""
    return list(_scan(sql, dialect))


@lru_cache(maxsize=1024)  # each leg is read for several purposes, and one of the two upgrades is played again
def tokenize_statement(sql: str, dialect: Dialect) -> tuple[Token, ...]:
    """Return the tokens of a statement as it was sent: the = before a %(name)s is an operator of its own."""
    found = list[Token]()
    for token in tokenize(sql, dialect):
        if token.kind is TokenKind.SYMBOL and token.text == "=%":
            found += [Token(TokenKind.SYMBOL, "=", "="), Token(TokenKind.SYMBOL, "%", "%")]
        else:
            found.append(token)
    return tuple(found)


def lexemes(sql: str, dialect: Dialect) -> Iterator[tuple[str, int, int]]:
    """Yield the group, the start and the end of each token and comment of `sql`; white space lies between them.

    Groups are those of the dialect's lexer: word, lone (a word next to a quote), string, escaped, dollar, name, ticked,
    number, line (a comment to the end of the line), comment, comma (a parenthesis, too), symbol. This is a loop of its
    own because tokenize(), which needs no places, is called a thousand times as often.
    """
    match, position, end = dialect.lexer.match, 0, len(sql.rstrip())
    while found := match(sql, position, end):
        group = found.lastgroup or ""
        start, position = found.span(group)
        if group == "comment" and dialect.has_nested_comments:
            position = _comment_end(sql, position)
        yield group, start, position


def canonical_sql(sql: str, dialect: Dialect) -> str:
    """Return the one spelling that all texts with the same tokens share."""
    return render(tokenize(sql, dialect), dialect)


def render(tokens: Iterable[Token], dialect: Dialect, *, fold: bool = True) -> str:
    """Return tokens as one line of SQL, with single spaces.

    Words become lower case unless `fold` is off: text that a server wrote is folded already.
    """
    reserved = dialect.reserved_words
    parts: list[str] = []
    previous, before = "", ""  # the last two texts
    for token in tokens:
        text = _token_text(token, dialect, fold=fold)
        if previous and _needs_space(before, previous, text, token.kind, reserved):
            parts.append(" ")
        parts.append(text)
        before, previous = previous, text
    return "".join(parts)


def _scan(sql: str, dialect: Dialect) -> Iterator[Token]:
    sql = sql.rstrip()  # white space is taken with the token after it
    match, position = dialect.lexer.match, 0
    while found := match(sql, position):  # until the end: the last alternative takes any character
        position, group = found.end(), found.lastgroup or ""
        if group == "comment" and dialect.has_nested_comments:
            position = _comment_end(sql, position)
        elif group not in COMMENT_GROUPS:
            yield _token(group, found[group])


@lru_cache(maxsize=1 << 13)  # most texts come again and again
def _token(group: str, text: str) -> Token:
    """Return the token that a group of the lexer stands for."""
    if group in {"word", "lone"}:
        return Token(TokenKind.WORD, text, text.lower())
    if group in {"comma", "symbol"}:
        return Token(TokenKind.SYMBOL, text, text)
    if group == "number":
        return Token(TokenKind.NUMBER, text.lower())
    if group == "name" and text[0] == '"':
        return Token(TokenKind.NAME, text[1:-1].replace('""', '"'), quote='"')
    if group == "ticked":
        return Token(TokenKind.NAME, text[1:-1].replace("``", "`") if text[0] == "`" else text[1:-1], quote=text[0])
    return Token(TokenKind.STRING, text)


def _comment_end(sql: str, position: int) -> int:
    """Return where the comment that was opened just before `position` ends; comments nest in PostgreSQL."""
    depth = 1
    for mark in _COMMENT_MARKS.finditer(sql, position):
        depth += 1 if mark[0] == "/*" else -1
        if not depth:
            return mark.end()
    return len(sql)


def _token_text(token: Token, dialect: Dialect, *, fold: bool) -> str:
    if token.kind is TokenKind.WORD:
        return token.word if fold else token.text
    if token.kind is TokenKind.NAME:
        return dialect.quote_identifier(token.text.lower() if dialect.folds_quoted_names else token.text)
    return token.text


def _needs_space(before: str, previous: str, text: str, kind: TokenKind, reserved: frozenset[str]) -> bool:
    """Return whether a space belongs between the token `previous`, which followed `before`, and the next one."""
    if text in {",", ")", ".", ";", "::", "]"} or previous in {"(", ".", "::", "["}:
        return False
    if text in {"(", "["}:  # after a keyword or an operator, not after the name of a function or a type
        return previous.lower() in reserved or previous.lower() in _BEFORE_PARENTHESIS or not _is_operand_end(previous)
    # A sign stays with its number where there is nothing to subtract from.
    signed = kind is TokenKind.NUMBER and previous in {"-", "+"}
    return not signed or (_is_operand_end(before) and before.lower() not in reserved)


def _is_operand_end(text: str) -> bool:
    return bool(text) and (text[-1].isalnum() or text[-1] in "_\"'])")
