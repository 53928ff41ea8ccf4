"""What a statement may do to rows, told from its words alone: nothing, write some, or what nobody can tell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from dormatory.migrations.survival import clauses
from dormatory.schema.tokens import Kind, Syntax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dormatory.schema.tokens import Token


class Effect(Enum):
    """What a statement does, the mildest first."""

    NOTHING = "nothing"
    READS = "reads"  # unless it calls a function that writes
    SHAPES = "shapes"  # the tables it names, whose triggers and foreign keys sleep meanwhile
    WRITES = "writes"  # rows, which wakes those
    ANYTHING = "anything"


@dataclass(frozen=True, slots=True)
class Said:
    """What a text of SQL says: its effect, and all names and words in it, in small letters.

    What only gains a table that refers to it is not named: its rows stay as they are.
    """

    effect: Effect
    names: frozenset[str]


_MILD = """abort analyze attach begin checkpoint close cluster comment commit deallocate detach discard end fetch grant
listen lock move notify pragma reassign reindex release reset revoke rollback savepoint security set show start
unlisten vacuum"""
_EFFECTS = {
    **dict.fromkeys(_MILD.split(), Effect.NOTHING),
    **dict.fromkeys(("select", "values", "table"), Effect.READS),
    **dict.fromkeys(("alter", "create", "drop", "refresh"), Effect.SHAPES),
    **dict.fromkeys(("copy", "declare", "delete", "do", "explain", "insert", "merge"), Effect.WRITES),
    **dict.fromkeys(("replace", "truncate", "update", "with"), Effect.WRITES),
}
_WRITING = frozenset({"delete", "insert", "merge", "update"})
_QUERIES = frozenset({"declare", "explain", "select", "with"})
_INTO = frozenset({"from", "into", "join", "only", "table", "update"})
_CATALOGS = ("information_schema", "pg_", "sqlite_master", "sqlite_schema")
_ROUTINES = frozenset({"function", "procedure"})
_READABLE = frozenset({"plpgsql", "sql"})  # languages whose text tells what a routine does
_WORDS = re.compile(r"[^\W\d]\w*")
_ORDER = list(Effect)


@lru_cache(maxsize=1024)
def said(sql: str, syntax: Syntax) -> Said:
    """Return what a text of one or several statements says; ANYTHING where one is not understood."""
    tokens = clauses.tokens(sql, syntax)
    names = names_in(sql, syntax)
    if not _WRITING & names:
        parents = {clauses.table_at(tokens, at + 1) for at, token in enumerate(tokens) if token.word == "references"}
        names -= {it for it in parents if sum(token.text.lower() == it for token in tokens) == 1}
    if syntax is Syntax.SQLITE and {"create", "trigger"} <= {token.word for token in tokens[:4]}:
        return Said(Effect.SHAPES, names)  # the semicolons in it end nothing
    found = (_effect(run, names, syntax) for run in clauses.statements(tokens))
    return Said(max(found, key=_ORDER.index), names)


@lru_cache(maxsize=4096)
def names_in(sql: str, syntax: Syntax) -> frozenset[str]:
    """Return all names and words of a text in small letters, those within dollar quotes and strings included."""
    found: set[str] = set()
    for token in clauses.tokens(sql, syntax):
        if token.kind is Kind.STRING and token.text[0] == "$":
            found |= names_in(clauses.body(token.text), syntax)
        elif token.kind is Kind.STRING:  # a name, to SQLite, or the body of a routine
            found.add(token.text.strip("'").lower())
            found.update(_WORDS.findall(token.text.lower()))
        elif token.kind is not Kind.NUMBER:
            found.add(token.text.lower())
    return frozenset(found)


def is_dynamic(definition: str, syntax: Syntax) -> bool:
    """Tell whether a routine may execute what is not in its text, or is in a language that cannot be read here."""
    words = [token.word for token in clauses.tokens(definition, syntax)]
    return "execute" in names_in(definition, syntax) or not _languages(words) <= _READABLE


def _languages(words: Sequence[str]) -> set[str]:
    return {after for word, after in pairwise(words) if word == "language"}


def _effect(run: Sequence[Token], names: frozenset[str], syntax: Syntax) -> Effect:
    words = [token.word for token in run if token.word != "("]
    if not words:
        return Effect.NOTHING
    effect = _EFFECTS.get(words[0], Effect.ANYTHING)
    if _is_beyond(words, names) or (effect is not Effect.NOTHING and _is_veiled(run, effect)):
        return Effect.ANYTHING
    if words[:2] == ["drop", "table"] and syntax is Syntax.SQLITE:
        return Effect.WRITES  # it deletes the rows first, and foreign keys act on that
    if words[0] in _QUERIES:
        return Effect.WRITES if _WRITING & names else Effect.READS
    return effect


def _is_beyond(words: Sequence[str], names: frozenset[str]) -> bool:
    """Tell whether a statement of a known kind does what its words do not tell."""
    first, near = words[0], words[:4]
    if first in {"abort", "rollback"}:
        return "to" not in words
    if first in {"set", "reset"}:
        return bool({"role", "authorization"} & set(words))  # which rows there are to see
    if first == "do":
        return "execute" in names or "language" in words
    if first == "create" and _ROUTINES & set(near):
        return "execute" in names or not _languages(words) <= _READABLE
    return first == "create" and ("event" in near[:2] or ("table" in near and "execute" in words))


def _is_veiled(run: Sequence[Token], effect: Effect) -> bool:
    """Tell whether a statement does not show the table's name, or writes to a catalog."""
    for token, after in pairwise(run):
        if token.word in _INTO and after.kind is Kind.SYMBOL and after.text[0] in "%?:${":
            return True
        if effect is Effect.WRITES and token.word in _WRITING | _INTO and after.word.startswith(_CATALOGS):
            return True
    return any(token.kind is Kind.STRING and token.text[:2].lower() == "u&" for token in run)
