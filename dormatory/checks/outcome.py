"""The result of a run of the checks: the one value that every renderer of findings takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.checks.engine_errors import NOT_CHECKED
from dormatory.checks.finding import Severity
from dormatory.checks.registry import RULES
from dormatory.errors.location import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dormatory.checks.acceptance import AcceptedFinding
    from dormatory.checks.finding import Finding
    from dormatory.checks.rule import Rule
    from dormatory.errors import DormatoryError
    from dormatory.recording.model import Recording

_DEFAULT_INI = Path("alembic.ini")


@dataclass(frozen=True, slots=True)
class CheckedServer:
    """A backend that ran: how its server names itself (`SQLite 3.40.1`), and the seconds that each revision took."""

    backend: str
    name: str
    seconds: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Unchecked:
    """What a run could not look at: a revision that was not played, a table that held no rows; and the reason."""

    noun: str
    name: str
    backend: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """All findings, and what a renderer needs to show them and to decide whether the run failed.

    `revisions` are those checked, in the order of history, `titles` what each is called; `suppressed` counts the
    findings that comments hide; `accepted` are those that the project's file of accepted findings hides; `rules` are
    all rules by id. A finding without a file is shown at `configuration`, the project's ini, where a format needs a
    place. `manual` is the address of the document whose headings are the ids of the rules, "" if it has none.
    `is_complete` is false if an error has ended the run; `unchecked` is what a complete run did not get to although it
    should have. `seconds` is the time of the whole run, 0 if it was not measured.
    """

    findings: tuple[Finding, ...]
    servers: tuple[CheckedServer, ...] = ()
    revisions: tuple[str, ...] = ()
    suppressed: int = 0
    is_strict: bool = False
    accepted: tuple[AcceptedFinding, ...] = ()
    rules: Mapping[str, Rule] = field(default_factory=lambda: RULES, repr=False)
    configuration: Path = _DEFAULT_INI
    manual: str = ""
    is_complete: bool = True
    unchecked: tuple[Unchecked, ...] = ()
    titles: Mapping[str, str] = field(default_factory=dict, repr=False)
    seconds: float = 0.0

    @classmethod
    def ended_by(cls, error: DormatoryError) -> Outcome:
        """Return the outcome of a run that an error has ended: a finding, for formats that hold nothing else."""
        location = getattr(error, "location", NOWHERE)
        found = NOT_CHECKED.finding(f"{error.what} ({error.why})", error.fix, location=location)
        return cls((found,), configuration=getattr(error, "ini", _DEFAULT_INI), is_complete=False)

    @property
    def is_failed(self) -> bool:
        """Whether any finding blocks the change."""
        return any(self.is_blocking(finding.severity) for finding in self.findings)

    def is_blocking(self, severity: Severity) -> bool:
        """Return whether a finding of this severity blocks the change: an error, and a warning if strict."""
        return severity is Severity.ERROR or (self.is_strict and severity is Severity.WARNING)


def unchecked_parts(recording: Recording) -> Iterator[Unchecked]:
    """Yield what a replay could not look at: revisions after one that fails, and tables without rows."""
    for revision in recording.unreached:
        yield Unchecked("revision", revision, recording.backend, "the upgrade of one before it fails")
    for table, reason in recording.unfilled:
        yield Unchecked("table", table, recording.backend, f"it holds no rows, {reason}")
