"""The constraints in the text of an SQLite table, put in an order that does not change between runs.

Alembic's batch mode rebuilds a table from a Python set of its constraints, so the text that SQLite keeps has them in an
order that depends on PYTHONHASHSEED: the same history gives other bytes the next time.
"""

from __future__ import annotations

import re

from dormatory.sql.lexer import Syntax
from dormatory.sql.split import Kind, pieces

_CONSTRAINT = re.compile(
    r"""(?:CONSTRAINT\s+(?:\w+|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|'(?:[^']|'')*')\s*)?"""
    r"(?P<kind>PRIMARY|UNIQUE|CHECK|FOREIGN)\b",
    re.IGNORECASE,
)
_KINDS = ("PRIMARY", "UNIQUE", "CHECK", "FOREIGN")


def with_sorted_constraints(sql: str) -> str:
    """Return CREATE TABLE with its table constraints by kind and name, each where another one stood.

    Columns keep their places, and so does everything in a text with comments: a comment belongs to what stands beside
    it, and only a person writes one, always in the same place.
    """
    places = [(start, end) for start, end in _items(sql) if _CONSTRAINT.match(sql, start, end)]
    ordered = sorted((sql[start:end] for start, end in places), key=_key)
    parts, position = list[str](), 0
    for (start, end), constraint in zip(places, ordered, strict=True):
        parts += sql[position:start], constraint
        position = end
    return "".join(parts) + sql[position:]


def _key(constraint: str) -> tuple[int, str]:
    found = _CONSTRAINT.match(constraint)
    return _KINDS.index(found["kind"].upper()) if found else len(_KINDS), constraint


def _items(sql: str) -> list[tuple[int, int]]:
    """Return where each column and each constraint of a table begins and ends; nothing for a text with comments."""
    found: list[tuple[int, int]] = []
    depth = start = 0
    for piece in pieces(sql, Syntax.SQLITE):
        if piece.kind is Kind.COMMENT:
            return []
        if piece.kind is Kind.QUOTED:
            continue
        for mark in re.finditer(r"[(),]", piece.text):
            place = piece.start + mark.start()
            depth += {"(": 1, ")": -1, ",": 0}[mark[0]]
            if mark[0] == "(" and depth == 1:
                start = place + 1
            elif (mark[0] == "," and depth == 1) or (mark[0] == ")" and depth == 0):
                found.append(_without_space(sql, start, place))
                start = place + 1
            if not depth:
                return found  # what follows are the options of the table
    return []


def _without_space(sql: str, start: int, end: int) -> tuple[int, int]:
    text = sql[start:end]
    return end - len(text.lstrip()), start + len(text.rstrip())
