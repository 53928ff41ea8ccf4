"""A small shell on an SQLite file, for machines that have neither the sqlite3 program nor Python 3.12's own."""

from __future__ import annotations

import re
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROMPT, _CONTINUATION_PROMPT = "sqlite> ", "   ...> "


def run_shell(path: str) -> int:
    """Read statements from standard input until it ends, and print their rows, columns divided by `|`."""
    code = 0
    with closing(sqlite3.connect(path, isolation_level=None, uri=path.startswith("file:"))) as connection:
        for statement in _read_statements():
            if statement.strip() in (".quit", ".exit"):
                break
            try:
                for row in connection.execute(statement):
                    print("|".join("" if value is None else str(value) for value in row))
            except sqlite3.Error as error:
                code = 1
                print(f"error: {error}", file=sys.stderr)
    return code


def _read_statements() -> Iterator[str]:
    """Yield what was typed, statement by statement."""
    pending = ""
    while True:
        if sys.stdin.isatty():
            sys.stdout.write(_CONTINUATION_PROMPT if pending else _PROMPT)
            sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            break
        if line.startswith(".") and not pending:
            yield line
            continue
        for part in re.split(r"(?<=;)", line):  # complete_statement tells which semicolons end one
            pending += part
            if sqlite3.complete_statement(pending):
                yield pending
                pending = ""
        pending = pending if pending.strip() else ""
    if pending.strip():
        yield pending


if __name__ == "__main__":
    sys.exit(run_shell(sys.argv[1]))
