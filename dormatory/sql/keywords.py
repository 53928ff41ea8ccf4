"""Words that are more than names: a name that is spelled like one of them keeps its quotes."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# https://sqlite.org/lang_keywords.html less those that parse.y lets fall back to a name.
SQLITE_RESERVED = _words("""
add all alter and as autoincrement between case check collate commit constraint create default deferrable delete
distinct drop else escape except exists foreign from group having in index insert intersect into is isnull join
limit not nothing notnull null on or order primary references returning select set table then to transaction union
unique update using values when where
""")
# Not reserved, but something else than a name when they stand without quotes.
SQLITE_SPECIAL_WORDS = _words("cast current_date current_time current_timestamp false raise rowid true")

# https://www.postgresql.org/docs/current/sql-keywords-appendix.html: reserved, with or without "can be function".
POSTGRESQL_RESERVED = _words("""
all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation
column concurrently constraint create cross current_catalog current_date current_role current_schema current_time
current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze
from full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit
localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references
returning right select session_user similar some symmetric system_user table tablesample then to trailing true union
unique user using variadic verbose when where window with
""")
# "Cannot be function or type", and what PL/pgSQL puts first in a statement.
POSTGRESQL_SPECIAL_WORDS = _words("""
begin between bigint bit boolean char character coalesce dec decimal declare exists extract float greatest grouping
if inout int integer interval json json_array json_arrayagg json_exists json_object json_objectagg json_query
json_scalar json_serialize json_table json_value least loop merge_action national nchar none normalize nullif
numeric out overlay position precision real return row setof smallint substring time timestamp treat trim values
varchar xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize
xmltable
""")
