"""What a check finds, as a value: the same type for every rule and every output format."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from dormatory.errors.location import NOWHERE, Location


class Severity(Enum):
    """How bad a finding is: an error breaks or loses something, a warning may, a note is worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, where it is, and what to do about it.

    `end_line` counts from 1, 0 where it is unknown. `sql` is the statement that the finding is about, as it was
    executed or written.
    """

    rule: str
    severity: Severity
    message: str
    hint: str
    backend: str = ""
    object: str = ""
    revision: str = ""
    location: Location = NOWHERE
    end_line: int = 0
    sql: str = ""


def with_version_table(found: Finding, version_table: str) -> Finding:
    """Return a finding that says of which pass of env.py it is; "" is the first one, which most projects have alone."""
    return replace(found, message=f"{found.message}; with {version_table}") if version_table else found


@dataclass(frozen=True, slots=True)
class LinterMessage:
    """What a linter reports about a text; `line` counts from 1 in it. `fix` is "" where the linter names none."""

    text_name: str  # the name that the text was given
    line: int
    rule: str
    message: str
    fix: str = ""
