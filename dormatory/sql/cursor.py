"""A cursor over the tokens of one SQL statement, for parsers that read it from left to right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.sql.lexer import Token, TokenKind
from dormatory.sql.literals import string_value
from dormatory.sql.nesting import closing_parenthesis, split_at_commas

if TYPE_CHECKING:
    from collections.abc import Sequence

_END_TOKEN = Token(TokenKind.SYMBOL, "")
_LOOKAHEAD_WORDS = 3  # words that `accept` reads beyond the last token


class SQLParseError(ValueError):
    """A statement has a form that its parser does not know; its reader then compares the whole text."""


class TokenCursor:
    """Reads tokens one after the other; SQLParseError is raised where a statement is not as expected."""

    __slots__ = ("_length", "_position", "_tokens")

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens, self._position, self._length = [*tokens, *[_END_TOKEN] * _LOOKAHEAD_WORDS], 0, len(tokens)

    @property
    def is_at_end(self) -> bool:
        """Whether all tokens are read."""
        return self._position >= self._length

    @property
    def word(self) -> str:
        """The next word or symbol, "" for any other token."""
        return self._tokens[self._position].word

    def take(self) -> Token:
        """Take the next token of any kind."""
        if self._position >= self._length:
            message = "the statement ends too early"
            raise SQLParseError(message)
        self._position += 1
        return self._tokens[self._position - 1]

    def accept(self, *words: str) -> bool:
        """Take these words if they come next, and return whether they did."""
        at = self._position
        for word in words:
            if self._tokens[at].word != word:
                return False
            at += 1
        self._position = at
        return True

    def expect(self, word: str) -> None:
        """Take a word; raises SQLParseError if another token comes next."""
        if not self.accept(word):
            self.raise_unexpected()

    def raise_unexpected(self) -> None:
        """Raise the error of a token that cannot follow."""
        message = f"{self._tokens[self._position].text!r} was not expected"
        raise SQLParseError(message)

    def take_name(self) -> str:
        """Take a name; a string counts as one, too, as on SQLite."""
        token = self.take()
        if token.kind is TokenKind.STRING:
            return string_value(token.text)
        if not token.is_name:
            self._position -= 1
            self.raise_unexpected()
        return token.text

    def take_names(self) -> tuple[str, ...]:
        """Take a list of names in parentheses."""
        return tuple(TokenCursor(run).take_name() for run in split_at_commas(self.take_group()))

    def take_group(self) -> list[Token]:
        """Take a group in parentheses, and return the tokens between them."""
        opening = self._position
        self.expect("(")
        closing = closing_parenthesis(self._tokens, opening)
        if closing >= self._length:
            message = "a parenthesis stays open"
            raise SQLParseError(message)
        self._position = closing + 1
        return self._tokens[opening + 1 : closing]

    def take_rest(self) -> list[Token]:
        """Take all remaining tokens."""
        rest = self._tokens[self._position : self._length]
        self._position = self._length
        return rest
