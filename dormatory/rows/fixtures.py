"""Rows that a project brings for a revision: statements in a file of SQL, run before any other row is made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from dormatory.backends.row_io import driver_message
from dormatory.errors import FixtureFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

# What a semicolon may stand in without ending a statement; tokens would lose where a comment stood.
_PIECE = re.compile(
    r"""(?P<dollar>\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
    | (?<![\w$])[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
    | --[^\n]* | /\*.*?\*/ | (?P<end>;) | .""",
    re.VERBOSE | re.DOTALL,
)
_SPACE_AND_COMMENTS = re.compile(r"\s+|--[^\n]*|/\*.*?\*/", re.DOTALL)


def run_fixtures(connection: Connection, file: Path) -> None:
    """Execute a file's statements in the caller's transaction; one that is not there has none.

    Raises OwnRowsError, which names the file, the line and the statement that failed.
    """
    if not file.is_file():
        return
    for line, statement in statements_with_lines(file.read_text(encoding="utf-8")):
        try:
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})  # marks mean themselves
        except DBAPIError as error:
            raise FixtureFailedError(f"{file}:{line}", statement, driver_message(error.orig)) from error


def statements_with_lines(sql: str) -> Iterator[tuple[int, str]]:
    """Yield statements without their semicolons, each with the line it begins on."""
    start = 0
    for piece in _PIECE.finditer(sql):
        if piece["end"]:
            yield from _statement(sql, start, piece.start())
            start = piece.end()
    yield from _statement(sql, start, len(sql))


def _statement(sql: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    while start < end and (gap := _SPACE_AND_COMMENTS.match(sql, start, end)):
        start = gap.end()
    if start < end:
        yield sql.count("\n", 0, start) + 1, sql[start:end].rstrip()
