"""SQL text in pieces: statements, and the stretches that are quoted, a comment or neither.

The tokens of `lexer.py` forget white space and comments; a dump has to keep both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from dormatory.sql.lexer import Token, TokenKind, lexemes, tokenize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.sql.dialect import Dialect

_VERBS = frozenset({"alter", "cluster", "create", "delete", "drop", "insert", "merge", "reindex", "update", "with"})
_PLPGSQL_SEPARATORS = frozenset({";", "begin", "else", "loop", "then"})  # what a statement of PL/pgSQL stands behind
_BODY_QUOTE = re.compile(r"\$\w*\$|'")


class SpanKind(Enum):
    """What a piece of SQL text is."""

    PLAIN = "plain"
    QUOTED = "quoted"
    COMMENT = "comment"


_QUOTED, _COMMENT = SpanKind.QUOTED, SpanKind.COMMENT
_SPAN_KINDS = {"line": _COMMENT, "comment": _COMMENT} | dict.fromkeys(
    ("string", "escaped", "dollar", "name", "ticked"), _QUOTED
)


@dataclass(frozen=True, slots=True)
class TextSpan:
    """A stretch of SQL text of one kind; `start` is where it stands in the whole."""

    kind: SpanKind
    start: int
    text: str


def text_spans(sql: str, dialect: Dialect) -> Iterator[TextSpan]:
    """Yield `sql` in pieces that give it back when they are joined."""
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
    """Return `sql` with no blank before the end of a line, other than inside quotes.

    Editors and commit hooks remove such blanks, and a file they touched would no longer be the dump.
    """
    return "".join(_strip_line_ends(piece) for piece in text_spans(sql.rstrip(), dialect))


def _strip_line_ends(span: TextSpan) -> str:
    if span.kind is SpanKind.QUOTED:
        return span.text
    if span.text.startswith("--"):
        return span.text.rstrip()
    return re.sub(r"[ \t\r]+(?=\n)", "", span.text)


def executed_statements(sql: str, dialect: Dialect) -> Iterator[list[Token]]:
    """Yield the tokens of each statement; of a DO, what its body may do, conditions taken to hold."""
    for statement in _split_at(tokenize(sql, dialect), frozenset({";"})):
        if statement and statement[0].word == "do":
            yield from list(_do_block_statements(statement, dialect)) or [statement]
        else:
            yield statement


def _split_at(tokens: Sequence[Token], marks: frozenset[str]) -> Iterator[list[Token]]:
    run = list[Token]()
    for token in tokens:
        if token.word in marks:
            yield run
            run = []
        else:
            run.append(token)
    yield run


def _do_block_statements(block: Sequence[Token], dialect: Dialect) -> Iterator[list[Token]]:
    """Yield the statements in the body of a DO; a recording holds no text that stands behind EXECUTE."""
    for body in (token.text for token in block if token.kind is TokenKind.STRING):
        mark = _BODY_QUOTE.match(body)
        code = body[mark.end() : -len(mark[0])] if mark else body
        runs = _split_at(tokenize(code, dialect), _PLPGSQL_SEPARATORS)
        yield from (run for run in runs if run and run[0].word in _VERBS)
