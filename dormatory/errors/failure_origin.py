"""What raised the error of a revision."""

from __future__ import annotations

from enum import Enum


class FailureOrigin(Enum):
    """What raised the error of a revision."""

    STATEMENT = "a statement"
    GUARD = "a raise or an assert in the project's own code"
    CONTENT = "what reads a value"
