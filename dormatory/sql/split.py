"""SQL text in pieces: its statements, the code in its strings, and what in it is quoted, a comment or neither."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from dormatory.sql.lexer import COMMENT_GROUPS, QUOTED_GROUPS, Token, TokenKind, lexemes, tokenize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dormatory.sql.dialect import Dialect

_SEMICOLON = frozenset({";"})
# A statement of PL/pgSQL follows one of these, and begins with a verb that is SQL.
_PLPGSQL_SEPARATORS = frozenset({";", "begin", "else", "loop", "then"})
_VERBS = frozenset({"alter", "cluster", "create", "delete", "drop", "insert", "merge", "reindex", "update", "with"})


def split_statements(tokens: Iterable[Token], separators: frozenset[str] = _SEMICOLON) -> Iterator[list[Token]]:
    """Yield the tokens between separators, which are semicolons unless other words are given."""
    statement = list[Token]()
    for token in tokens:
        if token.word in separators:
            yield statement
            statement = []
        else:
            statement.append(token)
    yield statement


def executed_statements(sql: str, dialect: Dialect) -> Iterator[list[Token]]:
    """Yield the tokens of each statement; those in the body of a DO instead of the DO, as if each condition held."""
    for statement in split_statements(tokenize(sql, dialect)):
        if statement and statement[0].word == "do":
            yield from list(_do_block_statements(statement, dialect)) or [statement]
        else:
            yield statement


def _do_block_statements(block: Iterable[Token], dialect: Dialect) -> Iterator[list[Token]]:
    """Yield the statements in the body of a DO; what it gives to EXECUTE is not known here."""
    for literal in (token.text for token in block if token.kind is TokenKind.STRING):
        _, code = quoted_code(literal)
        runs = split_statements(tokenize(code, dialect), _PLPGSQL_SEPARATORS)
        yield from (run for run in runs if run and run[0].word in _VERBS)


def quoted_code(literal: str) -> tuple[str, str]:
    """Return the quote of a string that holds code, an apostrophe or $tag$, and the code."""
    quote = literal[: literal.index("$", 1) + 1] if literal[0] == "$" else "'"
    return quote, literal[literal.index(quote) + len(quote) : -len(quote)]


def statements_with_lines(sql: str, dialect: Dialect) -> Iterator[tuple[int, str]]:
    """Yield the text of each statement without its semicolon, and the line that it begins on."""
    start: int | None = None
    for group, position, _ in lexemes(sql, dialect):
        if sql[position] == ";" and group == "symbol":
            if start is not None:
                yield _line_number(sql, start), sql[start:position].rstrip()
            start = None
        elif start is None and group not in COMMENT_GROUPS:
            start = position
    if start is not None:
        yield _line_number(sql, start), sql[start:].rstrip()


def _line_number(sql: str, position: int) -> int:
    return sql.count("\n", 0, position) + 1


def text_in_parentheses(sql: str, dialect: Dialect) -> str:
    """Return the text in the first parentheses, "" if there are none or if they stay open."""
    depth = opening = 0
    for group, position, end in lexemes(sql, dialect):
        mark = sql[position] if group == "comma" else ""
        if mark == "(":
            depth, opening = depth + 1, opening or end
        elif mark == ")" and opening:
            depth -= 1
            if not depth:
                return sql[opening:position].strip()
    return ""


def split_expressions(sql: str, dialect: Dialect) -> list[str]:
    """Return the texts between the commas that stand in no parentheses."""
    parts, depth, start = list[str](), 0, 0
    for group, position, end in lexemes(sql, dialect):
        if group == "comma":
            mark = sql[position]
            depth += (mark == "(") - (mark == ")")
            if mark == "," and not depth:
                parts.append(sql[start:position])
                start = end
    return [part.strip() for part in [*parts, sql[start:]] if part.strip()]


class SpanKind(Enum):
    """What a stretch of SQL text is."""

    PLAIN = "plain"
    QUOTED = "quoted"
    COMMENT = "comment"


_SPAN_KINDS = dict.fromkeys(QUOTED_GROUPS, SpanKind.QUOTED) | dict.fromkeys(COMMENT_GROUPS, SpanKind.COMMENT)


@dataclass(frozen=True, slots=True)
class TextSpan:
    """A stretch of SQL text of one kind; `start` is its place in the whole text."""

    kind: SpanKind
    start: int
    text: str


def text_spans(sql: str, dialect: Dialect) -> Iterator[TextSpan]:
    """Yield `sql` as spans that give it back when they are joined."""
    position = 0
    for group, start, end in lexemes(sql, dialect):
        kind = _SPAN_KINDS.get(group)
        if kind is None:
            continue
        if start > position:
            yield TextSpan(SpanKind.PLAIN, position, sql[position:start])
        yield TextSpan(kind, start, sql[start:end])
        position = end
    if position < len(sql):
        yield TextSpan(SpanKind.PLAIN, position, sql[position:])


def without_trailing_space(sql: str, dialect: Dialect) -> str:
    """Return `sql` without blanks at the end of a line, other than inside quotes.

    Editors and commit hooks remove such blanks, and a file that they changed would no longer be the dump.
    """
    return "".join(_strip_line_ends(span) for span in text_spans(sql.rstrip(), dialect))


def _strip_line_ends(span: TextSpan) -> str:
    if span.kind is SpanKind.QUOTED:
        return span.text
    if span.text.startswith("--"):
        return span.text.rstrip()
    return re.sub(r"[ \t\r]+(?=\n)", "", span.text)
