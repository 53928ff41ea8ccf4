"""The names in a text of SQL, and whether its text shows all that it may do."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from dormatory.sql.lexer import Token, TokenKind, tokenize_statement
from dormatory.sql.split import quoted_code

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dormatory.sql.dialect import Dialect

BATCH_TABLE_PREFIX = "_alembic_tmp_"  # how Alembic names the new table while a batch operation rebuilds one
_READABLE_LANGUAGES = frozenset({"plpgsql", "sql"})  # languages whose text shows what a routine does
_WORDS = re.compile(r"[^\W\d]\w*")


def token_names(tokens: Iterable[Token]) -> set[str]:
    """Return all names and words among tokens, in small letters."""
    return {token.text.lower() for token in tokens if token.is_name}


@lru_cache(maxsize=4096)
def names_in(sql: str, dialect: Dialect) -> frozenset[str]:
    """Return all names and words of a text in small letters, those in its strings included."""
    found: set[str] = set()
    for token in tokenize_statement(sql, dialect):
        if token.kind is TokenKind.STRING and token.text[0] == "$":
            found |= names_in(quoted_code(token.text)[1], dialect)
        elif token.kind is TokenKind.STRING:  # a name, to SQLite, or the body of a routine
            found.add(token.text.strip("'").lower())
            found.update(_WORDS.findall(token.text.lower()))
        elif token.kind is not TokenKind.NUMBER:
            found.add(token.text.lower())
    return frozenset(found)


def has_unknown_effects(definition: str, dialect: Dialect) -> bool:
    """Return whether a routine may execute what is not in its text, or is in a language that is not read here."""
    words = [token.word for token in tokenize_statement(definition, dialect)]
    languages = {after for word, after in pairwise(words) if word == "language"}
    return "execute" in names_in(definition, dialect) or not languages <= _READABLE_LANGUAGES
