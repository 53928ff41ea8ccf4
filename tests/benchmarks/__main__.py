"""Runs every benchmark of this directory, writes RESULTS.md, and fails when a promise is broken: `nox -s bench`."""

from __future__ import annotations

import importlib
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.benchmarks.figure import Figure

HERE = Path(__file__).resolve().parent
HEAD = """\
# Figures

Written by `nox -s bench`; medians of several rounds in one run. What is promised is a ratio against a peer in the same
run, or a limit.

| figure | measured | promised |
| --- | --- | --- |
"""


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
        rows = "".join(f"| {item.name} | {item.shown} | {item.promised} |\n" for item in figures)
        machine = f"\nPython {platform.python_version()} on {platform.system()}, {platform.machine()}.\n"
        (HERE / "RESULTS.md").write_text(HEAD + rows + machine, encoding="utf-8")
    return 1 if any(not figure.is_kept for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
