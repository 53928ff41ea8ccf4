"""Regular expressions for SQL that a revision contains as text, and SQL without its literals."""

from __future__ import annotations

import re

from dormatory.checks.source.resolver import UNKNOWN_TEXT

IF_EXISTS = r"(?:IF\s+(?:NOT\s+)?EXISTS\s+)?"
NAME = rf'(?:[\w"]+\.)?(?P<name>"[^"]+"|[\w{UNKNOWN_TEXT}]+)'  # without the namespace in front of it
_LITERALS = re.compile(r"'(?:[^']|'')*(?:'|\Z)|--[^\n]*|/\*.*?(?:\*/|\Z)|\$(\w*)\$.*?(?:\$\1\$|\Z)", re.DOTALL)


def name_in(match: re.Match[str]) -> str:
    """Return what NAME matched, without quotes."""
    return match["name"].strip('"')


def sql_without_literals(sql: str) -> str:
    """Return SQL with blanks in place of literals and comments; every other character stays where it is."""
    return _LITERALS.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), sql)
