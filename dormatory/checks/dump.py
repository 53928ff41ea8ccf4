"""Checks that the committed schema dump is what the history gives: pure, over two texts."""

from __future__ import annotations

from difflib import unified_diff
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule
from dormatory.errors.location import Location

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.checks.finding import Finding


STALE_DUMP = Rule(
    "stale-dump",
    "dump",
    Severity.ERROR,
    meaning="a committed schema file is not what the history gives",
    why="Reviewers read it to see what a revision does.",
    recipe="inv db.schema-dump",
)


def check_dump(path: Path, committed: str, fresh: str, *, backend: str) -> Iterator[Finding]:
    """Report a committed dump that differs from a fresh one, with its first differing line."""
    if committed == fresh:
        return
    changed = list(unified_diff(committed.splitlines(), fresh.splitlines(), lineterm="", n=0))[2:]
    first = next((line for line in changed if not line.startswith("@@")), "")
    yield STALE_DUMP.finding(
        f"{path.name} is not what the history gives: {first}" if committed else f"{path.name} is missing",
        "write it with: inv db.schema-dump",
        backend=backend,
        location=Location(str(path)),
    )
