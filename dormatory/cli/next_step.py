"""What to type after a command that succeeded: one line on standard error."""

from __future__ import annotations

import sys


def say_next(step: str) -> None:
    """Print what comes next: a command, with what to do before it."""
    print(f"next: {step}", file=sys.stderr)
