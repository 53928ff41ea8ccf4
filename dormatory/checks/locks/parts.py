"""The statements that a text of PostgreSQL's executes: those between semicolons, and those in the body of a DO."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dormatory.sql.lexer import Kind, Syntax, Token, tokenize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_VERBS = frozenset({"alter", "cluster", "create", "delete", "drop", "insert", "merge", "reindex", "update", "with"})
_BEFORE = frozenset({";", "begin", "else", "loop", "then"})  # what a statement of PL/pgSQL stands behind
_QUOTE = re.compile(r"\$\w*\$|'")


def statements(sql: str) -> Iterator[list[Token]]:
    """Yield the tokens of each statement; of a DO, what its body may do, conditions taken to hold."""
    for statement in _between(tokenize(sql, Syntax.POSTGRESQL), frozenset({";"})):
        if statement and statement[0].word == "do":
            yield from list(_of_block(statement)) or [statement]
        else:
            yield statement


def _between(tokens: Sequence[Token], marks: frozenset[str]) -> Iterator[list[Token]]:
    run = list[Token]()
    for token in tokens:
        if token.word in marks:
            yield run
            run = []
        else:
            run.append(token)
    yield run


def _of_block(block: Sequence[Token]) -> Iterator[list[Token]]:
    """Yield the statements in the body of a DO; a recording holds no text that stands behind EXECUTE."""
    for body in (token.text for token in block if token.kind is Kind.STRING):
        mark = _QUOTE.match(body)
        code = body[mark.end() : -len(mark[0])] if mark else body
        runs = _between(tokenize(code, Syntax.POSTGRESQL), _BEFORE)
        yield from (run for run in runs if run and run[0].word in _VERBS)
