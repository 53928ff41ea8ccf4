"""What a run of the checks came to: the one value that every renderer of findings takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.registry import RULES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dormatory.checks.finding import Finding
    from dormatory.checks.registry import Rule


@dataclass(frozen=True, slots=True)
class CheckedServer:
    """A backend that really ran: how its server names itself (`SQLite 3.40.1`), and the seconds of each revision."""

    backend: str
    name: str
    seconds: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """All findings, and what they are judged by.

    `revisions` are those judged, in the order of history; `suppressed` counts what a line or revision asked not to
    see; `rules` is the catalogue. A finding of no file is shown at `configuration`, the project's ini, where a format
    wants a place. `manual` is the address of the document whose headings are the ids of the rules, if it has one.
    """

    findings: tuple[Finding, ...]
    servers: tuple[CheckedServer, ...] = ()
    revisions: tuple[str, ...] = ()
    suppressed: int = 0
    is_strict: bool = False
    rules: Mapping[str, Rule] = field(default_factory=lambda: RULES, repr=False)
    configuration: Path = Path("alembic.ini")
    manual: str = ""

    @property
    def is_failed(self) -> bool:
        """Whether something was found that a change should wait for; where strict, a warning is enough."""
        return any(self.is_blocking(finding.severity) for finding in self.findings)

    def is_blocking(self, severity: Severity) -> bool:
        """Say whether a change should wait for what is as bad as this."""
        return severity is Severity.ERROR or (self.is_strict and severity is Severity.WARNING)
