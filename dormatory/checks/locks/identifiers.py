"""The rule of names that are too long for PostgreSQL, which cuts them off and says so only in a notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.sql.lexer import Kind, Syntax, tokenize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.locks.upgrade import Scene

_MOST_BYTES = 63


def identifiers(scene: Scene) -> Iterator[Finding]:
    """Report each name of more than 63 bytes where the revision first says it."""
    seen = set[str]()
    for played in scene.played:
        if len(played.statement.sql) <= _MOST_BYTES:
            continue
        for token in tokenize(played.statement.sql, Syntax.POSTGRESQL):
            size = len(token.text.encode())
            if token.kind in {Kind.WORD, Kind.NAME} and size > _MOST_BYTES and token.text not in seen:
                seen.add(token.text)
                kept = token.text.encode()[:_MOST_BYTES].decode(errors="ignore")
                message = f"{token.text} has {size} bytes; PostgreSQL cuts it to {kept}"
                hint = f"give it a name of {_MOST_BYTES} bytes or fewer"
                yield scene.finding("identifier-too-long", played, message, hint, token.text)
