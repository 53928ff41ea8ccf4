"""What SQL text looks like to one kind of database: tokens, names, and the facts on which readers of SQL differ.

Each backend's folder defines one value; nothing outside of `backends/` names that value.
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
    lexer: re.Pattern[str] = field(repr=False)
    """Matches white space and one token after it, any text at all; the group that matched is the token's kind."""

    reserved_words: frozenset[str] = field(repr=False)
    special_words: frozenset[str] = field(repr=False)
    """Words that are not reserved, but mean something else than a name when they stand without quotes."""

    has_nested_comments: bool
    """Whether a comment may hold comments: then `lexer` matches only the opening of one."""

    folds_quoted_names: bool
    """Whether "A" and a are one name."""

    has_strings_in_double_quotes: bool
    """Whether a text in double quotes that names no column is a string."""

    like_ignores_case: bool

    has_static_types: bool
    """Whether a column holds values of its declared type only."""

    has_rowid: bool
    """Whether a primary key that is a single INTEGER column numbers the rows by itself."""

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
    """Return the words of a text, as a dialect's folder lists them."""
    return frozenset(text.split())
