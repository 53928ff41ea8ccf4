"""A cursor over the tokens of one SQL statement, for parsers that read it from left to right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.sql.lexer import Token, TokenKind

if TYPE_CHECKING:
    from collections.abc import Sequence

_END_TOKEN = Token(TokenKind.SYMBOL, "")
_LOOKAHEAD_WORDS = 3  # words that `skip` looks at beyond the last token


class SQLParseError(ValueError):
    """A statement is not of the form its parser knows; the reader falls back to the whole text."""


class TokenCursor:
    """Reads tokens one after the other; UnreadableError says that something else was expected."""

    __slots__ = ("_length", "_position", "_tokens")

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens, self._position, self._length = [*tokens, *[_END_TOKEN] * _LOOKAHEAD_WORDS], 0, len(tokens)

    @property
    def is_at_end(self) -> bool:
        """Tell whether all tokens are read."""
        return self._position >= self._length

    @property
    def word(self) -> str:
        """The word or symbol that comes next, "" for anything else."""
        return self._tokens[self._position].word

    def take(self) -> Token:
        """Take the next token, whatever it is."""
        if self._position >= self._length:
            message = "the statement ends too early"
            raise SQLParseError(message)
        self._position += 1
        return self._tokens[self._position - 1]

    def accept(self, *words: str) -> bool:
        """Take these words if they come next, and tell whether they did."""
        at = self._position
        for word in words:
            if self._tokens[at].word != word:
                return False
            at += 1
        self._position = at
        return True

    def expect(self, word: str) -> None:
        """Take a word that must come next."""
        if not self.accept(word):
            self.raise_unexpected()

    def raise_unexpected(self) -> None:
        """Say that the statement cannot be read from here on."""
        message = f"{self._tokens[self._position].text!r} was not expected"
        raise SQLParseError(message)

    def take_name(self) -> str:
        """Take a name; SQLite takes a string for one as well."""
        token = self.take()
        if token.kind is TokenKind.STRING:
            return token.text[1:-1].replace("''", "'")
        if token.kind is not TokenKind.WORD and token.kind is not TokenKind.NAME:
            self._position -= 1
            self.raise_unexpected()
        return token.text

    def take_names(self) -> tuple[str, ...]:
        """Take the names that stand in parentheses."""
        return tuple(TokenCursor(run).take_name() for run in split_at_commas(self.take_group()))

    def take_group(self) -> list[Token]:
        """Take what stands in parentheses, and return it without them."""
        self.expect("(")
        start, depth = self._position, 1
        for at in range(start, self._length):
            word = self._tokens[at].word
            depth += (word == "(") - (word == ")")
            if not depth:
                self._position = at + 1
                return self._tokens[start:at]
        message = "a parenthesis stays open"
        raise SQLParseError(message)

    def take_rest(self) -> list[Token]:
        """Take all that is left."""
        rest = self._tokens[self._position : self._length]
        self._position = self._length
        return rest


def split_at_commas(tokens: Sequence[Token]) -> list[list[Token]]:
    """Return the runs of tokens between the commas that stand in no parentheses."""
    depth, runs = 0, [list[Token]()]
    for token in tokens:
        depth += (token.word == "(") - (token.word == ")")
        if token.word == "," and not depth:
            runs.append([])
        else:
            runs[-1].append(token)
    return runs


def without_parentheses(tokens: Sequence[Token]) -> list[Token]:
    """Return an expression without the parentheses that enclose all of it."""
    inner = list(tokens)
    while len(inner) > 1 and inner[0].word == "(" and inner[-1].word == ")" and _is_enclosed(inner):
        inner = inner[1:-1]
    return inner


def _is_enclosed(tokens: Sequence[Token]) -> bool:
    """Tell whether the first parenthesis closes with the last token."""
    depth = 0
    for token in tokens[:-1]:
        depth += (token.word == "(") - (token.word == ")")
        if not depth:
            return False
    return True
