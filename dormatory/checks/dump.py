"""Checks that the committed schema dump is what the history gives: pure, over two texts."""

from __future__ import annotations

from difflib import unified_diff
from typing import TYPE_CHECKING

from dormatory.checks.registry import finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.checks.finding import Finding


def check_dump(path: Path, committed: str, fresh: str, *, backend: str) -> Iterator[Finding]:
    """Report a committed dump that differs from a fresh one, with its first differing line."""
    if committed == fresh:
        return
    changed = list(unified_diff(committed.splitlines(), fresh.splitlines(), lineterm="", n=0))[2:]
    first = next((line for line in changed if not line.startswith("@@")), "")
    yield finding(
        "stale-dump",
        f"{path.name} is not what the history gives: {first}" if committed else f"{path.name} is missing",
        "write it anew with: inv db.schema-dump",
        backend=backend,
        file=str(path),
    )
