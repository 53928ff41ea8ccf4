"""Ask on a terminal whether a table or column was renamed."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dormatory.authoring.renames import ProbableRename


def ask_rename(rename: ProbableRename) -> bool | None:
    """Return whether the developer says that something was renamed; None if nobody can answer, or leaves it open."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()) or os.environ.get("CI"):
        return None
    question = (
        f"{rename.subject} is gone and {rename.new_name} is there ({rename.evidence}); "
        f"rename: it is the same, new: another one, and the values of {rename.old_name} are lost [rename/new] "
    )
    while True:
        print(question, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        answer = line.strip().lower()
        if not line:
            return None
        if answer in {"rename", "r"}:
            return True
        if answer in {"new", "n"}:
            return False
