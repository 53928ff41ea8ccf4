"""Fills a new, empty revision with a loop over batches that the developer completes."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from dormatory.errors import UnusualTemplateError
from dormatory.project.script import parse_source

if TYPE_CHECKING:
    from pathlib import Path

TO_COMPLETE = "# TODO: "
_GENERATED = "# ### "  # Alembic's remark around what it has generated
_IMPORTS = "from dormatory.operations import in_batches\n"
_TABLE = f"""\
{TO_COMPLETE}name the table and the columns that are read or written. Models move on, a revision must not.
table = sa.table("TABLE", sa.column("COLUMN", sa.String))

"""
_UPGRADE = f"""\
    # Each batch is committed by itself. After an interruption the revision runs again from its beginning, and the loop
    # continues behind the last batch: what changes columns or constraints belongs into a revision of its own.
    for batch in in_batches(table, size=1000):
        {TO_COMPLETE}write what changes, and narrow it down to the rows that need it with a second condition.
        op.execute(table.update().where(batch.rows).values(COLUMN=sa.func.lower(table.c.COLUMN)))
"""
_DOWNGRADE = f"""\
    for batch in in_batches(table, size=1000):
        {TO_COMPLETE}write the inverse. If the old values cannot be had again, write pass, and say so in `lossy`.
        op.execute(table.update().where(batch.rows).values(COLUMN=sa.func.upper(table.c.COLUMN)))
"""


def write_data_template(file: Path) -> None:
    """Write loops into upgrade() and downgrade() of a generated revision; raises UnusualTemplateError.

    Until it is completed it fails: there is no table TABLE.
    """
    text = file.read_text(encoding="utf-8")
    lines = [it for it in text.splitlines(keepends=True) if not it.strip().startswith(_GENERATED)]
    tree = parse_source(file, "".join(lines).encode())
    functions = {it.name: it for it in tree.body if isinstance(it, ast.FunctionDef)}
    imports = [it for it in tree.body if isinstance(it, (ast.Import, ast.ImportFrom))]
    if (
        not imports
        or not functions.keys() >= {"upgrade", "downgrade"}
        or any(it.args.args for it in functions.values())
    ):
        raise UnusualTemplateError(file)
    insertions = [
        (imports[-1].end_lineno or 0, 0, _IMPORTS),
        (functions["upgrade"].lineno - 1, 0, _TABLE + "\n"),
        (*_body(functions["upgrade"]), _UPGRADE),
        (*_body(functions["downgrade"]), _DOWNGRADE),
    ]
    for line, count, text in sorted(insertions, reverse=True):  # from the end on: earlier lines keep their numbers
        lines[line : line + count] = [text]
    file.write_text("".join(lines), encoding="utf-8")


def lines_to_complete(file: Path) -> list[tuple[int, str]]:
    """Return the lines of a data revision that wait for the developer, and what each of them asks for."""
    texts = enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
    return [(number, text.partition(TO_COMPLETE)[2]) for number, text in texts if text.strip().startswith(TO_COMPLETE)]


def _body(function: ast.FunctionDef) -> tuple[int, int]:
    """Return where the statements of a function begin, after its docstring, and how many lines they have."""
    first = function.body[1 if ast.get_docstring(function) is not None else 0 :]
    end = function.end_lineno or function.lineno
    return (first[0].lineno - 1, end - first[0].lineno + 1) if first else (end, 0)
