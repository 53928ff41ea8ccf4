"""The statements that a text of PostgreSQL's executes: those between semicolons, and those in the body of a DO."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dormatory.sql.lexer import Syntax, Token, TokenKind, tokenize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_VERBS = frozenset({"alter", "cluster", "create", "delete", "drop", "insert", "merge", "reindex", "update", "with"})
_PLPGSQL_SEPARATORS = frozenset({";", "begin", "else", "loop", "then"})  # what a statement of PL/pgSQL stands behind
_BODY_QUOTE = re.compile(r"\$\w*\$|'")


def statements(sql: str) -> Iterator[list[Token]]:
    """Yield the tokens of each statement; of a DO, what its body may do, conditions taken to hold."""
    for statement in _split_at(tokenize(sql, Syntax.POSTGRESQL), frozenset({";"})):
        if statement and statement[0].word == "do":
            yield from list(_do_block_statements(statement)) or [statement]
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


def _do_block_statements(block: Sequence[Token]) -> Iterator[list[Token]]:
    """Yield the statements in the body of a DO; a recording holds no text that stands behind EXECUTE."""
    for body in (token.text for token in block if token.kind is TokenKind.STRING):
        mark = _BODY_QUOTE.match(body)
        code = body[mark.end() : -len(mark[0])] if mark else body
        runs = _split_at(tokenize(code, Syntax.POSTGRESQL), _PLPGSQL_SEPARATORS)
        yield from (run for run in runs if run and run[0].word in _VERBS)
