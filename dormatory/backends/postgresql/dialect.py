"""The SQL of PostgreSQL."""

from __future__ import annotations

import re

from dormatory.sql.dialect import COMMON_TOKENS, Dialect, word_set

_LEXER = re.compile(
    rf"""\s*(?:
      (?P<dollar>\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
    | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*')
    | {COMMON_TOKENS}
    | (?P<comment>/\*)
    | (?P<lone>[^\W\d][\w$]*)
    | (?P<symbol>\$\d+ | :: | := | \.\. | (?:(?!--|/\*)[+\-*/<>=~!@\#%^&|`?])+ | .)
    )""",
    re.VERBOSE | re.DOTALL,
)
# https://www.postgresql.org/docs/current/sql-keywords-appendix.html: reserved, with or without "can be function".
_RESERVED_WORDS = word_set("""
all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation
column concurrently constraint create cross current_catalog current_date current_role current_schema current_time
current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze
from full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit
localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references
returning right select session_user similar some symmetric system_user table tablesample then to trailing true union
unique user using variadic verbose when where window with
""")
# In the same table "cannot be function or type", and the words with which PL/pgSQL begins a statement.
_SPECIAL_WORDS = word_set("""
begin between bigint bit boolean char character coalesce dec decimal declare exists extract float greatest grouping
if inout int integer interval json json_array json_arrayagg json_exists json_object json_objectagg json_query
json_scalar json_serialize json_table json_value least loop merge_action national nchar none normalize nullif
numeric out overlay position precision real return row setof smallint substring time timestamp treat trim values
varchar xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize
xmltable
""")

DIALECT = Dialect(
    name="postgresql",
    lexer=_LEXER,
    reserved_words=_RESERVED_WORDS,
    special_words=_SPECIAL_WORDS,
    has_nested_comments=True,
    folds_quoted_names=False,
    has_strings_in_double_quotes=False,
    like_ignores_case=False,
    has_static_types=True,
    has_rowid=False,
    limits_text_length=True,
    has_lock_rules=True,
)
