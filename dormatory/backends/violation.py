"""The rule that rows violate, and the queries that find these rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dormatory.backends.driver import fetch_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dormatory.sql.dialect import Dialect

_WHERE_CLAUSE = re.compile(r"\)\s*WHERE\s+(.+?)\s*;?\s*\Z", re.IGNORECASE | re.DOTALL)
_PLAIN_NAME = re.compile(r"[\w$]+")
_CLOSING_QUOTES = {'"': '"', "`": "`", "[": "]"}


@dataclass(frozen=True, slots=True)
class Violation:
    """A violated rule: the offending rows are those of `table` AS c for which `condition` holds, "" if that is unknown.

    `table` is SQL, `display_name` its name in messages; `table_columns` are the columns it has at that moment.
    """

    rule: str
    display_name: str
    table: str
    columns: tuple[str, ...]
    condition: str
    key_columns: tuple[str, ...]
    table_columns: frozenset[str]
    dialect: Dialect

    def has_column(self, column: str) -> bool:
        """Return whether the table already has a column."""
        return column in self.table_columns

    @property
    def count_query(self) -> str:
        """Return SQL that counts the rows."""
        return f"SELECT count(*) FROM {self.table} AS c WHERE {self.condition}"  # noqa: S608  # of the statement's own words

    def keys_query(self, names: Sequence[str], limit: int = 0) -> str:
        """Return SQL that lists the keys of the rows, at most `limit` of them unless that is 0."""
        listed = ", ".join(f"c.{self.dialect.quote_identifier(name)}" for name in names) or "c.*"
        text = f"SELECT {listed} FROM {self.table} AS c WHERE {self.condition} ORDER BY {listed}"  # noqa: S608  # of the statement's own words
        return f"{text} LIMIT {limit}" if limit else text


def duplicate_condition(table: str, expressions: Sequence[str], statement: str, *, distinct_nulls: bool = True) -> str:
    """Return the condition of rows that are not unique in some expressions, under a partial index's own condition."""
    match = _WHERE_CLAUSE.search(statement)
    where = [f"({match[1]})"] if match else []
    if distinct_nulls:
        where += [f"{it} IS NOT NULL" for it in expressions]
    narrowed = " AND ".join(where) or "TRUE"
    listed = ", ".join(expressions)
    others = f"SELECT {listed} FROM {table} WHERE {narrowed} GROUP BY {listed} HAVING count(*) > 1"  # noqa: S608  # as above
    return f"{narrowed} AND ({listed}) IN ({others})"


@dataclass(frozen=True, slots=True)
class TableColumns:
    """The names of a table's columns, and those of its primary key in the key's order."""

    names: frozenset[str]
    key: tuple[str, ...]


def read_columns(raw: Any, query: str, *parameters: Any) -> TableColumns:
    """Return the columns of a table: `query` gives their names and places in the primary key, 0 for none."""
    rows = fetch_rows(raw.cursor(), query, *parameters)
    keyed = sorted((place, name) for name, place in rows if place)
    return TableColumns(frozenset(name for name, _ in rows), tuple(name for _, name in keyed))


def unquoted_name(text: str) -> str:
    """Return a name without its quotes, or "" for an expression."""
    text = text.strip()
    if _PLAIN_NAME.fullmatch(text):
        return text
    is_quoted = len(text) > 1 and _CLOSING_QUOTES.get(text[0]) == text[-1]
    return text[1:-1].replace('""', '"') if is_quoted else ""
