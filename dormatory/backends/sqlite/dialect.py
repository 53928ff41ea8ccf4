"""The SQL of SQLite."""

from __future__ import annotations

import re

from dormatory.sql.dialect import COMMON_TOKENS, Dialect, word_set

_LEXER = re.compile(
    rf"""\s*(?:{COMMON_TOKENS}
    | (?P<comment>/\*.*?(?:\*/|\Z))
    | (?P<lone>[^\W\d][\w$]*)
    | (?P<ticked>`(?:[^`]|``)*` | \[[^\]]*\])
    | (?P<symbol>[?:@$#][\w:]+ | \|\| | ->>? | <[<=>]? | >[>=]? | == | != | .)
    )""",
    re.VERBOSE | re.DOTALL,
)
# https://sqlite.org/lang_keywords.html without those that parse.y accepts as a name.
_RESERVED_WORDS = word_set("""
add all alter and as autoincrement between case check collate commit constraint create default deferrable delete
distinct drop else escape except exists foreign from group having in index insert intersect into is isnull join
limit not nothing notnull null on or order primary references returning select set table then to transaction union
unique update using values when where
""")

DIALECT = Dialect(
    name="sqlite",
    lexer=_LEXER,
    reserved_words=_RESERVED_WORDS,
    special_words=word_set("cast current_date current_time current_timestamp false raise rowid true"),
    has_nested_comments=False,
    folds_quoted_names=True,
    has_strings_in_double_quotes=True,  # https://sqlite.org/quirks.html#double_quoted_string_literals_are_accepted
    like_ignores_case=True,
    has_static_types=False,  # https://sqlite.org/datatype3.html
    has_rowid=True,  # https://sqlite.org/lang_createtable.html#rowid
    limits_text_length=False,
    has_lock_rules=False,
)
