"""A rule that rows violate, and the query that finds them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dormatory.sql.dialect import Dialect

_WHERE_CLAUSE = re.compile(r"\)\s*WHERE\s+(.+?)\s*;?\s*\Z", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Violation:
    """What is violated in which table; rows `AS c` for which `condition` holds do it, "" where they cannot be found.

    `table` is SQL, `shown` a name for people; `present` are the columns that the table has at that moment.
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
        """Tell whether the table has a column already."""
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


def text_in_parentheses(text: str, start: int) -> str:
    """Return what stands between the first bracket from `start` on and its partner, which strings may not hide."""
    opening = text.find("(", start)
    depth, quote = 0, ""
    for at in range(max(opening, 0), len(text)):
        sign = text[at]
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign == "(":
            depth += 1
        elif sign == ")":
            depth -= 1
            if not depth:
                return text[opening + 1 : at].strip()
    return ""


def split_expressions(listed: str) -> list[str]:
    """Split a list of expressions at the commas that stand in no brackets."""
    parts, depth = [""], 0
    for sign in listed:
        depth += (sign == "(") - (sign == ")")
        if sign == "," and not depth:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in parts if part.strip()]
