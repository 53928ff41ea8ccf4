"""What a check finds: one value, whatever the rule and wherever it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How bad a finding is: an error breaks or loses something, a warning is worth a thought."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, where it is, and what to do about it.

    `line` counts from 1, 0 where none is known; `end_line` and `column` (from 1) likewise. `sql` is the statement that
    it is about, as it was executed or written.
    """

    rule: str
    severity: Severity
    message: str
    hint: str
    backend: str = ""
    object: str = ""
    revision: str = ""
    file: str = ""
    line: int = 0
    end_line: int = 0
    column: int = 0
    sql: str = ""


@dataclass(frozen=True, slots=True)
class LinterDiagnostic:
    """What a linter says of a text; `line` counts from 1 in it. `remedy` is "" where it names none."""

    text_name: str  # the name that the text was given
    line: int
    rule: str
    message: str
    fix: str = ""
