"""How one kind of database reads SQL: its tokens, its names, and what else decides how a text is read.

Each backend's folder defines one value; code outside of `backends/` gets it from the registry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# The tokens that every dialect has, as alternatives of a verbose pattern. See `lexemes` for what the groups mean.
COMMON_TOKENS = r"""
      (?P<word>[^\W\d][\w$]*(?![\w$'&]))
    | (?P<comma>[(),])
    | (?P<string>(?:[bBxXnN] | [uU]&)?'(?:[^']|'')*')
    | (?P<name>(?:[uU]&)?"(?:[^"]|"")*")
    | (?P<number>0[xX][0-9a-fA-F_]+ | (?:\d[\d_]*(?:\.[\d_]*)? | \.\d[\d_]*)(?:[eE][+-]?\d+)?)
    | (?P<line>--[^\n]*)
"""
_UNQUOTED_NAME = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True, slots=True, eq=False)  # by identity: each is one value, and a key of many caches
class Dialect:
    """The SQL of one kind of database."""

    name: str
    """The name of the backend."""

    lexer: re.Pattern[str] = field(repr=False)
    """Matches white space and the token after it, in any text; the name of the group is the kind of the token."""

    reserved_words: frozenset[str] = field(repr=False)
    """Words that are names only in quotes."""

    special_words: frozenset[str] = field(repr=False)
    """Words that are not reserved, but mean something else than a name where they stand without quotes."""

    has_nested_comments: bool
    """Whether a comment may hold comments: then `lexer` matches only the opening of one."""

    folds_quoted_names: bool
    """Whether "A" and a are one name."""

    has_strings_in_double_quotes: bool
    """Whether a text in double quotes that names no column is a string."""

    like_ignores_case: bool
    """Whether LIKE takes A and a for the same letter."""

    has_static_types: bool
    """Whether a column holds values of its declared type only."""

    has_rowid: bool
    """Whether a primary key that is a single INTEGER column numbers the rows by itself."""

    limits_text_length: bool
    """Whether VARCHAR(32) refuses a longer text."""

    has_lock_rules: bool
    """Whether the rules of the family `locks`, and squawk, can read its statements."""

    def quote_identifier(self, name: str) -> str:
        """Return a name as SQL writes it: in quotes only where it needs them."""
        if _UNQUOTED_NAME.fullmatch(name) and name not in self.reserved_words and name not in self.special_words:
            return name
        return '"' + name.replace('"', '""') + '"'

    def qualified_name(self, namespace: str | None, name: str) -> str:
        """Return a name as SQL writes it, behind its namespace if it has one."""
        quoted = self.quote_identifier(name)
        return f"{self.quote_identifier(namespace)}.{quoted}" if namespace else quoted


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text, which may have several lines."""
    return frozenset(text.split())
