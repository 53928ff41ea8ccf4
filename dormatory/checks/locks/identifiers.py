"""The rule about names that are too long for PostgreSQL, which cuts them off and only sends a notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule
from dormatory.sql.lexer import tokenize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.locks.upgrade import Upgrade

_MAX_IDENTIFIER_BYTES = 63


IDENTIFIER_TOO_LONG = Rule(
    "identifier-too-long",
    "locks",
    Severity.WARNING,
    meaning="a name has more than 63 bytes",
    why="PostgreSQL cuts it off, and two names may become one.",
    recipe='op.f("ix_attributes_value")',
    replaces=("identifier-too-long",),
)


def long_identifiers(upgrade: Upgrade) -> Iterator[Finding]:
    """Report each name of more than 63 bytes where the revision first uses it."""
    seen = set[str]()
    for executed in upgrade.statements:
        if len(executed.statement.sql) <= _MAX_IDENTIFIER_BYTES:
            continue
        for token in tokenize(executed.statement.sql, upgrade.dialect):
            size = len(token.text.encode())
            if token.is_name and size > _MAX_IDENTIFIER_BYTES and token.text not in seen:
                seen.add(token.text)
                truncated = token.text.encode()[:_MAX_IDENTIFIER_BYTES].decode(errors="ignore")
                message = f"{token.text} has {size} bytes; PostgreSQL cuts it to {truncated}"
                hint = f"give it a name of {_MAX_IDENTIFIER_BYTES} bytes or fewer"
                yield upgrade.finding(IDENTIFIER_TOO_LONG, executed, message, hint, token.text)
